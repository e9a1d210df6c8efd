SELECT r.id, r.seq, r.began, c.key_id, c.key_name, c.team, a.dialect, a.op, a.asked, e.class,
       e.status, a.streamed, a.needs, e.committed, r.first_byte, r.total, r.warnings
FROM ledger_request r
JOIN ledger_caller c ON c.id = r.caller
JOIN ledger_ask a ON a.id = r.ask
JOIN ledger_end e ON e.id = r.ending
WHERE r.id = $1
