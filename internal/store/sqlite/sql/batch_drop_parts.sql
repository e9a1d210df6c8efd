DELETE FROM batch_part WHERE file = $1
