UPDATE batch_job SET answers = answers + 1 WHERE id = (SELECT i.job FROM batch_item i WHERE i.id = $1) RETURNING answers
