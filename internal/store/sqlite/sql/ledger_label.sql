INSERT INTO ledger_label (route, task, tags) VALUES ($1, $2, $3)
ON CONFLICT (route, task, tags) DO UPDATE SET route = excluded.route
RETURNING id
