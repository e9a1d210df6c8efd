DELETE FROM batch_time WHERE provider = $1 AND model = $2 AND sent <=
(SELECT t.sent FROM batch_time t WHERE t.provider = $1 AND t.model = $2 ORDER BY t.sent DESC LIMIT 1 OFFSET $3)
