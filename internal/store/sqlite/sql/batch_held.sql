SELECT id, job, held FROM batch_item WHERE state IN ('submitted', 'running', 'ended') AND held > 0
