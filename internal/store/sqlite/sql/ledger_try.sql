INSERT INTO ledger_try (why, status, class, finish, source) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (why, status, class, finish, source) DO UPDATE SET status = excluded.status
RETURNING id
