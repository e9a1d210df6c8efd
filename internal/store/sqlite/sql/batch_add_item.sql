INSERT INTO batch_item (id, job, idx, custom, dialect, op, model, state, path, why, provider, target, sent, tries, changed, deadline, due, lease, worker, bytes, cost, realtime, doubled, dropped)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', '', '', '', 0, 0, $9, $10, 0, 0, '', $11, 0, 0, 0, 0)
