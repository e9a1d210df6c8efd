SELECT body FROM batch_part WHERE file = $1 AND idx = $2
