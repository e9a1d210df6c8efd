INSERT INTO batch_sent (id, provider, model, upstream, phase, items, created, canceled, ended, due, polls, lease, worker)
VALUES ($1, $2, $3, '', 'intent', $4, $5, 0, 0, $6, 0, 0, '')
