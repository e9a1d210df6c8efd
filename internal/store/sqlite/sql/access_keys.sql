SELECT id, name, team, admin, hash, prefix, created, expires, revoked, models,
       requests_per_minute, tokens_per_minute, parallel, rotated_to, priority, may_raise
FROM access_key
ORDER BY created, id
