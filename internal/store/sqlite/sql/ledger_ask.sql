INSERT INTO ledger_ask (dialect, op, asked, streamed, needs) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (dialect, op, asked, streamed, needs) DO UPDATE SET op = excluded.op
RETURNING id
