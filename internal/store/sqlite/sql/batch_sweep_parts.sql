DELETE FROM batch_part WHERE file < $1 AND file NOT IN (SELECT f.id FROM batch_file f)
