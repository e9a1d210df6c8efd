DELETE FROM batch_time WHERE provider = $1 AND model = $2 AND at <=
(SELECT t.at FROM batch_time t WHERE t.provider = $1 AND t.model = $2 ORDER BY t.at DESC LIMIT 1 OFFSET $3)
