UPDATE batch_item SET state = 'ended', changed = $1 WHERE sent = $2 AND state = 'running'
