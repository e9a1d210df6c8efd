SELECT a.spent,
       CAST(COALESCE(SUM(CASE WHEN l.amount > 0 THEN l.amount ELSE 0 END), 0) AS BIGINT),
       CAST(COALESCE(SUM(CASE WHEN l.amount > 0 AND (r.state IS NULL OR r.state <> 'open') THEN l.amount ELSE 0 END), 0) AS BIGINT)
FROM budget_account a
LEFT JOIN budget_lease l ON l.account = a.id
LEFT JOIN ledger_run r ON r.id = l.run
WHERE a.budget = $1 AND a.start = $2
GROUP BY a.id, a.spent
