UPDATE batch_job SET ended = 0, canceled = 0, deadline = $1 WHERE id = $2 AND owner = $3 AND ready = 1
