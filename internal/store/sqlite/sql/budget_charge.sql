UPDATE budget_account SET spent = spent + $2 WHERE id = $1
