INSERT INTO ledger_end (status, class, committed) VALUES ($1, $2, $3)
ON CONFLICT (status, class, committed) DO UPDATE SET status = excluded.status
RETURNING id
