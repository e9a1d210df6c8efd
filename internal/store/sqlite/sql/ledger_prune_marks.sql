DELETE FROM ledger_mark WHERE request IN (SELECT id FROM ledger_request WHERE seq <= $1)
