-- +goose Up

-- Who changed what. Each row has the hash of the one before.
CREATE TABLE audit_row (
    n       INTEGER PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    prev    BLOB NOT NULL,
    hash    BLOB NOT NULL
);

-- Keys of providers, sealed.
CREATE TABLE vault_credential (
    provider TEXT NOT NULL,
    name     TEXT NOT NULL,
    last     TEXT NOT NULL, -- the last four characters
    added    BIGINT NOT NULL,
    added_by TEXT NOT NULL,
    sealed   BLOB NOT NULL,
    PRIMARY KEY (provider, name)
);

-- Configurations that were in force, sealed.
CREATE TABLE vault_version (
    id     INTEGER PRIMARY KEY,
    at     BIGINT NOT NULL,
    set_by TEXT NOT NULL,
    why    TEXT NOT NULL,
    sum    TEXT NOT NULL,
    sealed BLOB NOT NULL
);
