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
