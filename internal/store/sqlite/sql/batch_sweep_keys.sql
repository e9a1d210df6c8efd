DELETE FROM batch_key WHERE expires <= $1
