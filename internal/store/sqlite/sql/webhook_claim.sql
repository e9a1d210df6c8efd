UPDATE webhook_delivery SET worker = $1, lease = $2 WHERE (job, at) IN (
SELECT d.job, d.at FROM webhook_delivery d WHERE d.due <= $3 AND d.lease <= $3 ORDER BY d.due LIMIT $4)
RETURNING job, at, endpoint, body, tries, due
