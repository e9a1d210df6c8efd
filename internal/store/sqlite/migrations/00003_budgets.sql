-- +goose Up

CREATE TABLE budget (
    scope   TEXT NOT NULL,   -- key, team or tag
    subject TEXT NOT NULL,
    period  TEXT NOT NULL,   -- daily, weekly, monthly or total
    allowed BIGINT NOT NULL, -- nanodollars
    alerts  TEXT NOT NULL,   -- a JSON array of percentages
    PRIMARY KEY (scope, subject, period)
);

-- One row; its version rises with every change of a budget.
CREATE TABLE budget_version (
    id      INTEGER PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO budget_version (id, version) VALUES (1, 0);

-- What one window of a budget has cost, by the rows of ledger_charge.
CREATE TABLE budget_account (
    id     INTEGER PRIMARY KEY,
    budget TEXT NOT NULL,   -- scope/period/subject
    start  BIGINT NOT NULL, -- 0: it never begins anew
    spent  BIGINT NOT NULL,
    UNIQUE (budget, start)
);

-- What a run of the program has taken out and neither spent nor given back. It
-- is negative when a request cost more than was held for it.
CREATE TABLE budget_lease (
    account BIGINT NOT NULL,
    run     BIGINT NOT NULL, -- ledger_run
    amount  BIGINT NOT NULL,
    PRIMARY KEY (account, run)
) WITHOUT ROWID;

-- What a request took from an account.
CREATE TABLE ledger_charge (
    request BIGINT NOT NULL,
    account BIGINT NOT NULL,
    amount  BIGINT NOT NULL,
    PRIMARY KEY (request, account)
) WITHOUT ROWID;

-- What the provider says that an attempt cost, and what the catalogue says
-- where the provider says something.
ALTER TABLE ledger_attempt ADD COLUMN reported BIGINT;
ALTER TABLE ledger_attempt ADD COLUMN listed BIGINT;

-- The sums of those attempts that have both.
ALTER TABLE ledger_hour ADD COLUMN reported BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ledger_hour ADD COLUMN listed BIGINT NOT NULL DEFAULT 0;

-- The hours of each UTC day added up, written with them.
CREATE TABLE ledger_day (
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
INSERT INTO ledger_day (day, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced,
    input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
SELECT hour / 24, caller, target, SUM(requests), SUM(failed), SUM(attempts), SUM(failed_attempts), SUM(estimated), SUM(unpriced), SUM(input), SUM(cache_read), SUM(cache_write_5m), SUM(cache_write_1h), SUM(output), SUM(reasoning), SUM(cost), SUM(reported), SUM(listed)
FROM ledger_hour
GROUP BY hour / 24, caller, target;
