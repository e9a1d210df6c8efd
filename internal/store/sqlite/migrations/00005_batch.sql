-- +goose Up

-- Jobs that are answered later. One that is not ready is still being received.
CREATE TABLE batch_job (
    id       BIGINT PRIMARY KEY,
    owner    TEXT NOT NULL,
    team     TEXT NOT NULL,
    dialect  TEXT NOT NULL,
    form     TEXT NOT NULL,
    name     TEXT NOT NULL,
    meta     BLOB NOT NULL,
    priority TEXT NOT NULL,
    webhook  TEXT NOT NULL,
    created  BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    ended    BIGINT NOT NULL, -- 0: not yet
    canceled BIGINT NOT NULL, -- 0: not
    ready    BIGINT NOT NULL
);
CREATE INDEX batch_job_owner ON batch_job (owner, id);
CREATE INDEX batch_job_open ON batch_job (ended, id);

-- Idempotency keys: the digest of what was submitted under each.
CREATE TABLE batch_key (
    owner   TEXT NOT NULL,
    name    TEXT NOT NULL,
    digest  TEXT NOT NULL,
    job     BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
) WITHOUT ROWID;

CREATE TABLE batch_item (
    id       BIGINT PRIMARY KEY,
    job      BIGINT NOT NULL,
    idx      BIGINT NOT NULL,
    custom   TEXT NOT NULL,
    dialect  TEXT NOT NULL,
    op       TEXT NOT NULL,
    model    TEXT NOT NULL,
    state    TEXT NOT NULL,
    path     TEXT NOT NULL,
    why      TEXT NOT NULL,
    provider TEXT NOT NULL,
    target   TEXT NOT NULL,   -- the provider's model
    sent     BIGINT NOT NULL, -- batch_sent, 0: in none
    tries    BIGINT NOT NULL,
    changed  BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    due      BIGINT NOT NULL, -- not to be worked on before
    lease    BIGINT NOT NULL, -- claimed until
    worker   TEXT NOT NULL,
    bytes    BIGINT NOT NULL,
    cost     BIGINT NOT NULL, -- nanodollars
    realtime BIGINT NOT NULL,
    doubled  BIGINT NOT NULL, -- paid for answers that were dropped
    dropped  BIGINT NOT NULL, -- how many those were
    UNIQUE (job, idx),
    UNIQUE (job, custom)
);
CREATE INDEX batch_item_work ON batch_item (state, deadline, id);
CREATE INDEX batch_item_count ON batch_item (job, state, cost, realtime, doubled);
CREATE INDEX batch_item_sent ON batch_item (sent);

-- What was asked and answered, sealed.
CREATE TABLE batch_body (
    item   BIGINT PRIMARY KEY,
    body   BLOB NOT NULL,
    answer BLOB NOT NULL
);

-- Batches at providers. One without an upstream id is an intent: it may have
-- been posted or not.
CREATE TABLE batch_sent (
    id       BIGINT PRIMARY KEY,
    provider TEXT NOT NULL,
    model    TEXT NOT NULL,
    upstream TEXT NOT NULL,
    phase    TEXT NOT NULL, -- intent, held, running, canceling, over
    items    BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    canceled BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    due      BIGINT NOT NULL,
    polls    BIGINT NOT NULL,
    lease    BIGINT NOT NULL,
    worker   TEXT NOT NULL
);
CREATE INDEX batch_sent_due ON batch_sent (phase, due);
