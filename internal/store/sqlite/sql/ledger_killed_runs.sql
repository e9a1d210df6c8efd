UPDATE ledger_run SET state = 'killed' WHERE state = 'open' AND id <> $1
RETURNING id, written
