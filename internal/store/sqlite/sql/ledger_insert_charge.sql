INSERT INTO ledger_charge (request, account, amount) VALUES ($1, $2, $3)
