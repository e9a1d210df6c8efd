DELETE FROM budget_lease
WHERE account = $1 AND run NOT IN (SELECT id FROM ledger_run WHERE state = 'open')
