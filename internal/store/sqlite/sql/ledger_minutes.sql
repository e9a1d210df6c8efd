-- Minutes from $1 to $2, in milliseconds, of the entries themselves; $3 and $4
-- bound their ids. A request counts where its last attempt went. $5 and on say what
-- sums are apart by and what is let through.
SELECT u.bucket, COALESCE(c.key_id, ''), COALESCE(c.key_name, ''), COALESCE(c.team, ''), COALESCE(g.provider, ''), COALESCE(g.model, ''),
       COALESCE(l.route, ''), COALESCE(l.task, ''), COALESCE(l.tags, ''),
       u.requests, u.failed, u.attempts, u.failed_attempts, u.estimated, u.unpriced, u.input, u.cache_read, u.cache_write_5m, u.cache_write_1h, u.output, u.reasoning, u.cost, u.reported, u.listed
FROM (
    SELECT h.minute AS bucket,
           h.caller * CAST($5 AS BIGINT) AS caller, h.target * CAST($6 AS BIGINT) AS target, h.label * CAST($7 AS BIGINT) AS label,
           CAST(SUM(h.requests) AS BIGINT) AS requests, CAST(SUM(h.failed) AS BIGINT) AS failed, CAST(SUM(h.attempts) AS BIGINT) AS attempts, CAST(SUM(h.failed_attempts) AS BIGINT) AS failed_attempts, CAST(SUM(h.estimated) AS BIGINT) AS estimated,
           CAST(SUM(h.unpriced) AS BIGINT) AS unpriced, CAST(SUM(h.input) AS BIGINT) AS input, CAST(SUM(h.cache_read) AS BIGINT) AS cache_read, CAST(SUM(h.cache_write_5m) AS BIGINT) AS cache_write_5m, CAST(SUM(h.cache_write_1h) AS BIGINT) AS cache_write_1h,
           CAST(SUM(h.output) AS BIGINT) AS output, CAST(SUM(h.reasoning) AS BIGINT) AS reasoning, CAST(SUM(h.cost) AS BIGINT) AS cost, CAST(SUM(h.reported) AS BIGINT) AS reported, CAST(SUM(h.listed) AS BIGINT) AS listed
    FROM (
        SELECT r.began / 60000 AS minute, r.caller, COALESCE(t.target, nobody.id) AS target, COALESCE(m.label, 1) AS label,
               CASE WHEN t.n IS NULL OR t.n = (SELECT MAX(x.n) FROM ledger_attempt x WHERE x.request = r.id) THEN 1 ELSE 0 END AS requests,
               CASE WHEN e.class <> '' AND (t.n IS NULL OR t.n = (SELECT MAX(x.n) FROM ledger_attempt x WHERE x.request = r.id)) THEN 1 ELSE 0 END AS failed,
               CASE WHEN t.n IS NULL THEN 0 ELSE 1 END AS attempts,
               CASE WHEN y.class <> '' THEN 1 ELSE 0 END AS failed_attempts,
               CASE WHEN y.source = 'estimated' THEN 1 ELSE 0 END AS estimated,
               CASE WHEN t.n IS NOT NULL AND t.cost IS NULL THEN 1 ELSE 0 END AS unpriced,
               COALESCE(t.input, 0) AS input, COALESCE(t.cache_read, 0) AS cache_read, COALESCE(t.cache_write_5m, 0) AS cache_write_5m,
               COALESCE(t.cache_write_1h, 0) AS cache_write_1h, COALESCE(t.output, 0) AS output, COALESCE(t.reasoning, 0) AS reasoning,
               COALESCE(t.cost, 0) AS cost,
               CASE WHEN t.listed IS NULL THEN 0 ELSE COALESCE(t.reported, 0) END AS reported, COALESCE(t.listed, 0) AS listed
        FROM ledger_request r
        JOIN ledger_end e ON e.id = r.ending
        LEFT JOIN ledger_mark m ON m.request = r.id
        LEFT JOIN ledger_attempt t ON t.request = r.id
        LEFT JOIN ledger_try y ON y.id = t.tried
        LEFT JOIN ledger_target nobody ON nobody.provider = '' AND nobody.model = ''
        WHERE r.id >= $3 AND r.id < $4 AND r.began >= $1 AND r.began < $2
    ) h
    WHERE ($8 = '' OR h.caller IN (SELECT id FROM ledger_caller WHERE key_id = $8))
      AND ($9 = '' OR h.caller IN (SELECT id FROM ledger_caller WHERE team = $9))
      AND ($10 = '' OR h.target IN (SELECT id FROM ledger_target WHERE provider = $10))
      AND ($11 = '' OR h.target IN (SELECT id FROM ledger_target WHERE model = $11))
      AND ($12 = '' AND $13 = '' AND $14 = '' OR h.label IN (
            SELECT id FROM ledger_label
            WHERE ($12 = '' OR route = $12) AND ($13 = '' OR task = $13) AND ($14 = '' OR REPLACE(tags, $14, '') <> tags)))
    GROUP BY 1, 2, 3, 4
) u
LEFT JOIN ledger_caller c ON c.id = u.caller
LEFT JOIN ledger_target g ON g.id = u.target
LEFT JOIN ledger_label l ON l.id = u.label
ORDER BY u.bucket
