INSERT INTO ledger_choice (request, task, fault, data) VALUES ($1, $2, $3, $4)
