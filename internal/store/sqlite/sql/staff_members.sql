SELECT id, name, email, role, hash, prefix, issuer, subject, created, ended
FROM staff_member
ORDER BY created, id
