SELECT provider, name, last, added, added_by, sealed FROM vault_credential ORDER BY provider, added, name
