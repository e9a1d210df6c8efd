SELECT seq, began FROM ledger_request ORDER BY seq LIMIT $1
