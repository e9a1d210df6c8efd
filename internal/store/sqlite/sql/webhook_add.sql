INSERT INTO webhook_delivery (job, at, endpoint, body, tries, due, lease, worker) VALUES ($1, $2, $3, '', 0, $2, 0, '')
