INSERT INTO batch_item (id, job, idx, custom, dialect, op, model, state, path, why, provider, target, sent, tries, changed, deadline, due, lease, worker, bytes, cost, realtime, doubled, dropped, seq)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', $9, '', '', 0, 0, $10, $11, 0, 0, '', $12, 0, 0, 0, 0, $13)
