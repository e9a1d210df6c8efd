SELECT score FROM study_verdict WHERE request = $1
