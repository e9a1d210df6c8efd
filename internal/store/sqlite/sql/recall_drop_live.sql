DELETE FROM recall_sealed WHERE kind = $1 AND owner = $2 AND id = $3 AND expires > $4
