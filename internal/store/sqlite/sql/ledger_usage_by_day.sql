SELECT CAST(h.hour / 24 AS TEXT), '',
       CAST(SUM(h.requests) AS BIGINT), CAST(SUM(h.failed) AS BIGINT), CAST(SUM(h.attempts) AS BIGINT), CAST(SUM(h.failed_attempts) AS BIGINT), CAST(SUM(h.estimated) AS BIGINT), CAST(SUM(h.unpriced) AS BIGINT),
       CAST(SUM(h.input) AS BIGINT), CAST(SUM(h.cache_read) AS BIGINT), CAST(SUM(h.cache_write_5m) AS BIGINT), CAST(SUM(h.cache_write_1h) AS BIGINT), CAST(SUM(h.output) AS BIGINT), CAST(SUM(h.reasoning) AS BIGINT), CAST(SUM(h.cost) AS BIGINT), CAST(SUM(h.reported) AS BIGINT), CAST(SUM(h.listed) AS BIGINT)
FROM ledger_hour h
WHERE h.hour >= $1 AND h.hour < $2
GROUP BY h.hour / 24
ORDER BY h.hour / 24 DESC
