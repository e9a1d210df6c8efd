package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"headrace/internal/batch"
	"headrace/internal/ledger"
)

// AllBatchJobs implements [batch.Overseer].
func (d *DB) AllBatchJobs(ctx context.Context, before batch.JobID, limit int) ([]batch.Job, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	type place struct {
		id    batch.JobID
		owner string
	}
	var places []place
	err := each(ctx, d.stmts["batch_all_jobs"], []any{int64(before), limit}, func(rows *sql.Rows) error {
		var p place
		err := rows.Scan((*int64)(&p.id), &p.owner)
		places = append(places, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var all []batch.Job
	for _, p := range places {
		j, err := d.BatchJob(ctx, p.owner, p.id)
		if errors.Is(err, batch.ErrNotFound) {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, j)
	}
	return all, nil
}

// BatchPaths implements [batch.Overseer].
func (d *DB) BatchPaths(ctx context.Context, id batch.JobID, from int, state batch.State, limit int) ([]batch.Step, error) {
	var all []batch.Step
	err := each(ctx, d.stmts["batch_paths"], []any{int64(id), from, string(state), limit}, func(rows *sql.Rows) error {
		var s batch.Step
		var changed int64
		if err := rows.Scan(&s.Index, &s.CustomID, &s.Dialect, &s.Op, &s.Model, &s.State, &s.Path, &s.Why, &s.Provider, &s.Target,
			(*int64)(&s.Sent), &s.Tries, &changed, (*int64)(&s.Cost), (*int64)(&s.RealTime)); err != nil {
			return err
		}
		s.Changed = timeOf(changed)
		all = append(all, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the items of a job: %w", err)
	}
	return all, nil
}

// BatchSaved implements [batch.Overseer]. The id of a job carries its time.
func (d *DB) BatchSaved(ctx context.Context, since time.Time) (batch.Saved, error) {
	var s batch.Saved
	if err := d.stmts["batch_saved"].QueryRowContext(ctx, int64(ledger.FirstID(since))).Scan(&s.Items, (*int64)(&s.Spent), (*int64)(&s.RealTime)); err != nil {
		return s, fmt.Errorf("sum up what batches saved: %w", err)
	}
	return s, nil
}
