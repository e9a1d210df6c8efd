INSERT INTO staff_member (id, name, email, role, hash, prefix, issuer, subject, created, ended)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name,
    email = excluded.email,
    role = excluded.role,
    hash = excluded.hash,
    prefix = excluded.prefix,
    ended = CASE WHEN staff_member.ended <> 0 THEN staff_member.ended ELSE excluded.ended END
