INSERT INTO budget_account (budget, start, spent) VALUES ($1, $2, 0)
ON CONFLICT (budget, start) DO UPDATE SET spent = budget_account.spent
RETURNING id
