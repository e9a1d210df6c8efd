SELECT state FROM batch_item WHERE id = $1
