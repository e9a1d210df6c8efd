INSERT INTO ledger_feedback (request, explicit, signal, noted, score, worth) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (request, explicit, signal) DO UPDATE SET noted = excluded.noted, score = excluded.score, worth = excluded.worth
