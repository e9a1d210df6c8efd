package app

import "headrace/internal/access"

// staff lets people into the admin API: with admin keys, and as members.
func (a *App) staff() access.Staff { return access.Staff{Store: a.db, Keys: a.directory} }
