DELETE FROM ledger_attempt WHERE request IN (SELECT id FROM ledger_request WHERE seq <= $1)
