SELECT seq FROM ledger_request WHERE id = $1
