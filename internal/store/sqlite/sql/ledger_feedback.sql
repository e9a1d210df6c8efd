SELECT explicit, signal, noted, score, worth FROM ledger_feedback WHERE request = $1 ORDER BY noted, explicit, signal
