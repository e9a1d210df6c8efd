SELECT arm, seen, sums FROM study_unit WHERE run = $1 AND unit = $2
