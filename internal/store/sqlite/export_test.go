package sqlite

import (
	"context"
	"database/sql"
)

// Exec runs a statement that the program itself has no use for.
func (d *DB) Exec(ctx context.Context, text string) error {
	_, err := d.write.ExecContext(ctx, text)
	return err
}

// PageCaches gives the bound of the page cache of a connection of each pool.
func (d *DB) PageCaches(ctx context.Context) map[string]int {
	out := map[string]int{"writer": 0, "reader": 0}
	for name, db := range map[string]*sql.DB{"writer": d.write, "reader": d.read} {
		var n int
		if err := db.QueryRowContext(ctx, "PRAGMA cache_size").Scan(&n); err == nil {
			out[name] = n
		}
	}
	return out
}
