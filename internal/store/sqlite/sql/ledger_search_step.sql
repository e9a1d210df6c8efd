SELECT id FROM ledger_request WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $3
