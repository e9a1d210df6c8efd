DELETE FROM webhook_delivery WHERE endpoint = $1
