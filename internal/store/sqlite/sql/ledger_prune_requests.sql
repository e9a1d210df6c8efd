DELETE FROM ledger_request WHERE seq <= $1
