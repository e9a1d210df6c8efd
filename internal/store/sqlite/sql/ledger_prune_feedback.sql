DELETE FROM ledger_feedback WHERE request IN (SELECT id FROM ledger_request WHERE seq <= $1)
