INSERT INTO ledger_hour_label (hour, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced,
    input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (hour, caller, target, label) DO UPDATE SET
    requests = ledger_hour_label.requests + excluded.requests,
    failed = ledger_hour_label.failed + excluded.failed,
    attempts = ledger_hour_label.attempts + excluded.attempts,
    failed_attempts = ledger_hour_label.failed_attempts + excluded.failed_attempts,
    estimated = ledger_hour_label.estimated + excluded.estimated,
    unpriced = ledger_hour_label.unpriced + excluded.unpriced,
    input = ledger_hour_label.input + excluded.input,
    cache_read = ledger_hour_label.cache_read + excluded.cache_read,
    cache_write_5m = ledger_hour_label.cache_write_5m + excluded.cache_write_5m,
    cache_write_1h = ledger_hour_label.cache_write_1h + excluded.cache_write_1h,
    output = ledger_hour_label.output + excluded.output,
    reasoning = ledger_hour_label.reasoning + excluded.reasoning,
    cost = ledger_hour_label.cost + excluded.cost,
    reported = ledger_hour_label.reported + excluded.reported,
    listed = ledger_hour_label.listed + excluded.listed
