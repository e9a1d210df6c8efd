INSERT INTO ledger_caller (key_id, key_name, team) VALUES ($1, $2, $3)
ON CONFLICT (key_id, key_name, team) DO UPDATE SET key_id = excluded.key_id
RETURNING id
