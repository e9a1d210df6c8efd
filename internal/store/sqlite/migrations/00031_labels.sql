-- +goose Up

-- What requests say of themselves beside the model, shared by many rows; tags
-- stand between commas (",a,b,"). Row 1 says nothing.
CREATE TABLE ledger_label (
    id    INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    task  TEXT NOT NULL,
    tags  TEXT NOT NULL,
    UNIQUE (route, task, tags)
);
INSERT INTO ledger_label (id, route, task, tags) VALUES (1, '', '', '');

-- The requests that say something, or belong to a conversation.
CREATE TABLE ledger_mark (
    request BIGINT PRIMARY KEY NOT NULL,
    label   BIGINT NOT NULL, -- ledger_label
    session TEXT             -- NULL: none is said
);
CREATE INDEX ledger_mark_session ON ledger_mark (session, request) WHERE session IS NOT NULL;

-- Which words a UTC day has among its requests, so that a search passes over
-- the other days: kind is ask (ledger_ask) or end (ledger_end).
CREATE TABLE ledger_day_word (
    day  BIGINT NOT NULL,
    kind TEXT NOT NULL,
    word BIGINT NOT NULL,
    PRIMARY KEY (day, kind, word)
) WITHOUT ROWID;
INSERT INTO ledger_day_word (day, kind, word) SELECT DISTINCT began / 86400000, 'ask', ask FROM ledger_request;
INSERT INTO ledger_day_word (day, kind, word) SELECT DISTINCT began / 86400000, 'end', ending FROM ledger_request;

-- The roll-ups tell labels apart as well; what was there says nothing.
CREATE TABLE ledger_hour_new (
    hour            BIGINT NOT NULL,
    caller          BIGINT NOT NULL,
    target          BIGINT NOT NULL,
    label           BIGINT NOT NULL,
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
    reported        BIGINT NOT NULL,
    listed          BIGINT NOT NULL,
    PRIMARY KEY (hour, caller, target, label)
) WITHOUT ROWID;
INSERT INTO ledger_hour_new (hour, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
SELECT hour, caller, target, 1, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed FROM ledger_hour;
DROP TABLE ledger_hour;
ALTER TABLE ledger_hour_new RENAME TO ledger_hour;
CREATE TABLE ledger_day_new (
    day             BIGINT NOT NULL,
    caller          BIGINT NOT NULL,
    target          BIGINT NOT NULL,
    label           BIGINT NOT NULL,
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
    reported        BIGINT NOT NULL,
    listed          BIGINT NOT NULL,
    PRIMARY KEY (day, caller, target, label)
) WITHOUT ROWID;
INSERT INTO ledger_day_new (day, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
SELECT day, caller, target, 1, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed FROM ledger_day;
DROP TABLE ledger_day;
ALTER TABLE ledger_day_new RENAME TO ledger_day;
