DELETE FROM ledger_trial WHERE seq <= $1
