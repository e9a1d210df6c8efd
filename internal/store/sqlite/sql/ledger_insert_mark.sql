INSERT INTO ledger_mark (request, label, session) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
