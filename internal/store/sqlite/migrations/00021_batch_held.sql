-- +goose Up

-- What is held of budgets for an item while it is in a batch, in nanodollars.
ALTER TABLE batch_item ADD COLUMN held BIGINT NOT NULL DEFAULT 0;
