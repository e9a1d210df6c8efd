package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"headrace/internal/audit"
)

// AppendAudit implements [audit.Store].
func (d *DB) AppendAudit(ctx context.Context, r audit.Row) (audit.Row, error) {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		var prev []byte
		err := d.in(tx, "audit_last").QueryRowContext(ctx).Scan(&r.N, &prev)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read the last row of the audit: %w", err)
		}
		if errors.Is(err, sql.ErrNoRows) {
			r.N = 0
		}
		r.N++
		r.Prev = [32]byte{}
		copy(r.Prev[:], prev)
		r.Hash = r.Sum()
		if _, err := d.in(tx, "audit_append").ExecContext(ctx, r.N, milli(r.At), r.Actor, r.Action, r.Subject, r.Prev[:], r.Hash[:]); err != nil {
			return fmt.Errorf("write a row of the audit: %w", err)
		}
		return nil
	})
	return r, err
}

// AuditRows implements [audit.Store].
func (d *DB) AuditRows(ctx context.Context, f audit.Filter) ([]audit.Row, error) {
	before, until := f.Before, int64(math.MaxInt64)
	if before == 0 {
		before = math.MaxInt64
	}
	if !f.Until.IsZero() {
		until = milli(f.Until)
	}
	return d.auditRows(ctx, "audit_rows", before, f.Actor, f.Action, milli(f.Since), until, f.Limit)
}

// AuditAfter implements [audit.Store].
func (d *DB) AuditAfter(ctx context.Context, n int64, limit int) ([]audit.Row, error) {
	return d.auditRows(ctx, "audit_after", n, limit)
}

func (d *DB) auditRows(ctx context.Context, name string, args ...any) ([]audit.Row, error) {
	var all []audit.Row
	err := each(ctx, d.stmts[name], args, func(rows *sql.Rows) error {
		var r audit.Row
		var at int64
		var prev, hash []byte
		if err := rows.Scan(&r.N, &at, &r.Actor, &r.Action, &r.Subject, &prev, &hash); err != nil {
			return err
		}
		r.At = timeOf(at)
		copy(r.Prev[:], prev)
		copy(r.Hash[:], hash)
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	return all, nil
}
