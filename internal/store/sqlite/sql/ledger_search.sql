SELECT r.id
FROM ledger_request r
WHERE r.id >= $1 AND r.id < $2
  AND r.began >= $3 AND r.began < $4
  AND ($5 = '' OR r.caller IN (SELECT id FROM ledger_caller WHERE key_id = $5))
  AND ($6 = '' OR r.caller IN (SELECT id FROM ledger_caller WHERE team = $6))
  AND ($7 = '' OR r.ask IN (SELECT id FROM ledger_ask WHERE asked = $7))
  AND ($8 = '' AND CAST($9 AS BIGINT) = 0 AND CAST($10 AS BIGINT) = 0 OR r.ending IN (
        SELECT id FROM ledger_end
        WHERE ($8 = '' OR class = $8) AND (CAST($9 AS BIGINT) = 0 OR status = CAST($9 AS BIGINT)) AND (CAST($10 AS BIGINT) = 0 OR class <> '')))
  AND ($11 = '' AND $12 = '' OR EXISTS (
        SELECT 1 FROM ledger_attempt t JOIN ledger_target g ON g.id = t.target
        WHERE t.request = r.id AND ($11 = '' OR g.provider = $11) AND ($12 = '' OR g.model = $12)))
  AND ($13 = '' AND $14 = '' AND $15 = '' AND $16 = '' OR EXISTS (
        SELECT 1 FROM ledger_mark m JOIN ledger_label l ON l.id = m.label
        WHERE m.request = r.id AND ($13 = '' OR l.route = $13) AND ($14 = '' OR l.task = $14)
          AND ($15 = '' OR REPLACE(l.tags, $15, '') <> l.tags) AND ($16 = '' OR m.session = $16)))
ORDER BY r.id DESC
LIMIT $17
