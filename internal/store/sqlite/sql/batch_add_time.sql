INSERT INTO batch_time (provider, model, at, took) VALUES ($1, $2, $3, $4) ON CONFLICT (provider, model, at) DO NOTHING
