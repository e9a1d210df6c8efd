-- +goose Up

-- Addresses of clients that are told of the end of their jobs.
CREATE TABLE webhook (
    id      BIGINT PRIMARY KEY,
    owner   TEXT NOT NULL,
    url     TEXT NOT NULL,
    sealed  BLOB NOT NULL, -- the secret
    created BIGINT NOT NULL
);
CREATE INDEX webhook_owner ON webhook (owner, id);

-- Messages on their way: one is written with the end of its job and deleted
-- when it is heard or given up.
CREATE TABLE webhook_delivery (
    job      BIGINT NOT NULL,
    at       BIGINT NOT NULL, -- when the job ended
    endpoint TEXT NOT NULL,
    body     BLOB NOT NULL,   -- empty before the first try
    tries    BIGINT NOT NULL,
    due      BIGINT NOT NULL,
    lease    BIGINT NOT NULL,
    worker   TEXT NOT NULL,
    PRIMARY KEY (job, at)
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (due);
