INSERT INTO ledger_attempt (request, n, target, began, first_byte, total, status, class, finish, source,
    input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, why, upstream_id, message)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
