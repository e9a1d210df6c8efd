INSERT INTO budget_lease (account, run, amount) VALUES ($1, $2, $3)
ON CONFLICT (account, run) DO UPDATE SET amount = budget_lease.amount + excluded.amount
