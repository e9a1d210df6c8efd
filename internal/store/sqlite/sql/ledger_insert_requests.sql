INSERT INTO ledger_request (id, seq, began, caller, ask, ending, first_byte, total, warnings)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
