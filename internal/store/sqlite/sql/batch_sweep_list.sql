SELECT id FROM batch_job WHERE (ended > 0 AND ended < $1) OR (ready = 0 AND created < $2) LIMIT 100
