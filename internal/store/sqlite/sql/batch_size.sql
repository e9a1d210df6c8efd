UPDATE batch_sent SET items = $1 WHERE id = $2
