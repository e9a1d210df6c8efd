INSERT INTO ledger_day_word (day, kind, word) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
