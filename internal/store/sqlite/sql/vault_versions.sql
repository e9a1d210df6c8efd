SELECT id, at, set_by, why, sum FROM vault_version WHERE id < $1 ORDER BY id DESC LIMIT $2
