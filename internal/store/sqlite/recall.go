package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"headrace/internal/recall"
)

// PutSealed implements [recall.Store].
func (d *DB) PutSealed(ctx context.Context, rows []recall.Sealed, drop []recall.SealedID) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		put, drops := d.in(tx, "recall_put"), d.in(tx, "recall_drop")
		for i := range rows {
			r := &rows[i]
			if _, err := put.ExecContext(ctx, string(r.Kind), r.Owner, r.ID, milli(r.Created), milli(r.Expires), r.Key, blob(r.Data)); err != nil {
				return fmt.Errorf("write a sealed %s: %w", r.Kind, err)
			}
		}
		for _, id := range drop {
			if _, err := drops.ExecContext(ctx, string(id.Kind), id.Owner, id.ID); err != nil {
				return fmt.Errorf("drop a sealed %s: %w", id.Kind, err)
			}
		}
		return nil
	})
}

// blob is never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Sealed implements [recall.Store].
func (d *DB) Sealed(ctx context.Context, id recall.SealedID, now time.Time) (recall.Sealed, bool, error) {
	r := recall.Sealed{SealedID: id}
	var created, expires int64
	err := d.stmts["recall_get"].QueryRowContext(ctx, string(id.Kind), id.Owner, id.ID, milli(now)).Scan(&created, &expires, &r.Key, &r.Data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return recall.Sealed{}, false, nil
	case err != nil:
		return recall.Sealed{}, false, fmt.Errorf("read a sealed %s: %w", id.Kind, err)
	}
	r.Created, r.Expires = timeOf(created), timeOf(expires)
	return r, true, nil
}

// LastSealed implements [recall.Store].
func (d *DB) LastSealed(ctx context.Context, kind recall.Kind, now time.Time) iter.Seq2[recall.Sealed, error] {
	return func(yield func(recall.Sealed, error) bool) {
		fail := func(err error) { yield(recall.Sealed{}, fmt.Errorf("read what is sealed: %w", err)) }
		rows, err := d.stmts["recall_last"].QueryContext(ctx, string(kind), milli(now))
		if err != nil {
			fail(err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			r := recall.Sealed{SealedID: recall.SealedID{Kind: kind}}
			var created, expires int64
			if err := rows.Scan(&r.Owner, &r.ID, &created, &expires, &r.Key, &r.Data); err != nil {
				fail(err)
				return
			}
			r.Created, r.Expires = timeOf(created), timeOf(expires)
			if !yield(r, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			fail(err)
		}
	}
}

// DropSealed implements [recall.Store].
func (d *DB) DropSealed(ctx context.Context, id recall.SealedID, now time.Time) (bool, error) {
	r, err := d.stmts["recall_drop_live"].ExecContext(ctx, string(id.Kind), id.Owner, id.ID, milli(now))
	if err != nil {
		return false, fmt.Errorf("drop a sealed %s: %w", id.Kind, err)
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// SweepSealed implements [recall.Store].
func (d *DB) SweepSealed(ctx context.Context, now time.Time) (int64, error) {
	r, err := d.stmts["recall_sweep"].ExecContext(ctx, milli(now))
	if err != nil {
		return 0, fmt.Errorf("sweep what is sealed: %w", err)
	}
	return r.RowsAffected()
}
