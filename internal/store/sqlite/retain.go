package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"headrace/internal/ledger"
)

// Size implements [ledger.Pruner]. Pages that pruning set free are not in use:
// the file does not shrink, but the next rows go there.
func (d *DB) Size(ctx context.Context) (ledger.Size, error) {
	var s ledger.Size
	var ends int64
	if err := d.stmts["ledger_rows"].QueryRowContext(ctx).Scan(&s.Rows, &ends); err != nil {
		return s, fmt.Errorf("count requests: %w", err)
	}
	if ends > 0 {
		s.Rows++ // places have no gaps
	}
	var page, pages, free int64
	for pragma, to := range map[string]*int64{"page_size": &page, "page_count": &pages, "freelist_count": &free} {
		if err := d.read.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(to); err != nil {
			return s, fmt.Errorf("read the size of the store: %w", err)
		}
	}
	s.Bytes = (pages - free) * page
	return s, nil
}

// Prune implements [ledger.Pruner].
func (d *DB) Prune(ctx context.Context, rows int, before time.Time) (int, error) {
	n, last, err := d.prunable(ctx, rows, before)
	if err != nil || n == 0 {
		return 0, err
	}
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		for _, name := range []string{"ledger_prune_attempts", "ledger_prune_charges", "ledger_prune_marks", "ledger_prune_choices", "ledger_prune_feedback", "study_prune_verdicts", "ledger_prune_trials", "ledger_prune_requests"} {
			if _, err := d.in(tx, name).ExecContext(ctx, last); err != nil {
				return fmt.Errorf("drop old requests: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// prunable counts what may go and gives the last of its places. One more row is
// read than may go: the last entry of all stays, so that places never begin
// anew.
func (d *DB) prunable(ctx context.Context, most int, before time.Time) (n int, last int64, err error) {
	rows, err := d.stmts["ledger_first"].QueryContext(ctx, most+1)
	if err != nil {
		return 0, 0, fmt.Errorf("read old requests: %w", err)
	}
	defer rows.Close()
	seq, old := int64(0), false
	for rows.Next() {
		if old { // there is one behind it
			n, last = n+1, seq
		}
		var began int64
		if err := rows.Scan(&seq, &began); err != nil {
			return 0, 0, fmt.Errorf("read an old request: %w", err)
		}
		if old = before.IsZero() || began < before.UnixMilli(); !old {
			break
		}
	}
	if err := rows.Err(); err != nil {
		return 0, 0, fmt.Errorf("read old requests: %w", err)
	}
	return n, last, nil
}
