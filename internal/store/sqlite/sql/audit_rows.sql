SELECT n, at, actor, action, subject, prev, hash
FROM audit_row
WHERE n < $1 AND ($2 = '' OR actor = $2) AND ($3 = '' OR action = $3) AND at >= $4 AND at < $5
ORDER BY n DESC
LIMIT $6
