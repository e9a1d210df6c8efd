-- +goose Up

-- What clients upload for their batches. A file is there once its row is; parts
-- without one are of an upload that ended early.
CREATE TABLE batch_file (
    id      BIGINT PRIMARY KEY,
    owner   TEXT NOT NULL,
    name    TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes   BIGINT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX batch_file_owner ON batch_file (owner, id);
CREATE INDEX batch_file_expires ON batch_file (expires);

-- Their content, sealed piece by piece.
CREATE TABLE batch_part (
    file BIGINT NOT NULL,
    idx  BIGINT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (file, idx)
);
