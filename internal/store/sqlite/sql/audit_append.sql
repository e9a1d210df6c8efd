INSERT INTO audit_row (n, at, actor, action, subject, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)
