INSERT INTO ledger_ask (dialect, op, asked, streamed) VALUES ($1, $2, $3, $4)
ON CONFLICT (dialect, op, asked, streamed) DO UPDATE SET op = excluded.op
RETURNING id
