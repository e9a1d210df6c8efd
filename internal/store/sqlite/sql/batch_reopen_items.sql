UPDATE batch_item SET state = 'queued', path = '', why = 'asked for again', sent = 0, deadline = $1, due = 0, lease = 0, seq = 0, changed = $2
WHERE job = $3 AND state IN ('failed', 'canceled', 'expired')
