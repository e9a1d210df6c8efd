SELECT version FROM access_version WHERE id = 1
