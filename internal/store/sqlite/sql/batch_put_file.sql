INSERT INTO batch_file (id, owner, name, purpose, bytes, created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)
