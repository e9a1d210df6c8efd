UPDATE batch_item SET held = $1 WHERE id = $2
