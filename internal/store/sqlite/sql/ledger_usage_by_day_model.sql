-- $1 to $2 are whole days, $3 to $4 and $5 to $6 the hours before and after them.
-- Grouped by number first: joining and grouping texts once per row is slow.
SELECT CAST(h.day AS TEXT) || ' ' || CASE WHEN g.provider = '' THEN '' ELSE g.provider || '/' || g.model END, '',
       CAST(h.requests AS BIGINT), CAST(h.failed AS BIGINT), CAST(h.attempts AS BIGINT), CAST(h.failed_attempts AS BIGINT),
       CAST(h.estimated AS BIGINT), CAST(h.unpriced AS BIGINT), CAST(h.input AS BIGINT), CAST(h.cache_read AS BIGINT),
       CAST(h.cache_write_5m AS BIGINT), CAST(h.cache_write_1h AS BIGINT), CAST(h.output AS BIGINT), CAST(h.reasoning AS BIGINT),
       CAST(h.cost AS BIGINT), CAST(h.reported AS BIGINT), CAST(h.listed AS BIGINT)
FROM (
    SELECT day, target, SUM(requests) AS requests, SUM(failed) AS failed, SUM(attempts) AS attempts, SUM(failed_attempts) AS failed_attempts,
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
    GROUP BY day, target
) h
JOIN ledger_target g ON g.id = h.target
ORDER BY h.day DESC, h.cost DESC, h.requests DESC, g.provider, g.model
