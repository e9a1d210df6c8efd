SELECT id FROM batch_sent WHERE provider = $1 AND upstream = $2 LIMIT 1
