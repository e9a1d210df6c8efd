DELETE FROM staff_session WHERE ends < $1 OR seen < $2
