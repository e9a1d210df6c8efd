INSERT INTO staff_session (hash, member, key, began, seen, ends)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (hash) DO UPDATE SET seen = excluded.seen
