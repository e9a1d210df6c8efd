SELECT batch FROM ledger_run WHERE id = $1
