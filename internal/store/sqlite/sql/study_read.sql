SELECT seq FROM study_cursor WHERE id = 1
