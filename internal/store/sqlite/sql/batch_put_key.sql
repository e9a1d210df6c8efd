INSERT INTO batch_key (owner, name, digest, job, expires) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (owner, name) DO UPDATE SET digest = excluded.digest, job = excluded.job, expires = excluded.expires
