SELECT f.id, f.owner, f.name, f.purpose, f.bytes, f.created, f.expires FROM batch_file f WHERE f.owner = $1 AND f.id < $2 AND f.expires > $3 ORDER BY f.id DESC LIMIT $4
