DELETE FROM staff_session WHERE hash = $1
