SELECT r.id, e.class, e.status, r.first_byte, r.total
FROM ledger_request r
JOIN ledger_end e ON e.id = r.ending
WHERE r.id >= $1
ORDER BY r.id DESC
LIMIT $2
