UPDATE webhook_delivery SET tries = $1, due = $2, lease = 0, worker = '' WHERE job = $3 AND at = $4
