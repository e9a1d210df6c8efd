SELECT l.route, l.task, l.tags, COALESCE(m.session, '')
FROM ledger_mark m
JOIN ledger_label l ON l.id = m.label
WHERE m.request = $1
