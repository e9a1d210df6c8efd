UPDATE ledger_run SET batch = $2, written = $3 WHERE id = $1
