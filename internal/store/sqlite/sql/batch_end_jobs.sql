UPDATE batch_job SET ended = $1 WHERE ended = 0 AND ready = 1
AND NOT EXISTS (SELECT 1 FROM batch_item i WHERE i.job = batch_job.id AND i.state NOT IN ('succeeded', 'failed', 'canceled', 'expired'))
RETURNING id, webhook
