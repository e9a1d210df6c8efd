UPDATE batch_sent SET upstream = $1, phase = $2, canceled = $3, ended = $4, due = $5, polls = $6, lease = 0, worker = '' WHERE id = $7
