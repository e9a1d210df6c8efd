-- +goose Up

-- What a request had to do with an experiment. Its key is the request's place
-- in the order of writing, which is how experiments are followed.
CREATE TABLE ledger_trial (
    seq        INTEGER PRIMARY KEY,
    request    BIGINT NOT NULL,
    experiment TEXT NOT NULL,
    run        BIGINT NOT NULL,
    arm        TEXT NOT NULL,
    unit       BIGINT NOT NULL,
    shares     TEXT NOT NULL,           -- a JSON array
    predicted  DOUBLE PRECISION NOT NULL,
    shadows    BIGINT NOT NULL          -- the request it is a copy of; 0: none
);

-- What an experiment has shown, a row for each of its definitions.
CREATE TABLE study_run (
    run     BIGINT PRIMARY KEY NOT NULL,
    name    TEXT NOT NULL,
    state   TEXT NOT NULL, -- JSON
    written BIGINT NOT NULL
);

-- What each unit of a run has come to.
CREATE TABLE study_unit (
    run  BIGINT NOT NULL,
    unit BIGINT NOT NULL,
    arm  TEXT NOT NULL,
    seen BIGINT NOT NULL,
    sums TEXT NOT NULL, -- JSON
    PRIMARY KEY (run, unit)
) WITHOUT ROWID;
CREATE INDEX study_unit_seen ON study_unit (run, seen);

-- Up to which place the ledger has been read. One row.
CREATE TABLE study_cursor (
    id  INTEGER PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO study_cursor (id, seq) VALUES (1, 0);

-- What operators have ordered; the process that serves carries it out.
CREATE TABLE study_order (
    id    INTEGER PRIMARY KEY,
    run   BIGINT NOT NULL,
    act   TEXT NOT NULL, -- start, stop or decide
    arm   TEXT NOT NULL,
    given BIGINT NOT NULL,
    who   TEXT NOT NULL
);

-- What a request needed of a model, by name, as far as it was known without
-- reading all of it. The rows keep their ids.
CREATE TABLE ledger_ask_new (
    id       INTEGER PRIMARY KEY,
    dialect  TEXT NOT NULL,
    op       TEXT NOT NULL,
    asked    TEXT NOT NULL,
    streamed BOOLEAN NOT NULL,
    needs    TEXT NOT NULL,
    UNIQUE (dialect, op, asked, streamed, needs)
);
INSERT INTO ledger_ask_new (id, dialect, op, asked, streamed, needs)
SELECT id, dialect, op, asked, streamed, '' FROM ledger_ask;
DROP TABLE ledger_ask;
ALTER TABLE ledger_ask_new RENAME TO ledger_ask;
