SELECT digest, job FROM batch_key WHERE owner = $1 AND name = $2 AND expires > $3
