DELETE FROM budget WHERE scope = $1 AND subject = $2 AND period = $3
