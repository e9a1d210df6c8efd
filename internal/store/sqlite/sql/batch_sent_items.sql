SELECT i.id, i.job, i.idx, i.custom, i.dialect, i.op, i.model, i.state, i.path, i.why, i.provider, i.target, i.sent, i.tries, i.changed, i.deadline, i.bytes, b.body, b.answer FROM batch_item i JOIN batch_body b ON b.item = i.id
WHERE i.sent = $1 AND i.state IN ('submitted', 'running', 'ended') ORDER BY i.id
