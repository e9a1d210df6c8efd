DELETE FROM ledger_choice WHERE request IN (SELECT id FROM ledger_request WHERE seq <= $1)
