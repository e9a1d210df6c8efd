-- +goose Up

-- How long the batches of a provider and model took, of late.
CREATE TABLE batch_time (
    provider TEXT NOT NULL,
    model    TEXT NOT NULL,
    sent     BIGINT NOT NULL, -- batch_sent
    took     BIGINT NOT NULL, -- ms
    PRIMARY KEY (provider, model, sent)
) WITHOUT ROWID;

-- What was expected of a job when its ways were chosen, in thousandths: its cost
-- by that of real time, and the chance that its batches end in time; and when
-- it leaves them.
ALTER TABLE batch_job ADD COLUMN share BIGINT NOT NULL DEFAULT 0;
ALTER TABLE batch_job ADD COLUMN in_time BIGINT NOT NULL DEFAULT 0;
ALTER TABLE batch_job ADD COLUMN leaves BIGINT NOT NULL DEFAULT 0;
