SELECT r.id, r.seq, r.began, c.key_id, c.key_name, c.team, d.word, o.word, a.word, s.word,
       r.status, r.streamed, r.committed, r.first_byte, r.total, r.warnings
FROM ledger_request r
JOIN ledger_caller c ON c.id = r.caller
JOIN ledger_word d ON d.id = r.dialect
JOIN ledger_word o ON o.id = r.op
JOIN ledger_word a ON a.id = r.asked
JOIN ledger_word s ON s.id = r.class
WHERE r.seq > $1
  AND r.id < $2
  AND r.began >= $3 AND r.began < $4
  AND ($5 = '' OR r.caller IN (SELECT id FROM ledger_caller WHERE key_id = $5))
  AND ($6 = '' OR r.asked IN (SELECT id FROM ledger_word WHERE word = $6))
  AND ($7 = '' OR r.class IN (SELECT id FROM ledger_word WHERE word = $7))
  AND (CAST($8 AS BIGINT) = 0 OR r.class NOT IN (SELECT id FROM ledger_word WHERE word = ''))
  AND ($9 = '' AND $10 = '' OR EXISTS (
        SELECT 1 FROM ledger_attempt t JOIN ledger_target g ON g.id = t.target
        WHERE t.request = r.id AND ($9 = '' OR g.provider = $9) AND ($10 = '' OR g.model = $10)))
ORDER BY r.seq
LIMIT $11
