INSERT INTO vault_version (at, set_by, why, sum, sealed) VALUES ($1, $2, $3, $4, $5) RETURNING id
