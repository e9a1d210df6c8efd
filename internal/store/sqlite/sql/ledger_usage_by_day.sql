-- $1 to $2 are whole days, $3 to $4 and $5 to $6 the hours before and after them.
SELECT CAST(h.day AS TEXT), '',
       CAST(SUM(h.requests) AS BIGINT), CAST(SUM(h.failed) AS BIGINT), CAST(SUM(h.attempts) AS BIGINT), CAST(SUM(h.failed_attempts) AS BIGINT), CAST(SUM(h.estimated) AS BIGINT), CAST(SUM(h.unpriced) AS BIGINT),
       CAST(SUM(h.input) AS BIGINT), CAST(SUM(h.cache_read) AS BIGINT), CAST(SUM(h.cache_write_5m) AS BIGINT), CAST(SUM(h.cache_write_1h) AS BIGINT), CAST(SUM(h.output) AS BIGINT), CAST(SUM(h.reasoning) AS BIGINT), CAST(SUM(h.cost) AS BIGINT), CAST(SUM(h.reported) AS BIGINT), CAST(SUM(h.listed) AS BIGINT)
FROM (
    SELECT day, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed
    FROM ledger_day WHERE day >= $1 AND day < $2
    UNION ALL
    SELECT hour / 24, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed
    FROM ledger_hour WHERE hour >= $3 AND hour < $4
    UNION ALL
    SELECT hour / 24, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed
    FROM ledger_hour WHERE hour >= $5 AND hour < $6
) h
GROUP BY h.day
ORDER BY h.day DESC
