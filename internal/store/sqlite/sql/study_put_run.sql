INSERT INTO study_run (run, name, state, written) VALUES ($1, $2, $3, $4)
ON CONFLICT (run) DO UPDATE SET state = excluded.state, written = excluded.written
