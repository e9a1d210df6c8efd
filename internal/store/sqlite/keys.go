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
	rows, err := d.stmts["access_keys"].QueryContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	defer rows.Close()
	var keys []access.Key
	for rows.Next() {
		var k access.Key
		var hash []byte
		var models string
		var created, expires, revoked int64
		if err := rows.Scan(&k.ID, &k.Name, &k.Team, &k.Admin, &hash, &k.Prefix, &created, &expires, &revoked, &models,
			&k.Limits.RequestsPerMinute, &k.Limits.TokensPerMinute, &k.Limits.Parallel, &k.RotatedTo, &k.Priority, &k.MayRaise); err != nil {
			return nil, fmt.Errorf("read a key: %w", err)
		}
		if len(hash) != len(k.Hash) {
			return nil, fmt.Errorf("read key %s: its hash has %d bytes", k.ID, len(hash))
		}
		copy(k.Hash[:], hash)
		if err := json.Unmarshal([]byte(models), &k.Models); err != nil {
			return nil, fmt.Errorf("read the models of key %s: %w", k.ID, err)
		}
		k.Created, k.Expires, k.Revoked = timeOf(created), timeOf(expires), timeOf(revoked)
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return keys, nil
}

// PutKey implements [access.Store].
func (d *DB) PutKey(ctx context.Context, k access.Key) error {
	models := []byte("[]")
	if len(k.Models) > 0 {
		var err error
		if models, err = json.Marshal(k.Models); err != nil {
			return fmt.Errorf("write the models of key %s: %w", k.ID, err)
		}
	}
	return d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := d.in(tx, "access_put_key").ExecContext(ctx, k.ID, k.Name, k.Team, k.Admin, k.Hash[:], k.Prefix,
			milli(k.Created), milli(k.Expires), milli(k.Revoked), string(models),
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
	var v int64
	if err := d.stmts["access_version"].QueryRowContext(ctx).Scan(&v); err != nil {
		return 0, fmt.Errorf("read the version of the keys: %w", err)
	}
	return v, nil
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
