UPDATE batch_item SET doubled = doubled + $1, dropped = dropped + 1 WHERE id = $2
