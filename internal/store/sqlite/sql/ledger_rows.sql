SELECT COALESCE(MAX(seq), 0) - COALESCE(MIN(seq), 0), COUNT(*) FROM (SELECT MAX(seq) AS seq FROM ledger_request UNION ALL SELECT MIN(seq) FROM ledger_request) s WHERE seq IS NOT NULL
