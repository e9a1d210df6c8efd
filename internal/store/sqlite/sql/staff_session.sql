SELECT member, key, began, seen, ends FROM staff_session WHERE hash = $1
