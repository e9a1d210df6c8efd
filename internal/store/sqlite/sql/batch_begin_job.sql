INSERT INTO batch_job (id, owner, team, dialect, form, name, meta, priority, webhook, created, deadline, ended, canceled, ready)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, 0)
