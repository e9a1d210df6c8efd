INSERT INTO study_order (run, act, arm, given, who) VALUES ($1, $2, $3, $4, $5)
