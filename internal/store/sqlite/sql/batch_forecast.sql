UPDATE batch_job SET share = $1, in_time = $2, leaves = $3 WHERE id = $4
