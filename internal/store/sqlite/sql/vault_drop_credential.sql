DELETE FROM vault_credential WHERE provider = $1 AND name = $2
