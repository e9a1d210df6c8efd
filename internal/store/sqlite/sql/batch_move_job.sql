UPDATE batch_item SET state = $1, path = CASE WHEN $2 = '' THEN path ELSE $2 END, why = $3,
due = CASE WHEN $4 = 0 THEN due ELSE $4 END, tries = tries + $5, changed = $6, seq = $7, lease = 0, worker = ''
WHERE job = $8 AND state = $9
