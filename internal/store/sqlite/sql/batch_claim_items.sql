UPDATE batch_item SET worker = $1, lease = $2 WHERE id IN (
SELECT i.id FROM batch_item i JOIN batch_job j ON j.id = i.job
WHERE i.state = $3 AND i.due <= $4 AND i.lease <= $4 AND j.ready = 1 ORDER BY i.deadline, i.id LIMIT $5)
RETURNING id, job, idx, custom, dialect, op, model, state, path, why, provider, target, sent, tries, changed, deadline, bytes
