SELECT amount FROM budget_lease WHERE account = $1 AND run = $2
