-- The days of $1 to $2 that may have what is looked for.
SELECT DISTINCT d.day
FROM ledger_day d
WHERE d.day >= $1 AND d.day <= $2
  AND ($3 = '' OR d.caller IN (SELECT id FROM ledger_caller WHERE key_id = $3))
  AND ($4 = '' OR d.caller IN (SELECT id FROM ledger_caller WHERE team = $4))
  AND ($5 = '' OR d.target IN (SELECT id FROM ledger_target WHERE provider = $5))
  AND ($6 = '' OR d.target IN (SELECT id FROM ledger_target WHERE model = $6))
  AND ($7 = '' OR d.day IN (
        SELECT w.day FROM ledger_day_word w WHERE w.kind = 'ask' AND w.word IN (SELECT id FROM ledger_ask WHERE asked = $7)))
  AND ($8 = '' AND CAST($9 AS BIGINT) = 0 AND CAST($10 AS BIGINT) = 0 OR d.day IN (
        SELECT w.day FROM ledger_day_word w WHERE w.kind = 'end' AND w.word IN (
            SELECT id FROM ledger_end
            WHERE ($8 = '' OR class = $8) AND (CAST($9 AS BIGINT) = 0 OR status = CAST($9 AS BIGINT)) AND (CAST($10 AS BIGINT) = 0 OR class <> ''))))
ORDER BY d.day DESC
