-- +goose Up

-- How a route chose, and the task of a request: of those alone that have one.
CREATE TABLE ledger_choice (
    request BIGINT NOT NULL,
    task    TEXT NOT NULL,
    fault   TEXT NOT NULL,   -- what was wrong with the answer, empty for nothing
    data    TEXT,            -- ledger.Choice in JSON; NULL where none was made
    PRIMARY KEY (request)
);

-- What came to be known of an answer after it was given.
CREATE TABLE ledger_feedback (
    request  BIGINT NOT NULL,
    explicit BOOLEAN NOT NULL,
    signal   TEXT NOT NULL,
    noted    BIGINT NOT NULL,
    score    BIGINT NOT NULL, -- in millionths
    worth    BIGINT,          -- nanodollars; NULL when unsaid
    PRIMARY KEY (request, explicit, signal)
);

-- What the requests of each UTC day came to; see ledger.Success. Scores are in
-- millionths.
CREATE TABLE ledger_success (
    day            BIGINT NOT NULL,
    asked          TEXT NOT NULL,
    task           TEXT NOT NULL,
    target         TEXT NOT NULL,
    requests       BIGINT NOT NULL,
    attempts       BIGINT NOT NULL,
    escalated      BIGINT NOT NULL,
    ended_well     BIGINT NOT NULL,
    explicit       BIGINT NOT NULL,
    explicit_score BIGINT NOT NULL,
    implicit       BIGINT NOT NULL,
    successes      BIGINT NOT NULL,
    cost           BIGINT NOT NULL,
    unpriced       BIGINT NOT NULL,
    worth          BIGINT NOT NULL,
    PRIMARY KEY (day, asked, task, target)
);

-- What was learned of routes, by name: snapshots.
CREATE TABLE learned (
    name  TEXT PRIMARY KEY NOT NULL,
    noted BIGINT NOT NULL,
    data  BLOB NOT NULL
);
