-- +goose Up

-- Who runs the gateway with others.
CREATE TABLE staff_member (
    id      TEXT PRIMARY KEY NOT NULL,
    name    TEXT NOT NULL,
    email   TEXT NOT NULL,
    role    TEXT NOT NULL,
    hash    BLOB UNIQUE,     -- of the token; NULL: none
    prefix  TEXT NOT NULL,
    issuer  TEXT NOT NULL,   -- of a single sign-on; empty: none
    subject TEXT NOT NULL,
    created BIGINT NOT NULL,
    ended   BIGINT NOT NULL  -- 0: not
);
CREATE UNIQUE INDEX staff_member_subject ON staff_member (issuer, subject) WHERE issuer <> '' AND ended = 0;

-- Browsers that have signed in, by the hash of their cookie.
CREATE TABLE staff_session (
    hash   BLOB PRIMARY KEY NOT NULL,
    member TEXT NOT NULL,
    key    TEXT NOT NULL,
    began  BIGINT NOT NULL,
    seen   BIGINT NOT NULL,
    ends   BIGINT NOT NULL
);
