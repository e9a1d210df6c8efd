package cli

import (
	"context"
	"slices"
	"time"

	"headrace/internal/audit"
)

// fakeRows is an audit of two rows, of which the second one can be broken.
type fakeRows struct{ broken bool }

func (f fakeRows) rows() []audit.Row {
	one := audit.Row{N: 1, At: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Actor: "key_1", Action: "keys.revoke", Subject: "key_2"}
	one.Hash = one.Sum()
	two := audit.Row{N: 2, At: one.At, Actor: "mem_1", Action: "budgets.set", Subject: "team/daily/core $5", Prev: one.Hash}
	two.Hash = two.Sum()
	if f.broken {
		two.Subject = "team/daily/core $5000"
	}
	return []audit.Row{one, two}
}

func (f fakeRows) AuditRows(_ context.Context, q audit.Filter) ([]audit.Row, error) {
	rows := f.rows()
	slices.Reverse(rows)
	return slices.DeleteFunc(rows, func(r audit.Row) bool { return q.Action != "" && r.Action != q.Action }), nil
}

func (f fakeRows) AuditAfter(_ context.Context, n int64, _ int) ([]audit.Row, error) {
	return f.rows()[n:], nil
}

func (fakeRows) AppendAudit(_ context.Context, r audit.Row) (audit.Row, error) { return r, nil }
