SELECT r.id, r.seq, r.began, c.key_id, c.key_name, c.team, a.dialect, a.op, a.asked, e.class,
       e.status, a.streamed, a.needs, e.committed, r.first_byte, r.total, r.warnings
FROM ledger_trial x
JOIN ledger_request r ON r.id = x.request
JOIN ledger_caller c ON c.id = r.caller
JOIN ledger_ask a ON a.id = r.ask
JOIN ledger_end e ON e.id = r.ending
WHERE x.request IN (SELECT request FROM ledger_feedback WHERE noted >= $1)
  AND x.seq > $2 AND x.seq <= $3
ORDER BY x.seq
LIMIT $4
