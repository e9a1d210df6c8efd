package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/ledger"
	"headrace/internal/study"
)

// insertTrials writes what the entries of a batch had to do with experiments;
// mostly nothing.
func (d *DB) insertTrials(ctx context.Context, tx *sql.Tx, entries []ledger.Entry, seq int64) error {
	for i := range entries {
		t := entries[i].Trial
		if t == nil {
			continue
		}
		shares, err := json.Marshal(t.Shares)
		if err != nil {
			return fmt.Errorf("write the shares of %s: %w", entries[i].ID, err)
		}
		if _, err := d.in(tx, "ledger_insert_trial").ExecContext(ctx, seq+int64(i)+1, int64(entries[i].ID), t.Experiment, t.Run, t.Arm, t.Unit,
			string(shares), t.Predicted, int64(t.Shadows)); err != nil {
			return fmt.Errorf("insert the experiment of %s: %w", entries[i].ID, err)
		}
	}
	return nil
}

func (d *DB) trialOf(ctx context.Context, tx *sql.Tx, e *ledger.Entry) error {
	var t ledger.Trial
	var shares string
	err := d.in(tx, "ledger_trial").QueryRowContext(ctx, e.Seq).Scan(&t.Experiment, &t.Run, &t.Arm, &t.Unit, &shares, &t.Predicted, (*int64)(&t.Shadows))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(shares), &t.Shares)
	}
	if err != nil {
		return fmt.Errorf("read the experiment of %s: %w", e.ID, err)
	}
	e.Trial = &t
	return nil
}

// Trials implements [study.Store].
func (d *DB) Trials(ctx context.Context, after int64, most int) ([]ledger.Entry, error) {
	return d.entries(ctx, "study_trials", after, most)
}

// Said implements [study.Store].
func (d *DB) Said(ctx context.Context, since time.Time, after, until int64, most int) ([]ledger.Entry, error) {
	return d.entries(ctx, "study_said", since.UnixMilli(), after, until, most)
}

// Verdict implements [study.Store].
func (d *DB) Verdict(ctx context.Context, id ledger.ID) (score float64, ok bool, err error) {
	var millionths int64
	err = d.stmts["study_verdict"].QueryRowContext(ctx, int64(id)).Scan(&millionths)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read a verdict: %w", err)
	}
	return float64(millionths) / 1e6, true, nil
}

// StudyRuns implements [study.Store].
func (d *DB) StudyRuns(ctx context.Context) (runs []study.Run, read int64, err error) {
	if err := d.stmts["study_read"].QueryRowContext(ctx).Scan(&read); err != nil {
		return nil, 0, fmt.Errorf("read the place of experiments: %w", err)
	}
	rows, err := d.stmts["study_runs"].QueryContext(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read experiments: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r study.Run
		var written int64
		if err := rows.Scan(&r.ID, &r.Name, &r.State, &written); err != nil {
			return nil, 0, fmt.Errorf("read an experiment: %w", err)
		}
		r.Written = timeOf(written)
		runs = append(runs, r)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("read experiments: %w", err)
	}
	return runs, read, nil
}

// StudyUnit implements [study.Store].
func (d *DB) StudyUnit(ctx context.Context, run, unit int64) (study.Unit, bool, error) {
	u := study.Unit{Run: run, ID: unit}
	var seen int64
	var sums []byte
	err := d.stmts["study_unit"].QueryRowContext(ctx, run, unit).Scan(&u.Arm, &seen, &sums)
	if errors.Is(err, sql.ErrNoRows) {
		return study.Unit{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(sums, &u.Sums)
	}
	if err != nil {
		return study.Unit{}, false, fmt.Errorf("read a unit: %w", err)
	}
	u.Seen = timeOf(seen)
	return u, true, nil
}

// StudyPins implements [study.Store].
func (d *DB) StudyPins(ctx context.Context, run int64, most int) ([]study.Unit, error) {
	rows, err := d.stmts["study_pins"].QueryContext(ctx, run, most)
	if err != nil {
		return nil, fmt.Errorf("read units: %w", err)
	}
	defer rows.Close()
	var units []study.Unit
	for rows.Next() {
		u := study.Unit{Run: run}
		var seen int64
		if err := rows.Scan(&u.ID, &u.Arm, &seen); err != nil {
			return nil, fmt.Errorf("read a unit: %w", err)
		}
		u.Seen = timeOf(seen)
		units = append(units, u)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read units: %w", err)
	}
	return units, nil
}

// SaveStudy implements [study.Store].
func (d *DB) SaveStudy(ctx context.Context, s study.Saved) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		for _, u := range s.Units {
			sums, err := json.Marshal(u.Sums)
			if err != nil {
				return fmt.Errorf("write a unit: %w", err)
			}
			if _, err := d.in(tx, "study_put_unit").ExecContext(ctx, u.Run, u.ID, u.Arm, milli(u.Seen), string(sums)); err != nil {
				return fmt.Errorf("write a unit: %w", err)
			}
		}
		for id, score := range s.Verdicts {
			if _, err := d.in(tx, "study_put_verdict").ExecContext(ctx, int64(id), int64(math.Round(score*1e6))); err != nil {
				return fmt.Errorf("write a verdict: %w", err)
			}
		}
		for _, r := range s.Runs {
			if _, err := d.in(tx, "study_put_run").ExecContext(ctx, r.ID, r.Name, string(r.State), milli(r.Written)); err != nil {
				return fmt.Errorf("write the experiment %s: %w", r.Name, err)
			}
		}
		if _, err := d.in(tx, "study_move").ExecContext(ctx, s.Read); err != nil {
			return fmt.Errorf("write the place of experiments: %w", err)
		}
		return nil
	})
}

// AddOrder implements [study.Store].
func (d *DB) AddOrder(ctx context.Context, o study.Order) error {
	if _, err := d.stmts["study_add_order"].ExecContext(ctx, o.Run, string(o.Act), o.Arm, milli(o.At), o.Who); err != nil {
		return fmt.Errorf("write an order: %w", err)
	}
	return nil
}

// Orders implements [study.Store].
func (d *DB) Orders(ctx context.Context, after int64) ([]study.Order, error) {
	rows, err := d.stmts["study_orders"].QueryContext(ctx, after)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	defer rows.Close()
	var list []study.Order
	for rows.Next() {
		var o study.Order
		var at int64
		if err := rows.Scan(&o.ID, &o.Run, &o.Act, &o.Arm, &at, &o.Who); err != nil {
			return nil, fmt.Errorf("read an order: %w", err)
		}
		o.At = timeOf(at)
		list = append(list, o)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return list, nil
}
