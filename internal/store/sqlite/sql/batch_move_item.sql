UPDATE batch_item SET state = $1, path = CASE WHEN $2 = '' THEN path ELSE $2 END, why = $3,
provider = CASE WHEN $4 = '' THEN provider ELSE $4 END, target = CASE WHEN $4 = '' THEN target ELSE $5 END,
due = $6, tries = tries + $7, changed = $8, lease = 0, worker = ''
WHERE id = $9 AND state = $10
