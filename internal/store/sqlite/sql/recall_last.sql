SELECT owner, id, created, expires, seal, data
FROM recall_sealed
WHERE kind = $1 AND expires > $2
ORDER BY expires DESC, owner, id
