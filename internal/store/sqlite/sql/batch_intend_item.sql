UPDATE batch_item SET state = 'submitted', sent = $1, changed = $2, lease = 0, worker = '' WHERE id = $3 AND state = 'coalescing'
