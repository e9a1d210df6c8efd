SELECT id, at, set_by, why, sum, sealed FROM vault_version WHERE id = $1
