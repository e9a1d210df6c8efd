-- Times are Unix milliseconds, durations microseconds, money nanodollars.
-- INTEGER PRIMARY KEY is SQLite's own row key; all else is as on PostgreSQL.

-- +goose Up
CREATE TABLE access_key (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    team       TEXT NOT NULL,
    admin      BOOLEAN NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    prefix     TEXT NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL, -- 0: never
    revoked    BIGINT NOT NULL, -- 0: not
    models     TEXT NOT NULL,   -- a JSON array of patterns
    requests_per_minute BIGINT NOT NULL,
    tokens_per_minute   BIGINT NOT NULL,
    parallel            BIGINT NOT NULL,
    rotated_to TEXT NOT NULL
);

-- One row; its version rises with every change of a key.
CREATE TABLE access_version (
    id      INTEGER PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO access_version (id, version) VALUES (1, 0);

-- What many rows share is a row of its own, so that theirs hold one number
-- for it: binding a value is what an insert costs. These rows never change.

-- Who asked, as named at that time.
CREATE TABLE ledger_caller (
    id       INTEGER PRIMARY KEY,
    key_id   TEXT NOT NULL,
    key_name TEXT NOT NULL,
    team     TEXT NOT NULL,
    UNIQUE (key_id, key_name, team)
);

-- What was asked for, and how.
CREATE TABLE ledger_ask (
    id       INTEGER PRIMARY KEY,
    dialect  TEXT NOT NULL,
    op       TEXT NOT NULL,
    asked    TEXT NOT NULL,
    streamed BOOLEAN NOT NULL,
    UNIQUE (dialect, op, asked, streamed)
);

-- Where an attempt went.
CREATE TABLE ledger_target (
    id       INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    model    TEXT NOT NULL,
    UNIQUE (provider, model)
);

-- How a request ended for the client; class is empty when all went well.
CREATE TABLE ledger_end (
    id        INTEGER PRIMARY KEY,
    status    BIGINT NOT NULL,
    class     TEXT NOT NULL,
    committed BOOLEAN NOT NULL,
    UNIQUE (status, class, committed)
);

-- Why an attempt was made and how it ended; source is where its usage comes
-- from: provider, estimated or empty.
CREATE TABLE ledger_try (
    id     INTEGER PRIMARY KEY,
    why    TEXT NOT NULL,
    status BIGINT NOT NULL,
    class  TEXT NOT NULL,
    finish TEXT NOT NULL,
    source TEXT NOT NULL,
    UNIQUE (why, status, class, finish, source)
);

-- One row per request; the id carries the time it was made.
CREATE TABLE ledger_request (
    id         INTEGER PRIMARY KEY,
    seq        BIGINT NOT NULL, -- the order of writing
    began      BIGINT NOT NULL,
    caller     BIGINT NOT NULL, -- ledger_caller
    ask        BIGINT NOT NULL, -- ledger_ask
    ending     BIGINT NOT NULL, -- ledger_end
    first_byte BIGINT NOT NULL,
    total      BIGINT NOT NULL,
    warnings   TEXT             -- a JSON array, NULL when there are none
);
CREATE INDEX ledger_request_seq ON ledger_request (seq);

-- One row per attempt. Without a row id of its own: its key is its place.
CREATE TABLE ledger_attempt (
    request        BIGINT NOT NULL,
    n              BIGINT NOT NULL,
    target         BIGINT NOT NULL, -- ledger_target
    tried          BIGINT NOT NULL, -- ledger_try
    began          BIGINT NOT NULL,
    first_byte     BIGINT NOT NULL,
    total          BIGINT NOT NULL,
    input          BIGINT NOT NULL,
    cache_read     BIGINT NOT NULL,
    cache_write_5m BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    output         BIGINT NOT NULL,
    reasoning      BIGINT NOT NULL,
    cost           BIGINT,          -- NULL when it has no known price
    upstream_id    TEXT,
    message        TEXT,
    PRIMARY KEY (request, n)
) WITHOUT ROWID;

-- What each hour came to, written with the rows; see ledger.Tally.
CREATE TABLE ledger_hour (
    hour            BIGINT NOT NULL,
    caller          BIGINT NOT NULL,
    target          BIGINT NOT NULL,
    requests        BIGINT NOT NULL,
    failed          BIGINT NOT NULL,
    attempts        BIGINT NOT NULL,
    failed_attempts BIGINT NOT NULL,
    estimated       BIGINT NOT NULL,
    unpriced        BIGINT NOT NULL,
    input           BIGINT NOT NULL,
    cache_read      BIGINT NOT NULL,
    cache_write_5m  BIGINT NOT NULL,
    cache_write_1h  BIGINT NOT NULL,
    output          BIGINT NOT NULL,
    reasoning       BIGINT NOT NULL,
    cost            BIGINT NOT NULL,
    PRIMARY KEY (hour, caller, target)
) WITHOUT ROWID;

-- Lives of the program as a writer: how the next start knows of a kill.
CREATE TABLE ledger_run (
    id      INTEGER PRIMARY KEY,
    written BIGINT NOT NULL,
    batch   BIGINT NOT NULL, -- number of the last batch
    state   TEXT NOT NULL    -- open, ended or killed
);
