SELECT id FROM batch_job WHERE id = $1 AND owner = $2
