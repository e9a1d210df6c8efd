SELECT j.id, j.owner, j.team, j.dialect, j.form, j.name, j.meta, j.priority, j.webhook, j.created, j.deadline, j.ended, j.canceled FROM batch_job j WHERE j.id = $1 AND j.ready = 1
