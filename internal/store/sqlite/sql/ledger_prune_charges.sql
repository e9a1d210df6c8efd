DELETE FROM ledger_charge WHERE request IN (SELECT id FROM ledger_request WHERE seq <= $1)
