DELETE FROM batch_job WHERE id = $1
