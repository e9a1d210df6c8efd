INSERT INTO study_verdict (request, score) VALUES ($1, $2)
ON CONFLICT (request) DO UPDATE SET score = excluded.score
