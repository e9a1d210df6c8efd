SELECT id, provider, model, upstream, phase, items, created, canceled, ended, due, polls FROM batch_sent
WHERE id IN (SELECT sent FROM batch_item WHERE job = $1 AND state IN ('submitted', 'running', 'ended')) ORDER BY id
