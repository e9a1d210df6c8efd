INSERT INTO vault_credential (provider, name, last, added, added_by, sealed) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
