package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"headrace/internal/vault"
)

// Credentials implements [vault.Store].
func (d *DB) Credentials(ctx context.Context) ([]vault.Credential, error) {
	var all []vault.Credential
	err := each(ctx, d.stmts["vault_credentials"], nil, func(rows *sql.Rows) error {
		var c vault.Credential
		var added int64
		if err := rows.Scan(&c.Provider, &c.Name, &c.Last, &added, &c.By, &c.Sealed); err != nil {
			return err
		}
		c.Added = timeOf(added)
		all = append(all, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	return all, nil
}

// PutCredential implements [vault.Store].
func (d *DB) PutCredential(ctx context.Context, c vault.Credential) (bool, error) {
	return d.did(ctx, "vault_put_credential", c.Provider, c.Name, c.Last, milli(c.Added), c.By, c.Sealed)
}

// DropCredential implements [vault.Store].
func (d *DB) DropCredential(ctx context.Context, provider, name string) (bool, error) {
	return d.did(ctx, "vault_drop_credential", provider, name)
}

// did says whether a statement changed a row.
func (d *DB) did(ctx context.Context, name string, args ...any) (bool, error) {
	r, err := d.stmts[name].ExecContext(ctx, args...)
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// PutVersion implements [vault.Store].
func (d *DB) PutVersion(ctx context.Context, v vault.Version, keep int) (id int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		if err := d.in(tx, "vault_put_version").QueryRowContext(ctx, milli(v.At), v.By, v.Why, v.Sum, v.Sealed).Scan(&id); err != nil {
			return fmt.Errorf("write a configuration: %w", err)
		}
		if _, err := d.in(tx, "vault_drop_versions").ExecContext(ctx, keep); err != nil {
			return fmt.Errorf("drop old configurations: %w", err)
		}
		return nil
	})
	return id, err
}

// Versions implements [vault.Store].
func (d *DB) Versions(ctx context.Context, before int64, limit int) ([]vault.Version, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	var all []vault.Version
	err := each(ctx, d.stmts["vault_versions"], []any{before, limit}, func(rows *sql.Rows) error {
		var v vault.Version
		var at int64
		if err := rows.Scan(&v.ID, &at, &v.By, &v.Why, &v.Sum); err != nil {
			return err
		}
		v.At = timeOf(at)
		all = append(all, v)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read past configurations: %w", err)
	}
	return all, nil
}

// Version implements [vault.Store].
func (d *DB) Version(ctx context.Context, id int64) (vault.Version, bool, error) {
	var v vault.Version
	var at int64
	err := d.stmts["vault_version"].QueryRowContext(ctx, id).Scan(&v.ID, &at, &v.By, &v.Why, &v.Sum, &v.Sealed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return v, false, nil
	case err != nil:
		return v, false, fmt.Errorf("read a configuration: %w", err)
	}
	v.At = timeOf(at)
	return v, true, nil
}
