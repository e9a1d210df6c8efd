SELECT name, data FROM learned ORDER BY name
