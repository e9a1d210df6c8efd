package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// Begin implements [ledger.Writer].
func (d *DB) Begin(ctx context.Context, run ledger.Run) (killed []ledger.Run, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		rows, err := d.in(tx, "ledger_killed_runs").QueryContext(ctx, int64(run.ID))
		if err != nil {
			return fmt.Errorf("look for runs that were killed: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var id, written int64
			if err := rows.Scan(&id, &written); err != nil {
				return fmt.Errorf("read a run: %w", err)
			}
			killed = append(killed, ledger.Run{ID: ledger.ID(id), Written: timeOf(written)})
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("read runs: %w", err)
		}
		if _, err := d.in(tx, "ledger_begin_run").ExecContext(ctx, int64(run.ID), milli(run.Written)); err != nil {
			return fmt.Errorf("note the run: %w", err)
		}
		return nil
	})
	return killed, err
}

// End implements [ledger.Writer].
func (d *DB) End(ctx context.Context, run ledger.ID, at time.Time) error {
	if _, err := d.stmts["ledger_end_run"].ExecContext(ctx, int64(run), milli(at)); err != nil {
		return fmt.Errorf("note the end of the run: %w", err)
	}
	return nil
}

// WriteBatch implements [ledger.Writer].
func (d *DB) WriteBatch(ctx context.Context, b *ledger.Batch) error {
	if err := ctx.Err(); err != nil {
		return err // select would choose between the two at random
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	// A context that can end costs the driver a goroutine for each statement.
	// The wait for the lock is bounded by busy_timeout, the work by the batch.
	ctx = context.WithoutCancel(ctx)
	err := d.inTx(ctx, func(tx *sql.Tx) error { return d.writeBatch(ctx, tx, b) })
	if err != nil {
		// Some of the names may have been rolled back with the rows.
		d.names.forget()
	}
	return err
}

func (d *DB) writeBatch(ctx context.Context, tx *sql.Tx, b *ledger.Batch) error {
	var last, seq int64
	switch err := d.in(tx, "ledger_run_batch").QueryRowContext(ctx, int64(b.Run)).Scan(&last); {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("run %d was not begun", b.Run)
	case err != nil:
		return fmt.Errorf("read the run: %w", err)
	case last >= b.N:
		return nil
	}
	if err := d.in(tx, "ledger_last_seq").QueryRowContext(ctx).Scan(&seq); err != nil {
		return fmt.Errorf("read the last place: %w", err)
	}
	if err := d.insertRequests(ctx, tx, b.Entries, seq); err != nil {
		return err
	}
	if err := d.insertAttempts(ctx, tx, b.Entries); err != nil {
		return err
	}
	if err := d.charge(ctx, tx, b); err != nil {
		return err
	}
	if err := d.mark(ctx, tx, b.Entries); err != nil {
		return err
	}
	if err := d.insertTrials(ctx, tx, b.Entries, seq); err != nil {
		return err
	}
	if err := d.addHours(ctx, tx, b.Hours); err != nil {
		return err
	}
	if err := d.addChoices(ctx, tx, b); err != nil {
		return err
	}
	if _, err := d.in(tx, "ledger_note_batch").ExecContext(ctx, int64(b.Run), b.N, milli(b.At)); err != nil {
		return fmt.Errorf("note the batch: %w", err)
	}
	return nil
}

// insert runs a batch insert: rows are given one by one, wide rows at a time
// go to the store.
type insert struct {
	one, wide *sql.Stmt
	args      []any
	columns   int
	added     int64
}

func (d *DB) inserter(tx *sql.Tx, name string, columns int) *insert {
	return &insert{one: d.in(tx, name), wide: d.in(tx, name+widened), columns: columns, args: make([]any, 0, wide*columns)}
}

func (i *insert) row(ctx context.Context, values ...any) error {
	i.args = append(i.args, values...)
	if len(i.args) < wide*i.columns {
		return nil
	}
	defer func() { i.args = i.args[:0] }()
	return i.exec(ctx, i.wide, i.args)
}

func (i *insert) finish(ctx context.Context) error {
	for at := 0; at < len(i.args); at += i.columns {
		if err := i.exec(ctx, i.one, i.args[at:at+i.columns]); err != nil {
			return err
		}
	}
	return nil
}

func (i *insert) exec(ctx context.Context, s *sql.Stmt, args []any) error {
	r, err := s.ExecContext(ctx, args...)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	i.added += n
	return err
}

func (d *DB) insertRequests(ctx context.Context, tx *sql.Tx, entries []ledger.Entry, seq int64) error {
	in := d.inserter(tx, insertRequests, 9)
	n := namer{ctx: ctx, d: d, tx: tx}
	for i := range entries {
		e := &entries[i]
		var warnings any
		if len(e.Warnings) > 0 {
			raw, err := json.Marshal(e.Warnings)
			if err != nil {
				return fmt.Errorf("write the warnings of %s: %w", e.ID, err)
			}
			warnings = string(raw)
		}
		caller := n.caller(caller{e.KeyID, e.KeyName, e.Team})
		ask := n.ask(ask{e.Dialect, e.Op, e.Asked, e.Streamed, e.Needs})
		end := n.end(end{e.Status, e.Class, e.Committed})
		if n.err != nil {
			return n.err
		}
		if err := in.row(ctx, int64(e.ID), seq+int64(i)+1, e.At.UnixMilli(), caller, ask, end,
			e.FirstByte.Microseconds(), e.Total.Microseconds(), warnings); err != nil {
			return fmt.Errorf("insert requests: %w", err)
		}
		day := e.At.UnixMilli() / dayMillis
		n.day(dayWord{day, "ask", ask})
		n.day(dayWord{day, "end", end})
	}
	if err := in.finish(ctx); err != nil {
		return fmt.Errorf("insert requests: %w", err)
	}
	if in.added != int64(len(entries)) {
		return d.taken(ctx, tx, entries, seq)
	}
	return nil
}

// taken finds out which entries were not inserted, all others being there
// under this batch's places.
func (d *DB) taken(ctx context.Context, tx *sql.Tx, entries []ledger.Entry, seq int64) error {
	t := &ledger.TakenError{}
	for i := range entries {
		var at int64
		if err := d.in(tx, "ledger_seq").QueryRowContext(ctx, int64(entries[i].ID)).Scan(&at); err != nil {
			return fmt.Errorf("look for request %s: %w", entries[i].ID, err)
		}
		if at != seq+int64(i)+1 {
			t.At = append(t.At, i)
		}
	}
	return t
}

func (d *DB) insertAttempts(ctx context.Context, tx *sql.Tx, entries []ledger.Entry) error {
	in := d.inserter(tx, insertAttempts, 18)
	n := namer{ctx: ctx, d: d, tx: tx}
	for i := range entries {
		e := &entries[i]
		for j := range e.Attempts {
			a := &e.Attempts[j]
			u := &a.Usage
			cost := moneyOrNull(a.Cost, a.Priced)
			target := n.target(target{a.Provider, a.Model})
			try := n.try(try{a.Why, a.Status, a.Class, a.Finish, u.Source, a.Refused})
			if n.err != nil {
				return n.err
			}
			// The place in the list is the key; N is what it says.
			if err := in.row(ctx, int64(e.ID), j+1, target, try, a.Start.UnixMilli(), a.FirstByte.Microseconds(), a.Total.Microseconds(),
				u.Input, u.CacheRead, u.CacheWrite5m, u.CacheWrite1h, u.Output, u.Reasoning, cost, orNull(a.UpstreamID), orNull(a.Message),
				moneyOrNull(u.Reported, u.HasReported), moneyOrNull(a.Listed, a.HasListed)); err != nil {
				return fmt.Errorf("insert attempts: %w", err)
			}
		}
	}
	if err := in.finish(ctx); err != nil {
		return fmt.Errorf("insert attempts: %w", err)
	}
	return nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func moneyOrNull(n llm.Nanodollars, known bool) any {
	if !known {
		return nil
	}
	return int64(n)
}

// addHours adds to the roll-ups: all of it by hour and by day, and what has a
// label once more under that.
func (d *DB) addHours(ctx context.Context, tx *sql.Tx, hours []ledger.Hour) error {
	n := namer{ctx: ctx, d: d, tx: tx}
	at := map[rollup]int{}
	var sums []ledger.Tally
	var order []rollup
	for i := range hours {
		h := &hours[i]
		k := rollup{h.Hour, n.caller(caller{h.KeyID, h.KeyName, h.Team}), n.target(target{h.Provider, h.Model})}
		label := n.label(h.Label)
		if n.err != nil {
			return n.err
		}
		if label != nothing {
			if err := d.addTo(ctx, tx, "_label", k, &h.Tally, label); err != nil {
				return err
			}
		}
		j, ok := at[k]
		if !ok {
			j = len(sums)
			at[k] = j
			sums, order = append(sums, ledger.Tally{}), append(order, k)
		}
		sums[j].Add(&h.Tally)
	}
	for i := range order {
		if err := d.addTo(ctx, tx, "", order[i], &sums[i]); err != nil {
			return err
		}
	}
	return nil
}

// rollup is what a roll-up without labels is of.
type rollup struct{ hour, caller, target int64 }

// addTo adds a tally to an hour and to its day.
func (d *DB) addTo(ctx context.Context, tx *sql.Tx, kind string, k rollup, t *ledger.Tally, label ...any) error {
	args := append([]any{k.hour, k.caller, k.target}, label...)
	args = append(args, t.Requests, t.Failed, t.Attempts, t.FailedAttempts,
		t.Estimated, t.Unpriced, t.Input, t.CacheRead, t.CacheWrite5m, t.CacheWrite1h, t.Output, t.Reasoning, int64(t.Cost),
		int64(t.Reported), int64(t.Listed))
	if _, err := d.in(tx, "ledger_add_hour"+kind).ExecContext(ctx, args...); err != nil {
		return fmt.Errorf("add to the hour: %w", err)
	}
	args[0] = k.hour / 24
	if _, err := d.in(tx, "ledger_add_day"+kind).ExecContext(ctx, args...); err != nil {
		return fmt.Errorf("add to the day: %w", err)
	}
	return nil
}

// Request implements [ledger.Reader].
func (d *DB) Request(ctx context.Context, id ledger.ID) (ledger.Entry, bool, error) {
	found, err := d.entries(ctx, "ledger_request", int64(id))
	if err != nil || len(found) == 0 {
		return ledger.Entry{}, false, err
	}
	return found[0], true, nil
}

// Recent implements [ledger.Reader].
func (d *DB) Recent(ctx context.Context, f ledger.Filter) ([]ledger.Entry, error) {
	name, first := "ledger_recent", int64(0)
	since, until, below := int64(math.MinInt64), int64(math.MaxInt64), int64(math.MaxInt64)
	if !f.Since.IsZero() {
		since = f.Since.UnixMilli()
		first = int64(ledger.FirstID(f.Since.Add(-time.Minute)))
	}
	if !f.Until.IsZero() {
		until = f.Until.UnixMilli()
		below = int64(ledger.FirstID(f.Until.Add(time.Minute)))
	}
	if f.Before != 0 {
		below = min(below, int64(f.Before))
	}
	if f.After != 0 {
		name, first = "ledger_follow", max(f.After, 0)
	}
	failed := 0
	if f.Failed {
		failed = 1
	}
	return d.entries(ctx, name, first, below, since, until, f.KeyID, f.Asked, string(f.Class), failed, f.Provider, f.Model, f.Lines())
}

func (d *DB) entries(ctx context.Context, name string, args ...any) ([]ledger.Entry, error) {
	// One transaction, so that attempts are those of the moment of the rows.
	tx, err := d.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	defer tx.Rollback() // nothing was written
	found, err := d.requests(ctx, tx, name, args)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if err := d.attemptsOf(ctx, tx, &found[i]); err != nil {
			return nil, err
		}
		if err := d.chargesOf(ctx, tx, &found[i]); err != nil {
			return nil, err
		}
		if err := d.markOf(ctx, tx, &found[i]); err != nil {
			return nil, err
		}
		if err := d.choiceOf(ctx, tx, &found[i]); err != nil {
			return nil, err
		}
		if err := d.trialOf(ctx, tx, &found[i]); err != nil {
			return nil, err
		}
		found[i].Sum()
	}
	return found, nil
}

func (d *DB) requests(ctx context.Context, tx *sql.Tx, name string, args []any) ([]ledger.Entry, error) {
	rows, err := d.in(tx, name).QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	defer rows.Close()
	var found []ledger.Entry
	for rows.Next() {
		var e ledger.Entry
		var id, at, first, total int64
		var warnings sql.NullString
		var needs string
		if err := rows.Scan(&id, &e.Seq, &at, &e.KeyID, &e.KeyName, &e.Team, &e.Dialect, &e.Op, &e.Asked, &e.Class,
			&e.Status, &e.Streamed, &needs, &e.Committed, &first, &total, &warnings); err != nil {
			return nil, fmt.Errorf("read a request: %w", err)
		}
		e.ID, e.At = ledger.ID(id), time.UnixMilli(at).UTC()
		e.FirstByte, e.Total = micro(first), micro(total)
		if e.Needs, err = catalog.Features(needs); err != nil {
			return nil, fmt.Errorf("read what %s needed: %w", e.ID, err)
		}
		if warnings.Valid {
			if err := json.Unmarshal([]byte(warnings.String), &e.Warnings); err != nil {
				return nil, fmt.Errorf("read the warnings of %s: %w", e.ID, err)
			}
		}
		found = append(found, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return found, nil
}

func (d *DB) attemptsOf(ctx context.Context, tx *sql.Tx, e *ledger.Entry) error {
	rows, err := d.in(tx, "ledger_attempts").QueryContext(ctx, int64(e.ID))
	if err != nil {
		return fmt.Errorf("read the attempts of %s: %w", e.ID, err)
	}
	defer rows.Close()
	for rows.Next() {
		var a ledger.Attempt
		var start, first, total int64
		var cost, reported, listed sql.NullInt64
		var upstream, message sql.NullString
		u := &a.Usage
		if err := rows.Scan(&a.N, &a.Provider, &a.Model, &start, &first, &total, &a.Status, &a.Class, &a.Finish, &u.Source,
			&u.Input, &u.CacheRead, &u.CacheWrite5m, &u.CacheWrite1h, &u.Output, &u.Reasoning, &cost, &a.Why,
			&upstream, &message, &reported, &listed, &a.Refused.Phase, &a.Refused.Category); err != nil {
			return fmt.Errorf("read an attempt of %s: %w", e.ID, err)
		}
		a.Start, a.FirstByte, a.Total = time.UnixMilli(start).UTC(), micro(first), micro(total)
		a.Cost, a.Priced = llm.Nanodollars(cost.Int64), cost.Valid
		u.Reported, u.HasReported = llm.Nanodollars(reported.Int64), reported.Valid
		a.Listed, a.HasListed = llm.Nanodollars(listed.Int64), listed.Valid
		a.UpstreamID, a.Message = upstream.String, message.String
		e.Attempts = append(e.Attempts, a)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the attempts of %s: %w", e.ID, err)
	}
	return nil
}

func micro(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// usageBy names the statement of each grouping.
var usageBy = map[ledger.By]string{
	ledger.ByModel:    "ledger_usage_by_model",
	ledger.ByKey:      "ledger_usage_by_key",
	ledger.ByDay:      "ledger_usage_by_day",
	ledger.ByProvider: "ledger_usage_by_provider",
	ledger.ByDayModel: "ledger_usage_by_day_model",
}

// Usage implements [ledger.Reader].
func (d *DB) Usage(ctx context.Context, by ledger.By, since, until time.Time) ([]ledger.UsageRow, error) {
	name, ok := usageBy[by]
	if !ok {
		return nil, llm.Errorf(llm.InvalidRequest, "usage cannot be grouped by %q", by)
	}
	from, to := ledger.HourRange(since, until)
	// Whole days are read from the roll-up of days, the rest from that of hours.
	firstDay, lastDay := (from+23)/24, to/24
	before, after := firstDay*24, lastDay*24
	if firstDay >= lastDay {
		firstDay, lastDay, before, after = 0, 0, to, to
	}
	rows, err := d.stmts[name].QueryContext(ctx, firstDay, lastDay, from, before, after, to)
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	defer rows.Close()
	var out []ledger.UsageRow
	for rows.Next() {
		var r ledger.UsageRow
		t := &r.Tally
		if err := rows.Scan(&r.Group, &r.Label, &t.Requests, &t.Failed, &t.Attempts, &t.FailedAttempts, &t.Estimated, &t.Unpriced,
			&t.Input, &t.CacheRead, &t.CacheWrite5m, &t.CacheWrite1h, &t.Output, &t.Reasoning, (*int64)(&t.Cost),
			(*int64)(&t.Reported), (*int64)(&t.Listed)); err != nil {
			return nil, fmt.Errorf("read a row of usage: %w", err)
		}
		if by == ledger.ByDay || by == ledger.ByDayModel {
			number, model, _ := strings.Cut(r.Group, " ")
			day, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the day of a row of usage: %w", err)
			}
			r.Group = time.Unix(day*24*60*60, 0).UTC().Format(time.DateOnly)
			if model != "" {
				r.Group += " " + model
			}
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	return out, nil
}
