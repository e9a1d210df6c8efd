SELECT g.provider, '',
       CAST(SUM(h.requests) AS BIGINT), CAST(SUM(h.failed) AS BIGINT), CAST(SUM(h.attempts) AS BIGINT), CAST(SUM(h.failed_attempts) AS BIGINT), CAST(SUM(h.estimated) AS BIGINT), CAST(SUM(h.unpriced) AS BIGINT),
       CAST(SUM(h.input) AS BIGINT), CAST(SUM(h.cache_read) AS BIGINT), CAST(SUM(h.cache_write_5m) AS BIGINT), CAST(SUM(h.cache_write_1h) AS BIGINT), CAST(SUM(h.output) AS BIGINT), CAST(SUM(h.reasoning) AS BIGINT), CAST(SUM(h.cost) AS BIGINT)
FROM ledger_hour h JOIN ledger_target g ON g.id = h.target
WHERE h.hour >= $1 AND h.hour < $2
GROUP BY g.provider
ORDER BY SUM(h.cost) DESC, SUM(h.requests) DESC, g.provider
