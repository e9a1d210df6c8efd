UPDATE webhook_delivery SET lease = 0, worker = '' WHERE worker = $1
