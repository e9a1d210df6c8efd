SELECT asked, task, target, CAST(SUM(requests) AS BIGINT), CAST(SUM(attempts) AS BIGINT), CAST(SUM(escalated) AS BIGINT),
       CAST(SUM(ended_well) AS BIGINT), CAST(SUM(explicit) AS BIGINT), CAST(SUM(explicit_score) AS BIGINT), CAST(SUM(implicit) AS BIGINT),
       CAST(SUM(successes) AS BIGINT), CAST(SUM(cost) AS BIGINT), CAST(SUM(unpriced) AS BIGINT), CAST(SUM(worth) AS BIGINT)
FROM ledger_success
WHERE day >= $1 AND day < $2
GROUP BY asked, task, target
ORDER BY asked, task, target
