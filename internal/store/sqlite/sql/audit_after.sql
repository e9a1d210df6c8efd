SELECT n, at, actor, action, subject, prev, hash FROM audit_row WHERE n > $1 ORDER BY n LIMIT $2
