SELECT n, hash FROM audit_row ORDER BY n DESC LIMIT 1
