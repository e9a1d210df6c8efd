SELECT t.n, g.provider, g.model, t.began, t.first_byte, t.total, y.status, y.class, y.finish, y.source,
       t.input, t.cache_read, t.cache_write_5m, t.cache_write_1h, t.output, t.reasoning, t.cost, y.why,
       t.upstream_id, t.message, t.reported, t.listed, y.phase, y.category
FROM ledger_attempt t
JOIN ledger_target g ON g.id = t.target
JOIN ledger_try y ON y.id = t.tried
WHERE t.request = $1
ORDER BY t.n
