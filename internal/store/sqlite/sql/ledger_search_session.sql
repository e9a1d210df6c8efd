SELECT COALESCE(MIN(request), 0), COALESCE(MAX(request), 0) FROM ledger_mark WHERE session = $1
