INSERT INTO ledger_target (provider, model) VALUES ($1, $2)
ON CONFLICT (provider, model) DO UPDATE SET provider = excluded.provider
RETURNING id
