-- $1 to $2 are whole days, $3 to $4 and $5 to $6 the hours before and after them;
-- $7 is the length of a bucket in hours, 0 for one of all time. $8 to $10 are 1
-- for what sums are apart by, else 0. Grouped by number first: joining and
-- grouping texts once per row is slow.
SELECT u.bucket, COALESCE(c.key_id, ''), COALESCE(c.key_name, ''), COALESCE(c.team, ''), COALESCE(g.provider, ''), COALESCE(g.model, ''),
       COALESCE(l.route, ''), COALESCE(l.task, ''), COALESCE(l.tags, ''),
       u.requests, u.failed, u.attempts, u.failed_attempts, u.estimated, u.unpriced, u.input, u.cache_read, u.cache_write_5m, u.cache_write_1h, u.output, u.reasoning, u.cost, u.reported, u.listed
FROM (
    SELECT CASE WHEN CAST($7 AS BIGINT) = 0 THEN 0 ELSE h.hour / CAST($7 AS BIGINT) END AS bucket,
           h.caller * CAST($8 AS BIGINT) AS caller, h.target * CAST($9 AS BIGINT) AS target, h.label * CAST($10 AS BIGINT) AS label,
           CAST(SUM(h.requests) AS BIGINT) AS requests, CAST(SUM(h.failed) AS BIGINT) AS failed, CAST(SUM(h.attempts) AS BIGINT) AS attempts, CAST(SUM(h.failed_attempts) AS BIGINT) AS failed_attempts, CAST(SUM(h.estimated) AS BIGINT) AS estimated,
           CAST(SUM(h.unpriced) AS BIGINT) AS unpriced, CAST(SUM(h.input) AS BIGINT) AS input, CAST(SUM(h.cache_read) AS BIGINT) AS cache_read, CAST(SUM(h.cache_write_5m) AS BIGINT) AS cache_write_5m, CAST(SUM(h.cache_write_1h) AS BIGINT) AS cache_write_1h,
           CAST(SUM(h.output) AS BIGINT) AS output, CAST(SUM(h.reasoning) AS BIGINT) AS reasoning, CAST(SUM(h.cost) AS BIGINT) AS cost, CAST(SUM(h.reported) AS BIGINT) AS reported, CAST(SUM(h.listed) AS BIGINT) AS listed
    FROM (
        SELECT day * 24 AS hour, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed
        FROM ledger_day_label WHERE day >= $1 AND day < $2
        UNION ALL
        SELECT hour, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed
        FROM ledger_hour_label WHERE hour >= $3 AND hour < $4
        UNION ALL
        SELECT hour, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed
        FROM ledger_hour_label WHERE hour >= $5 AND hour < $6
    ) h
    WHERE ($11 = '' OR h.caller IN (SELECT id FROM ledger_caller WHERE key_id = $11))
      AND ($12 = '' OR h.caller IN (SELECT id FROM ledger_caller WHERE team = $12))
      AND ($13 = '' OR h.target IN (SELECT id FROM ledger_target WHERE provider = $13))
      AND ($14 = '' OR h.target IN (SELECT id FROM ledger_target WHERE model = $14))
      AND ($15 = '' AND $16 = '' AND $17 = '' OR h.label IN (
            SELECT id FROM ledger_label
            WHERE ($15 = '' OR route = $15) AND ($16 = '' OR task = $16) AND ($17 = '' OR REPLACE(tags, $17, '') <> tags)))
    GROUP BY 1, 2, 3, 4
) u
LEFT JOIN ledger_caller c ON c.id = u.caller
LEFT JOIN ledger_target g ON g.id = u.target
LEFT JOIN ledger_label l ON l.id = u.label
ORDER BY u.bucket
