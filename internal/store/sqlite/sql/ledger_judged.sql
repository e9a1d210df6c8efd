SELECT r.began, a.op, a.asked, e.class, COALESCE(c.task, ''), COALESCE(c.data, '')
FROM ledger_request r
JOIN ledger_ask a ON a.id = r.ask
JOIN ledger_end e ON e.id = r.ending
LEFT JOIN ledger_choice c ON c.request = r.id
WHERE r.id = $1
