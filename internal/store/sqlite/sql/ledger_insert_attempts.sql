INSERT INTO ledger_attempt (request, n, target, tried, began, first_byte, total,
    input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, upstream_id, message,
    reported, listed)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
