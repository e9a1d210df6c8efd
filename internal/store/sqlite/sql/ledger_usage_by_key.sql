-- $1 to $2 are whole days, $3 to $4 and $5 to $6 the hours before and after them.
-- Grouped by number first: joining and grouping texts once per row is slow.
SELECT u.key_id, l.key_name,
       u.requests, u.failed, u.attempts, u.failed_attempts, u.estimated, u.unpriced,
       u.input, u.cache_read, u.cache_write_5m, u.cache_write_1h, u.output, u.reasoning,
       u.cost, u.reported, u.listed
FROM (
    SELECT c.key_id AS key_id, MAX(c.id) AS latest,
           CAST(SUM(h.requests) AS BIGINT) AS requests, CAST(SUM(h.failed) AS BIGINT) AS failed, CAST(SUM(h.attempts) AS BIGINT) AS attempts,
           CAST(SUM(h.failed_attempts) AS BIGINT) AS failed_attempts, CAST(SUM(h.estimated) AS BIGINT) AS estimated, CAST(SUM(h.unpriced) AS BIGINT) AS unpriced,
           CAST(SUM(h.input) AS BIGINT) AS input, CAST(SUM(h.cache_read) AS BIGINT) AS cache_read, CAST(SUM(h.cache_write_5m) AS BIGINT) AS cache_write_5m,
           CAST(SUM(h.cache_write_1h) AS BIGINT) AS cache_write_1h, CAST(SUM(h.output) AS BIGINT) AS output, CAST(SUM(h.reasoning) AS BIGINT) AS reasoning,
           CAST(SUM(h.cost) AS BIGINT) AS cost,
           CAST(SUM(h.reported) AS BIGINT) AS reported, CAST(SUM(h.listed) AS BIGINT) AS listed
    FROM (
    SELECT caller, SUM(requests) AS requests, SUM(failed) AS failed, SUM(attempts) AS attempts, SUM(failed_attempts) AS failed_attempts,
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
    GROUP BY caller
) h
    JOIN ledger_caller c ON c.id = h.caller
    GROUP BY c.key_id
) u
JOIN ledger_caller l ON l.id = u.latest
ORDER BY u.cost DESC, u.requests DESC, u.key_id
