UPDATE batch_job SET ready = 1 WHERE id = $1 AND owner = $2
