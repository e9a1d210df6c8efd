UPDATE batch_item SET state = 'running', changed = $1 WHERE sent = $2 AND state = 'submitted'
