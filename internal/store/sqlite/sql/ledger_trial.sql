SELECT experiment, run, arm, unit, shares, predicted, shadows FROM ledger_trial WHERE seq = $1
