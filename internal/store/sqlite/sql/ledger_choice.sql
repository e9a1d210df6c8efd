SELECT task, data FROM ledger_choice WHERE request = $1
