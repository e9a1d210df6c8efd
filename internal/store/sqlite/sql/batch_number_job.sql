UPDATE batch_job SET answers = answers + 1 WHERE id = $1 RETURNING answers
