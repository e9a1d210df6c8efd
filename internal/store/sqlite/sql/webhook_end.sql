DELETE FROM webhook_delivery WHERE job = $1 AND at = $2
