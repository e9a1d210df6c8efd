DELETE FROM batch_body WHERE item IN (SELECT id FROM batch_item WHERE job = $1)
