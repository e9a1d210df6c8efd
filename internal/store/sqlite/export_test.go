package sqlite

import "context"

// Exec runs a statement that the program itself has no use for.
func (d *DB) Exec(ctx context.Context, text string) error {
	_, err := d.write.ExecContext(ctx, text)
	return err
}
