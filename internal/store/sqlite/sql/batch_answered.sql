SELECT i.id, i.job, i.idx, i.custom, i.dialect, i.op, i.model, i.state, i.path, i.why, i.provider, i.target, i.sent, i.tries, i.changed, i.deadline, i.bytes, b.body, b.answer, i.seq FROM batch_item i JOIN batch_body b ON b.item = i.id
WHERE i.job = $1 AND i.seq > 0 AND (i.seq, i.idx) > ($2, $3) ORDER BY i.seq, i.idx LIMIT $4
