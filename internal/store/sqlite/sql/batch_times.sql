SELECT provider, model, took FROM batch_time ORDER BY provider, model, sent
