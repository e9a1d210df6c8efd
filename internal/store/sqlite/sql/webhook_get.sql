SELECT id, owner, url, sealed, created FROM webhook WHERE id = $1
