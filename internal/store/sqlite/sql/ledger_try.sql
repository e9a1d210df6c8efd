INSERT INTO ledger_try (why, status, class, finish, source, phase, category) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (why, status, class, finish, source, phase, category) DO UPDATE SET status = excluded.status
RETURNING id
