SELECT id, run, act, arm, given, who FROM study_order WHERE id > $1 ORDER BY id
