-- +goose Up

-- What must come back; see recall.Store. All that it says is in data, sealed.
CREATE TABLE recall_sealed (
    kind    TEXT NOT NULL,
    owner   TEXT NOT NULL,   -- access_key
    id      TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    seal    TEXT NOT NULL,   -- the id of the key that data is sealed with
    data    BLOB NOT NULL,
    PRIMARY KEY (kind, owner, id)
);
CREATE INDEX recall_sealed_expires ON recall_sealed (expires);
