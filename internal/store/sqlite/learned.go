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
	"headrace/internal/llm"
)

// millionths keeps scores as whole numbers.
func millionths(score float64) int64 { return int64(math.Round(score * 1e6)) }

// addChoices writes what is known of choices and successes: those of the batch,
// then the feedback, which may be about any entry.
func (d *DB) addChoices(ctx context.Context, tx *sql.Tx, b *ledger.Batch) error {
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Label.Task == "" && e.Choice == nil {
			continue
		}
		var data any
		fault := ""
		if e.Choice != nil {
			raw, err := json.Marshal(e.Choice)
			if err != nil {
				return fmt.Errorf("write the choice of %s: %w", e.ID, err)
			}
			data, fault = string(raw), e.Choice.Fault
		}
		if _, err := d.in(tx, "ledger_insert_choice").ExecContext(ctx, int64(e.ID), e.Label.Task, fault, data); err != nil {
			return fmt.Errorf("insert the choice of %s: %w", e.ID, err)
		}
	}
	for i := range b.Successes {
		if err := d.addSuccess(ctx, tx, &b.Successes[i]); err != nil {
			return err
		}
	}
	for i := range b.Feedback {
		if err := d.say(ctx, tx, &b.Feedback[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) addSuccess(ctx context.Context, tx *sql.Tx, s *ledger.DaySuccess) error {
	if _, err := d.in(tx, "ledger_add_success").ExecContext(ctx, s.Day, s.Asked, s.Task, s.Target, s.Requests, s.Attempts, s.Escalated, s.EndedWell,
		s.Explicit, millionths(s.ExplicitScore), s.Implicit, millionths(s.Successes), int64(s.Cost), s.Unpriced, int64(s.Value)); err != nil {
		return fmt.Errorf("add to the successes: %w", err)
	}
	return nil
}

// say writes one piece of feedback and moves the figures of its day. What is
// about an entry that is not there is left out.
func (d *DB) say(ctx context.Context, tx *sql.Tx, f *ledger.Feedback) error {
	e, ok, err := d.judged(ctx, tx, f.Request)
	if err != nil || !ok || e.Op != llm.OpChat || len(e.Attempts) == 0 {
		return err
	}
	before, err := d.feedbackOf(ctx, tx, feedbackWriting, f.Request)
	if err != nil {
		return err
	}
	var worth any
	if f.HasValue {
		worth = int64(f.Value)
	}
	if _, err := d.in(tx, "ledger_put_feedback").ExecContext(ctx, int64(f.Request), f.Explicit, f.Signal, f.At.UnixMilli(), millionths(f.Score), worth); err != nil {
		return fmt.Errorf("write feedback: %w", err)
	}
	after, err := d.feedbackOf(ctx, tx, feedbackWriting, f.Request)
	if err != nil {
		return err
	}
	a := e.Answered()
	was, is := weigh(&e, before), weigh(&e, after)
	moved := ledger.DaySuccess{Day: e.At.Unix() / (24 * 60 * 60), Success: ledger.Success{
		Asked: e.Asked, Task: e.Label.Task, Target: a.Provider + "/" + a.Model,
		Explicit: is.Explicit - was.Explicit, ExplicitScore: is.ExplicitScore - was.ExplicitScore, Implicit: is.Implicit - was.Implicit,
		Successes: is.Successes - was.Successes, Value: is.Value - was.Value,
	}}
	return d.addSuccess(ctx, tx, &moved)
}

// weigh is what an entry counts for with its feedback.
func weigh(e *ledger.Entry, all []ledger.Feedback) (s ledger.Success) {
	s.Successes = ledger.Judge(e.EndedWell(), all)
	for _, f := range all {
		if f.Explicit {
			s.Explicit, s.ExplicitScore, s.Value = 1, f.Score, f.Value // there is one
		} else {
			s.Implicit = 1
		}
	}
	return s
}

// judged reads of an entry what says whether it was a success.
func (d *DB) judged(ctx context.Context, tx *sql.Tx, id ledger.ID) (e ledger.Entry, ok bool, err error) {
	var at int64
	var data string
	err = d.in(tx, "ledger_judged").QueryRowContext(ctx, int64(id)).Scan(&at, &e.Op, &e.Asked, &e.Class, &e.Label.Task, &data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return e, false, nil
	case err != nil:
		return e, false, fmt.Errorf("read request %s: %w", id, err)
	}
	e.ID, e.At = id, time.UnixMilli(at).UTC()
	if e.Choice, err = choice(id, data); err != nil {
		return e, false, err
	}
	rows, err := d.in(tx, "ledger_judged_attempts").QueryContext(ctx, int64(id))
	if err != nil {
		return e, false, fmt.Errorf("read the attempts of %s: %w", id, err)
	}
	defer rows.Close()
	for rows.Next() {
		var a ledger.Attempt
		if err := rows.Scan(&a.Provider, &a.Model, &a.Class, &a.Finish); err != nil {
			return e, false, fmt.Errorf("read an attempt of %s: %w", id, err)
		}
		e.Attempts = append(e.Attempts, a)
	}
	return e, true, rows.Err()
}

func choice(id ledger.ID, data string) (*ledger.Choice, error) {
	if data == "" {
		return nil, nil
	}
	c := &ledger.Choice{}
	if err := json.Unmarshal([]byte(data), c); err != nil {
		return nil, fmt.Errorf("read the choice of %s: %w", id, err)
	}
	return c, nil
}

func (d *DB) feedbackOf(ctx context.Context, tx *sql.Tx, name string, id ledger.ID) (all []ledger.Feedback, err error) {
	rows, err := d.in(tx, name).QueryContext(ctx, int64(id))
	if err != nil {
		return nil, fmt.Errorf("read the feedback on %s: %w", id, err)
	}
	defer rows.Close()
	for rows.Next() {
		f := ledger.Feedback{Request: id}
		var at, score int64
		var worth sql.NullInt64
		if err := rows.Scan(&f.Explicit, &f.Signal, &at, &score, &worth); err != nil {
			return nil, fmt.Errorf("read feedback on %s: %w", id, err)
		}
		f.At, f.Score = time.UnixMilli(at).UTC(), float64(score)/1e6
		f.Value, f.HasValue = llm.Nanodollars(worth.Int64), worth.Valid
		all = append(all, f)
	}
	return all, rows.Err()
}

// choiceOf reads the task, the choice and the feedback of an entry.
func (d *DB) choiceOf(ctx context.Context, tx *sql.Tx, e *ledger.Entry) error {
	var data sql.NullString
	err := d.in(tx, "ledger_choice").QueryRowContext(ctx, int64(e.ID)).Scan(&e.Label.Task, &data)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the choice of %s: %w", e.ID, err)
	}
	if e.Choice, err = choice(e.ID, data.String); err != nil {
		return err
	}
	e.Feedback, err = d.feedbackOf(ctx, tx, feedback, e.ID)
	return err
}

// Success implements [ledger.Reader].
func (d *DB) Success(ctx context.Context, since, until time.Time) ([]ledger.Success, error) {
	from, to := ledger.HourRange(since, until)
	rows, err := d.stmts["ledger_success_between"].QueryContext(ctx, from/24, (to+23)/24)
	if err != nil {
		return nil, fmt.Errorf("read successes: %w", err)
	}
	defer rows.Close()
	var out []ledger.Success
	for rows.Next() {
		var s ledger.Success
		var explicit, successes int64
		if err := rows.Scan(&s.Asked, &s.Task, &s.Target, &s.Requests, &s.Attempts, &s.Escalated, &s.EndedWell, &s.Explicit, &explicit, &s.Implicit,
			&successes, (*int64)(&s.Cost), &s.Unpriced, (*int64)(&s.Value)); err != nil {
			return nil, fmt.Errorf("read a row of successes: %w", err)
		}
		s.ExplicitScore, s.Successes = float64(explicit)/1e6, float64(successes)/1e6
		out = append(out, s)
	}
	return out, rows.Err()
}

// SaveLearned keeps a snapshot of what was learned under a name.
func (d *DB) SaveLearned(ctx context.Context, name string, data []byte, at time.Time) error {
	if _, err := d.stmts["learned_save"].ExecContext(ctx, name, milli(at), data); err != nil {
		return fmt.Errorf("keep what was learned of %s: %w", name, err)
	}
	return nil
}

// Learned gives all snapshots by name.
func (d *DB) Learned(ctx context.Context) (map[string][]byte, error) {
	rows, err := d.stmts["learned_load"].QueryContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what was learned: %w", err)
	}
	defer rows.Close()
	all := map[string][]byte{}
	for rows.Next() {
		var name string
		var data []byte
		if err := rows.Scan(&name, &data); err != nil {
			return nil, fmt.Errorf("read what was learned: %w", err)
		}
		all[name] = data
	}
	return all, rows.Err()
}
