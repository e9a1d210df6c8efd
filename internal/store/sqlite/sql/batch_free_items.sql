UPDATE batch_item SET lease = 0 WHERE worker = $1 AND lease > 0 AND state NOT IN ('succeeded', 'failed', 'canceled', 'expired')
