SELECT idx, custom, dialect, op, model, state, path, why, provider, target, sent, tries, changed, cost, realtime
FROM batch_item
WHERE job = $1 AND idx >= $2 AND ($3 = '' OR state = $3)
ORDER BY idx
LIMIT $4
