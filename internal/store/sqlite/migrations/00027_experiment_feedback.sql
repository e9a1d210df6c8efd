-- +goose Up

-- What was said of the requests of experiments is looked for by when it was said.
CREATE INDEX ledger_feedback_noted ON ledger_feedback (noted);
CREATE INDEX ledger_trial_request ON ledger_trial (request);

-- How well a request counts that something was said of, in millionths.
CREATE TABLE study_verdict (
    request BIGINT PRIMARY KEY NOT NULL,
    score   BIGINT NOT NULL
);
