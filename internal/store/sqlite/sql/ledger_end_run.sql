UPDATE ledger_run SET state = 'ended', written = $2 WHERE id = $1
