DELETE FROM study_verdict WHERE request IN (SELECT request FROM ledger_trial WHERE seq <= $1)
