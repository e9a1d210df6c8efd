INSERT INTO learned (name, noted, data) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET noted = excluded.noted, data = excluded.data
