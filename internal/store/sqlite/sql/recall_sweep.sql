DELETE FROM recall_sealed WHERE expires <= $1
