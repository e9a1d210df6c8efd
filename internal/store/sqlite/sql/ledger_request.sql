SELECT r.id, r.seq, r.began, c.key_id, c.key_name, c.team, d.word, o.word, a.word, s.word,
       r.status, r.streamed, r.committed, r.first_byte, r.total, r.warnings
FROM ledger_request r
JOIN ledger_caller c ON c.id = r.caller
JOIN ledger_word d ON d.id = r.dialect
JOIN ledger_word o ON o.id = r.op
JOIN ledger_word a ON a.id = r.asked
JOIN ledger_word s ON s.id = r.class
WHERE r.id = $1
