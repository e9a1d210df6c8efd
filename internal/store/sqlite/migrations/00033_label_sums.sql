-- +goose Up

-- The roll-ups by label are tables of their own, with only what has a label: what
-- clients choose must not make all other sums slow.
CREATE TABLE ledger_hour_label (
    hour            BIGINT NOT NULL,
    caller          BIGINT NOT NULL,
    target          BIGINT NOT NULL,
    label           BIGINT NOT NULL, -- ledger_label, never 1
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
INSERT INTO ledger_hour_label (hour, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
SELECT hour, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed FROM ledger_hour WHERE label <> 1;
CREATE TABLE ledger_hour_new (
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
    reported        BIGINT NOT NULL,
    listed          BIGINT NOT NULL,
    PRIMARY KEY (hour, caller, target)
) WITHOUT ROWID;
INSERT INTO ledger_hour_new (hour, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
SELECT hour, caller, target, SUM(requests), SUM(failed), SUM(attempts), SUM(failed_attempts), SUM(estimated), SUM(unpriced), SUM(input), SUM(cache_read), SUM(cache_write_5m), SUM(cache_write_1h), SUM(output), SUM(reasoning), SUM(cost), SUM(reported), SUM(listed) FROM ledger_hour GROUP BY hour, caller, target;
DROP TABLE ledger_hour;
ALTER TABLE ledger_hour_new RENAME TO ledger_hour;
CREATE TABLE ledger_day_label (
    day             BIGINT NOT NULL,
    caller          BIGINT NOT NULL,
    target          BIGINT NOT NULL,
    label           BIGINT NOT NULL, -- ledger_label, never 1
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
INSERT INTO ledger_day_label (day, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
SELECT day, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed FROM ledger_day WHERE label <> 1;
CREATE TABLE ledger_day_new (
    day             BIGINT NOT NULL,
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
    reported        BIGINT NOT NULL,
    listed          BIGINT NOT NULL,
    PRIMARY KEY (day, caller, target)
) WITHOUT ROWID;
INSERT INTO ledger_day_new (day, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
SELECT day, caller, target, SUM(requests), SUM(failed), SUM(attempts), SUM(failed_attempts), SUM(estimated), SUM(unpriced), SUM(input), SUM(cache_read), SUM(cache_write_5m), SUM(cache_write_1h), SUM(output), SUM(reasoning), SUM(cost), SUM(reported), SUM(listed) FROM ledger_day GROUP BY day, caller, target;
DROP TABLE ledger_day;
ALTER TABLE ledger_day_new RENAME TO ledger_day;
