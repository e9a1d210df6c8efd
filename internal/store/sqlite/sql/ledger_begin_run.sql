INSERT INTO ledger_run (id, written, batch, state) VALUES ($1, $2, 0, 'open')
ON CONFLICT (id) DO NOTHING
