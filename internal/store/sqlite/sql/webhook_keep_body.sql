UPDATE webhook_delivery SET body = $1 WHERE job = $2 AND at = $3
