UPDATE batch_sent SET worker = $1, lease = $2 WHERE id IN (
SELECT id FROM batch_sent WHERE phase = $3 AND due <= $4 AND lease <= $4 ORDER BY due, id LIMIT $5)
RETURNING id, provider, model, upstream, phase, items, created, canceled, ended, due, polls
