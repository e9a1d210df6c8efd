DELETE FROM batch_file WHERE id = $1 AND owner = $2
