SELECT id, owner, url, sealed, created FROM webhook WHERE owner = $1 ORDER BY id
