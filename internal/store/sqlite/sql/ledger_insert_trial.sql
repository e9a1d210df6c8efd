INSERT INTO ledger_trial (seq, request, experiment, run, arm, unit, shares, predicted, shadows)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
