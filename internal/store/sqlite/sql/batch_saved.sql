SELECT COUNT(*), COALESCE(SUM(cost + doubled), 0), COALESCE(SUM(realtime), 0)
FROM batch_item
WHERE job >= $1 AND path = 'batch' AND state = 'succeeded' AND realtime > 0
