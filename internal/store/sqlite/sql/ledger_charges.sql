SELECT a.budget, a.start, c.amount
FROM ledger_charge c
JOIN budget_account a ON a.id = c.account
WHERE c.request = $1
ORDER BY a.budget
