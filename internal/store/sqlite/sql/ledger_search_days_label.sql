-- The days of $1 to $2 that may have what is looked for.
SELECT DISTINCT d.day
FROM ledger_day_label d
WHERE d.day >= $1 AND d.day <= $2
  AND ($3 = '' OR d.caller IN (SELECT id FROM ledger_caller WHERE key_id = $3))
  AND ($4 = '' OR d.caller IN (SELECT id FROM ledger_caller WHERE team = $4))
  AND ($5 = '' OR d.target IN (SELECT id FROM ledger_target WHERE provider = $5))
  AND ($6 = '' OR d.target IN (SELECT id FROM ledger_target WHERE model = $6))
  AND ($7 = '' AND $8 = '' AND $9 = '' OR d.label IN (
        SELECT id FROM ledger_label
        WHERE ($7 = '' OR route = $7) AND ($8 = '' OR task = $8) AND ($9 = '' OR REPLACE(tags, $9, '') <> tags)))
  AND ($10 = '' OR d.day IN (
        SELECT w.day FROM ledger_day_word w WHERE w.kind = 'ask' AND w.word IN (SELECT id FROM ledger_ask WHERE asked = $10)))
  AND ($11 = '' AND CAST($12 AS BIGINT) = 0 AND CAST($13 AS BIGINT) = 0 OR d.day IN (
        SELECT w.day FROM ledger_day_word w WHERE w.kind = 'end' AND w.word IN (
            SELECT id FROM ledger_end
            WHERE ($11 = '' OR class = $11) AND (CAST($12 AS BIGINT) = 0 OR status = CAST($12 AS BIGINT)) AND (CAST($13 AS BIGINT) = 0 OR class <> ''))))
ORDER BY d.day DESC
