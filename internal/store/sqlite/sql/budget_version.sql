SELECT version FROM budget_version WHERE id = 1
