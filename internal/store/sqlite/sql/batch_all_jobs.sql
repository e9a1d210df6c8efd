SELECT id, owner FROM batch_job WHERE id < $1 AND ready = 1 ORDER BY id DESC LIMIT $2
