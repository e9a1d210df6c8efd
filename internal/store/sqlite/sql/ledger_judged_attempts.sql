SELECT g.provider, g.model, y.class, y.finish
FROM ledger_attempt t
JOIN ledger_target g ON g.id = t.target
JOIN ledger_try y ON y.id = t.tried
WHERE t.request = $1
ORDER BY t.n
