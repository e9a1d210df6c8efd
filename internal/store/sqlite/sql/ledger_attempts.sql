SELECT t.n, g.provider, g.model, t.began, t.first_byte, t.total, t.status, c.word, f.word, s.word,
       t.input, t.cache_read, t.cache_write_5m, t.cache_write_1h, t.output, t.reasoning, t.cost, w.word,
       t.upstream_id, t.message
FROM ledger_attempt t
JOIN ledger_target g ON g.id = t.target
JOIN ledger_word c ON c.id = t.class
JOIN ledger_word f ON f.id = t.finish
JOIN ledger_word s ON s.id = t.source
JOIN ledger_word w ON w.id = t.why
WHERE t.request = $1
ORDER BY t.n
