-- $1 to $2 are whole days, $3 to $4 and $5 to $6 the hours before and after them.
-- Grouped by number first: joining and grouping texts once per row is slow.
SELECT g.provider, '',
       CAST(SUM(h.requests) AS BIGINT), CAST(SUM(h.failed) AS BIGINT), CAST(SUM(h.attempts) AS BIGINT), CAST(SUM(h.failed_attempts) AS BIGINT),
       CAST(SUM(h.estimated) AS BIGINT), CAST(SUM(h.unpriced) AS BIGINT), CAST(SUM(h.input) AS BIGINT), CAST(SUM(h.cache_read) AS BIGINT),
       CAST(SUM(h.cache_write_5m) AS BIGINT), CAST(SUM(h.cache_write_1h) AS BIGINT), CAST(SUM(h.output) AS BIGINT), CAST(SUM(h.reasoning) AS BIGINT),
       CAST(SUM(h.cost) AS BIGINT), CAST(SUM(h.reported) AS BIGINT), CAST(SUM(h.listed) AS BIGINT)
FROM (
    SELECT target, SUM(requests) AS requests, SUM(failed) AS failed, SUM(attempts) AS attempts, SUM(failed_attempts) AS failed_attempts,
           SUM(estimated) AS estimated, SUM(unpriced) AS unpriced, SUM(input) AS input, SUM(cache_read) AS cache_read,
           SUM(cache_write_5m) AS cache_write_5m, SUM(cache_write_1h) AS cache_write_1h, SUM(output) AS output, SUM(reasoning) AS reasoning,
           SUM(cost) AS cost, SUM(reported) AS reported, SUM(listed) AS listed
    FROM (
    SELECT day, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed
    FROM ledger_day WHERE day >= $1 AND day < $2
    UNION ALL
    SELECT hour / 24, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed
    FROM ledger_hour WHERE hour >= $3 AND hour < $4
    UNION ALL
    SELECT hour / 24, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed
    FROM ledger_hour WHERE hour >= $5 AND hour < $6
) r
    GROUP BY target
) h
JOIN ledger_target g ON g.id = h.target
GROUP BY g.provider
ORDER BY SUM(h.cost) DESC, SUM(h.requests) DESC, g.provider
