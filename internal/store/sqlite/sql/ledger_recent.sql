SELECT r.id, r.seq, r.began, c.key_id, c.key_name, c.team, a.dialect, a.op, a.asked, e.class,
       e.status, a.streamed, a.needs, e.committed, r.first_byte, r.total, r.warnings
FROM ledger_request r
JOIN ledger_caller c ON c.id = r.caller
JOIN ledger_ask a ON a.id = r.ask
JOIN ledger_end e ON e.id = r.ending
WHERE r.id >= $1
  AND r.id < $2
  AND r.began >= $3 AND r.began < $4
  AND ($5 = '' OR r.caller IN (SELECT id FROM ledger_caller WHERE key_id = $5))
  AND ($6 = '' OR r.ask IN (SELECT id FROM ledger_ask WHERE asked = $6))
  AND ($7 = '' OR r.ending IN (SELECT id FROM ledger_end WHERE class = $7))
  AND (CAST($8 AS BIGINT) = 0 OR r.ending IN (SELECT id FROM ledger_end WHERE class <> ''))
  AND ($9 = '' AND $10 = '' OR EXISTS (
        SELECT 1 FROM ledger_attempt t JOIN ledger_target g ON g.id = t.target
        WHERE t.request = r.id AND ($9 = '' OR g.provider = $9) AND ($10 = '' OR g.model = $10)))
ORDER BY r.id DESC
LIMIT $11
