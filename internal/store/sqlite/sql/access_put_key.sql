INSERT INTO access_key (id, name, team, admin, hash, prefix, created, expires, revoked, models,
                        requests_per_minute, tokens_per_minute, parallel, rotated_to, priority, may_raise)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name,
    team = excluded.team,
    expires = excluded.expires,
    revoked = CASE WHEN access_key.revoked <> 0 THEN access_key.revoked ELSE excluded.revoked END,
    models = excluded.models,
    requests_per_minute = excluded.requests_per_minute,
    tokens_per_minute = excluded.tokens_per_minute,
    parallel = excluded.parallel,
    rotated_to = excluded.rotated_to,
    priority = excluded.priority,
    may_raise = excluded.may_raise
