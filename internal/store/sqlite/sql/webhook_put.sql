INSERT INTO webhook (id, owner, url, sealed, created) VALUES ($1, $2, $3, $4, $5)
