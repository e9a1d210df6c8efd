INSERT INTO ledger_request (id, seq, began, caller, dialect, op, asked, class, status, streamed, committed, first_byte, total, warnings)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
