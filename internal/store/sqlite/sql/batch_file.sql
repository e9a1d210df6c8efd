SELECT f.id, f.owner, f.name, f.purpose, f.bytes, f.created, f.expires FROM batch_file f WHERE f.id = $1 AND f.owner = $2 AND f.expires > $3
