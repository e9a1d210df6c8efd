DELETE FROM batch_file WHERE expires <= $1
