DELETE FROM batch_item WHERE job = $1
