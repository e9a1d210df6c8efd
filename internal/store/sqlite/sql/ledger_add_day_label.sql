INSERT INTO ledger_day_label (day, caller, target, label, requests, failed, attempts, failed_attempts, estimated, unpriced,
    input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost, reported, listed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (day, caller, target, label) DO UPDATE SET
    requests = ledger_day_label.requests + excluded.requests,
    failed = ledger_day_label.failed + excluded.failed,
    attempts = ledger_day_label.attempts + excluded.attempts,
    failed_attempts = ledger_day_label.failed_attempts + excluded.failed_attempts,
    estimated = ledger_day_label.estimated + excluded.estimated,
    unpriced = ledger_day_label.unpriced + excluded.unpriced,
    input = ledger_day_label.input + excluded.input,
    cache_read = ledger_day_label.cache_read + excluded.cache_read,
    cache_write_5m = ledger_day_label.cache_write_5m + excluded.cache_write_5m,
    cache_write_1h = ledger_day_label.cache_write_1h + excluded.cache_write_1h,
    output = ledger_day_label.output + excluded.output,
    reasoning = ledger_day_label.reasoning + excluded.reasoning,
    cost = ledger_day_label.cost + excluded.cost,
    reported = ledger_day_label.reported + excluded.reported,
    listed = ledger_day_label.listed + excluded.listed
