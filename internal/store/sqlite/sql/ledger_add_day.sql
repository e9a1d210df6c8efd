INSERT INTO ledger_day (day, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced,
    input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (day, caller, target) DO UPDATE SET
    requests = ledger_day.requests + excluded.requests,
    failed = ledger_day.failed + excluded.failed,
    attempts = ledger_day.attempts + excluded.attempts,
    failed_attempts = ledger_day.failed_attempts + excluded.failed_attempts,
    estimated = ledger_day.estimated + excluded.estimated,
    unpriced = ledger_day.unpriced + excluded.unpriced,
    input = ledger_day.input + excluded.input,
    cache_read = ledger_day.cache_read + excluded.cache_read,
    cache_write_5m = ledger_day.cache_write_5m + excluded.cache_write_5m,
    cache_write_1h = ledger_day.cache_write_1h + excluded.cache_write_1h,
    output = ledger_day.output + excluded.output,
    reasoning = ledger_day.reasoning + excluded.reasoning,
    cost = ledger_day.cost + excluded.cost,
    reported = ledger_day.reported + excluded.reported,
    listed = ledger_day.listed + excluded.listed
