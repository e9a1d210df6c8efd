SELECT run, name, state, written FROM study_run ORDER BY name, run
