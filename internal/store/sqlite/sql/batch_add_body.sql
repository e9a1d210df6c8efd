INSERT INTO batch_body (item, body, answer) VALUES ($1, $2, $3)
