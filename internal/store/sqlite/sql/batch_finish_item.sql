UPDATE batch_item SET state = $1, why = $2, cost = $3, realtime = $4, changed = $5, seq = $6, lease = 0, worker = ''
WHERE id = $7 AND state NOT IN ('succeeded', 'failed', 'canceled', 'expired')
