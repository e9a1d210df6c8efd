SELECT state, COUNT(*), SUM(cost), SUM(realtime), SUM(doubled) FROM batch_item WHERE job = $1 GROUP BY state
