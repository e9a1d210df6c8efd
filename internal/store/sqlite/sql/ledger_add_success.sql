INSERT INTO ledger_success (day, asked, task, target, requests, attempts, escalated, ended_well,
    explicit, explicit_score, implicit, successes, cost, unpriced, worth)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (day, asked, task, target) DO UPDATE SET
    requests = ledger_success.requests + excluded.requests,
    attempts = ledger_success.attempts + excluded.attempts,
    escalated = ledger_success.escalated + excluded.escalated,
    ended_well = ledger_success.ended_well + excluded.ended_well,
    explicit = ledger_success.explicit + excluded.explicit,
    explicit_score = ledger_success.explicit_score + excluded.explicit_score,
    implicit = ledger_success.implicit + excluded.implicit,
    successes = ledger_success.successes + excluded.successes,
    cost = ledger_success.cost + excluded.cost,
    unpriced = ledger_success.unpriced + excluded.unpriced,
    worth = ledger_success.worth + excluded.worth
