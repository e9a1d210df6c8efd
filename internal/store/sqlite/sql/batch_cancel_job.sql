UPDATE batch_job SET canceled = $1 WHERE id = $2 AND owner = $3 AND ready = 1 AND canceled = 0 AND ended = 0
