INSERT INTO study_unit (run, unit, arm, seen, sums) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (run, unit) DO UPDATE SET seen = excluded.seen, sums = excluded.sums
