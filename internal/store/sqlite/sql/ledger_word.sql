INSERT INTO ledger_word (word) VALUES ($1)
ON CONFLICT (word) DO UPDATE SET word = excluded.word
RETURNING id
