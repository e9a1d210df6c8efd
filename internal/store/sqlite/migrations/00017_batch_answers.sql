-- +goose Up

-- Answers are numbered in the order they come, within their job: whoever reads
-- them goes on after the last one seen. Items that end together share a number.
-- 0 is no answer yet, 1 what had one from the start.
ALTER TABLE batch_job ADD COLUMN answers BIGINT NOT NULL DEFAULT 1;
ALTER TABLE batch_item ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
UPDATE batch_item SET seq = 1 WHERE state IN ('succeeded', 'failed', 'canceled', 'expired');
CREATE INDEX batch_item_answered ON batch_item (job, seq, idx) WHERE seq > 0;

-- What is tried again, by when.
CREATE INDEX batch_item_due ON batch_item (due) WHERE due > 0;

-- The tokens of the answers of a job.
ALTER TABLE batch_job ADD COLUMN prompt BIGINT NOT NULL DEFAULT 0;
ALTER TABLE batch_job ADD COLUMN cached BIGINT NOT NULL DEFAULT 0; -- of the prompt
ALTER TABLE batch_job ADD COLUMN output BIGINT NOT NULL DEFAULT 0;
ALTER TABLE batch_job ADD COLUMN reasoning BIGINT NOT NULL DEFAULT 0; -- of the output
