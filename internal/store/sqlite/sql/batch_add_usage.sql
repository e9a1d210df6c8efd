UPDATE batch_job SET prompt = prompt + $1, cached = cached + $2, output = output + $3, reasoning = reasoning + $4
WHERE id = (SELECT i.job FROM batch_item i WHERE i.id = $5)
