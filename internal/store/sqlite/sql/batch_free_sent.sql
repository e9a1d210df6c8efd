UPDATE batch_sent SET lease = 0 WHERE worker = $1 AND lease > 0 AND phase <> 'over'
