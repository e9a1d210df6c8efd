-- +goose Up

-- interactive, standard or batch; empty: what its team has.
ALTER TABLE access_key ADD COLUMN priority TEXT NOT NULL DEFAULT '';
-- Whether its requests may say a higher one than that.
ALTER TABLE access_key ADD COLUMN may_raise BOOLEAN NOT NULL DEFAULT FALSE;
