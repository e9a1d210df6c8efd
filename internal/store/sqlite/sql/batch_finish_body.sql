UPDATE batch_body SET answer = $1 WHERE item = $2
