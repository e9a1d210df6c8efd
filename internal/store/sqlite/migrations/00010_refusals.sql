-- +goose Up

-- When (prompt or output) and why an attempt was refused for its content; empty
-- for all others. SQLite cannot add to what is unique, so the table is made
-- anew.
CREATE TABLE ledger_try_refused (
    id       INTEGER PRIMARY KEY,
    why      TEXT NOT NULL,
    status   BIGINT NOT NULL,
    class    TEXT NOT NULL,
    finish   TEXT NOT NULL,
    source   TEXT NOT NULL,
    phase    TEXT NOT NULL,
    category TEXT NOT NULL,
    UNIQUE (why, status, class, finish, source, phase, category)
);
INSERT INTO ledger_try_refused (id, why, status, class, finish, source, phase, category)
SELECT id, why, status, class, finish, source, '', '' FROM ledger_try;
DROP TABLE ledger_try;
ALTER TABLE ledger_try_refused RENAME TO ledger_try;
