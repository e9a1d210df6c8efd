INSERT INTO batch_time (provider, model, sent, took) VALUES ($1, $2, $3, $4) ON CONFLICT (provider, model, sent) DO NOTHING
