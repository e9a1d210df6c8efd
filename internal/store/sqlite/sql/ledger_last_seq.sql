SELECT COALESCE(MAX(seq), 0) FROM ledger_request
