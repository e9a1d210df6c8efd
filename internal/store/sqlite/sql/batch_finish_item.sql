UPDATE batch_item SET state = $1, why = $2, cost = $3, realtime = $4, changed = $5, lease = 0, worker = ''
WHERE id = $6 AND state NOT IN ('succeeded', 'failed', 'canceled', 'expired')
