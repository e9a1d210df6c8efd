UPDATE study_cursor SET seq = $1 WHERE id = 1
