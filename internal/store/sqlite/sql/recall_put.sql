INSERT INTO recall_sealed (kind, owner, id, created, expires, seal, data)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (kind, owner, id) DO UPDATE SET
    created = excluded.created,
    expires = excluded.expires,
    seal = excluded.seal,
    data = excluded.data
