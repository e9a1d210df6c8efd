DELETE FROM vault_version WHERE id <= (SELECT id FROM vault_version ORDER BY id DESC LIMIT 1 OFFSET $1)
