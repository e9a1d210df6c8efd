INSERT INTO batch_part (file, idx, body) VALUES ($1, $2, $3)
