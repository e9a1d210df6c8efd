package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/access"
)

// Keys implements [access.Store].
func (d *DB) Keys(ctx context.Context) ([]access.Key, error) {
	return list(ctx, d.stmts["access_keys"], "keys", func(row *sql.Rows) (k access.Key, err error) {
		var hash []byte
		var models string
		var created, expires, revoked int64
		if err := row.Scan(&k.ID, &k.Name, &k.Team, &k.Admin, &hash, &k.Prefix, &created, &expires, &revoked, &models,
			&k.Limits.RequestsPerMinute, &k.Limits.TokensPerMinute, &k.Limits.Parallel, &k.RotatedTo, &k.Priority, &k.MayRaise); err != nil {
			return k, err
		}
		if len(hash) != len(k.Hash) {
			return k, fmt.Errorf("the hash of key %s has %d bytes", k.ID, len(hash))
		}
		copy(k.Hash[:], hash)
		if err := json.Unmarshal([]byte(models), &k.Models); err != nil {
			return k, fmt.Errorf("the models of key %s: %w", k.ID, err)
		}
		k.Created, k.Expires, k.Revoked = timeOf(created), timeOf(expires), timeOf(revoked)
		return k, nil
	})
}

// PutKey implements [access.Store].
func (d *DB) PutKey(ctx context.Context, k access.Key) error {
	models, err := array(k.Models)
	if err != nil {
		return fmt.Errorf("write the models of key %s: %w", k.ID, err)
	}
	return d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := d.in(tx, "access_put_key").ExecContext(ctx, k.ID, k.Name, k.Team, k.Admin, k.Hash[:], k.Prefix,
			milli(k.Created), milli(k.Expires), milli(k.Revoked), models,
			k.Limits.RequestsPerMinute, k.Limits.TokensPerMinute, k.Limits.Parallel, k.RotatedTo, k.Priority, k.MayRaise)
		if err != nil {
			return fmt.Errorf("write key %s: %w", k.ID, err)
		}
		if _, err := d.in(tx, "access_raise_version").ExecContext(ctx); err != nil {
			return fmt.Errorf("raise the version of the keys: %w", err)
		}
		return nil
	})
}

// KeysVersion implements [access.Store].
func (d *DB) KeysVersion(ctx context.Context) (int64, error) {
	return version(ctx, d.stmts["access_version"], "keys")
}

// in gives a prepared statement in a transaction.
func (d *DB) in(tx *sql.Tx, name string) *sql.Stmt { return tx.Stmt(d.stmts[name]) }

// inTx runs f in a transaction of the write connection; the lock of the file
// is taken at its beginning.
func (d *DB) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := f(tx); err != nil {
		if e := tx.Rollback(); e != nil && !errors.Is(e, sql.ErrTxDone) {
			err = errors.Join(err, e)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// milli and timeOf write and read times; 0 is the zero time.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
