SELECT unit, arm, seen FROM study_unit WHERE run = $1 ORDER BY seen DESC LIMIT $2
