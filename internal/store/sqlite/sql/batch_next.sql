SELECT MIN(at) FROM (
SELECT CASE WHEN lease > due THEN lease ELSE due END AS at FROM batch_sent WHERE phase IN ('intent', 'held', 'running', 'canceling')
UNION ALL SELECT at FROM (SELECT due AS at FROM batch_item WHERE due > 0 AND due > $1 AND state IN ('retrying', 'realtime') ORDER BY due LIMIT 1) AS item) AS work
