INSERT INTO ledger_hour (hour, caller, target, requests, failed, attempts, failed_attempts, estimated, unpriced,
    input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (hour, caller, target) DO UPDATE SET
    requests = ledger_hour.requests + excluded.requests,
    failed = ledger_hour.failed + excluded.failed,
    attempts = ledger_hour.attempts + excluded.attempts,
    failed_attempts = ledger_hour.failed_attempts + excluded.failed_attempts,
    estimated = ledger_hour.estimated + excluded.estimated,
    unpriced = ledger_hour.unpriced + excluded.unpriced,
    input = ledger_hour.input + excluded.input,
    cache_read = ledger_hour.cache_read + excluded.cache_read,
    cache_write_5m = ledger_hour.cache_write_5m + excluded.cache_write_5m,
    cache_write_1h = ledger_hour.cache_write_1h + excluded.cache_write_1h,
    output = ledger_hour.output + excluded.output,
    reasoning = ledger_hour.reasoning + excluded.reasoning,
    cost = ledger_hour.cost + excluded.cost,
    reported = ledger_hour.reported + excluded.reported,
    listed = ledger_hour.listed + excluded.listed
