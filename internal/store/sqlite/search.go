package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// dayWord says that a UTC day has an ask or an end among its requests.
type dayWord struct {
	day  int64
	kind string
	word int64
}

const dayMillis = 24 * 60 * 60 * 1000

// nothing is the label of what says nothing; the migration writes it.
const nothing = 1

func (n *namer) label(k ledger.Label) int64 {
	if k == (ledger.Label{}) {
		return nothing
	}
	if id, ok := n.d.names.labels[k]; ok {
		return id
	}
	return named(n, n.d.names.labels, k, "ledger_label", k.Route, k.Task, k.Tags)
}

// day writes down once that a day has a word.
func (n *namer) day(k dayWord) {
	if n.err != nil || n.d.names.days[k] {
		return
	}
	if _, err := n.d.in(n.tx, "ledger_day_word").ExecContext(n.ctx, k.day, k.kind, k.word); err != nil {
		n.err = fmt.Errorf("write a word of a day: %w", err)
		return
	}
	if len(n.d.names.days) >= maxNames {
		clear(n.d.names.days)
	}
	n.d.names.days[k] = true
}

// mark writes what requests say of themselves.
func (d *DB) mark(ctx context.Context, tx *sql.Tx, entries []ledger.Entry) error {
	n := namer{ctx: ctx, d: d, tx: tx}
	for i := range entries {
		e := &entries[i]
		if e.Label == (ledger.Label{}) && e.Session == "" {
			continue
		}
		label := n.label(e.Label)
		if n.err != nil {
			return n.err
		}
		if _, err := d.in(tx, "ledger_insert_mark").ExecContext(ctx, int64(e.ID), label, orNull(e.Session)); err != nil {
			return fmt.Errorf("mark a request: %w", err)
		}
	}
	return nil
}

func (d *DB) markOf(ctx context.Context, tx *sql.Tx, e *ledger.Entry) error {
	err := d.in(tx, "ledger_mark").QueryRowContext(ctx, int64(e.ID)).Scan(&e.Label.Route, &e.Label.Task, &e.Label.Tags, &e.Session)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the label of %s: %w", e.ID, err)
	}
	return nil
}

const (
	// searchRows is how many requests are looked at in one step of a search,
	// searchFor how long it goes on.
	searchRows = 20_000
	searchFor  = 150 * time.Millisecond
)

// span is a range of ids, high first: below is not in it.
type span struct{ first, below int64 }

// Search implements [ledger.Searcher]. It goes from the latest ID down in steps
// and passes over the days that have nothing of what is looked for.
func (d *DB) Search(ctx context.Context, q *ledger.Query) (ledger.Page, error) {
	start := time.Now()
	args := searchArgs(q)
	spans, err := d.spans(ctx, q)
	if err != nil {
		return ledger.Page{}, err
	}
	var page ledger.Page
	var ids []int64
	for _, s := range spans {
		for at := s.below; at > s.first; {
			if len(ids) == q.Lines() || time.Since(start) > searchFor {
				page.Next = ledger.ID(at)
				page.Entries, err = d.all(ctx, ids)
				return page, err
			}
			to, err := d.step(ctx, s.first, at)
			if err != nil {
				return ledger.Page{}, err
			}
			args[0], args[1], args[len(args)-1] = to, at, q.Lines()-len(ids)
			more, err := d.ids(ctx, args)
			if err != nil {
				return ledger.Page{}, err
			}
			ids = append(ids, more...)
			if at = to; len(ids) == q.Lines() {
				at = ids[len(ids)-1] // below it there may be more of this step
			}
		}
	}
	page.Entries, err = d.all(ctx, ids)
	return page, err
}

// step gives where a step that goes down from below ends.
func (d *DB) step(ctx context.Context, first, below int64) (int64, error) {
	var to int64
	err := d.stmts["ledger_search_step"].QueryRowContext(ctx, first, below, searchRows).Scan(&to)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return first, nil
	case err != nil:
		return 0, fmt.Errorf("search requests: %w", err)
	}
	return to, nil
}

func searchArgs(q *ledger.Query) []any {
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.Since.IsZero() {
		since = q.Since.UnixMilli()
	}
	if !q.Until.IsZero() {
		until = q.Until.UnixMilli()
	}
	return []any{0, 0, since, until, q.KeyID, q.Team, q.Asked, string(q.Class), q.Status, number(q.Failed),
		q.Provider, q.Model, q.Route, q.Task, between(q.Tag), q.Session, 0}
}

func number(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// between writes a tag as labels hold it.
func between(tag string) string {
	if tag == "" {
		return ""
	}
	return "," + tag + ","
}

func (d *DB) ids(ctx context.Context, args []any) ([]int64, error) {
	rows, err := d.stmts["ledger_search"].QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("search requests: %w", err)
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read a request: %w", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("search requests: %w", err)
	}
	return ids, nil
}

// all reads the entries of these ids; one that was dropped meanwhile is left
// out.
func (d *DB) all(ctx context.Context, ids []int64) ([]ledger.Entry, error) {
	var all []ledger.Entry
	for _, id := range ids {
		one, err := d.entries(ctx, "ledger_request", id)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// spans are the ids that a search has to look at, the latest first.
func (d *DB) spans(ctx context.Context, q *ledger.Query) ([]span, error) {
	whole := span{int64(q.First), math.MaxInt64}
	if q.Last != 0 {
		whole.below = int64(q.Last) + 1
	}
	if q.Before != 0 {
		whole.below = min(whole.below, int64(q.Before))
	}
	if !q.Since.IsZero() {
		whole.first = max(whole.first, int64(ledger.FirstID(q.Since.Add(-time.Minute))))
	}
	if !q.Until.IsZero() {
		whole.below = min(whole.below, int64(ledger.FirstID(q.Until.Add(time.Minute))))
	}
	if q.Session != "" {
		var first, last int64
		if err := d.stmts["ledger_search_session"].QueryRowContext(ctx, q.Session).Scan(&first, &last); err != nil {
			return nil, fmt.Errorf("search a session: %w", err)
		}
		if last == 0 {
			return nil, nil
		}
		whole.first, whole.below = max(whole.first, first), min(whole.below, last+1)
	}
	if whole.first >= whole.below {
		return nil, nil
	}
	if q.KeyID == "" && q.Team == "" && q.Provider == "" && q.Model == "" && q.Route == "" && q.Task == "" && q.Tag == "" &&
		q.Asked == "" && q.Class == "" && q.Status == 0 && !q.Failed {
		return []span{whole}, nil
	}
	return d.daySpans(ctx, q, whole)
}

// daySpans leaves out the days that have nothing of what is looked for. An id may
// be off the start of its request by a minute.
func (d *DB) daySpans(ctx context.Context, q *ledger.Query, whole span) ([]span, error) {
	day := func(id int64) int64 { return ledger.ID(id).Time().UnixMilli() / dayMillis }
	last := int64(math.MaxInt32)
	if whole.below != math.MaxInt64 {
		last = day(whole.below) + 1
	}
	name, args := "ledger_search_days", []any{day(whole.first) - 1, last, q.KeyID, q.Team, q.Provider, q.Model}
	if q.Route != "" || q.Task != "" || q.Tag != "" {
		name, args = "ledger_search_days_label", append(args, q.Route, q.Task, between(q.Tag))
	}
	rows, err := d.stmts[name].QueryContext(ctx, append(args, q.Asked, string(q.Class), q.Status, number(q.Failed))...)
	if err != nil {
		return nil, fmt.Errorf("search days: %w", err)
	}
	defer rows.Close()
	var spans []span
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, fmt.Errorf("read a day: %w", err)
		}
		begin := time.UnixMilli(n * dayMillis)
		s := span{max(whole.first, int64(ledger.FirstID(begin.Add(-time.Minute)))), min(whole.below, int64(ledger.FirstID(begin.Add(24*time.Hour+time.Minute))))}
		if k := len(spans); k > 0 && spans[k-1].first <= s.below {
			spans[k-1].first = min(spans[k-1].first, s.first)
		} else if s.first < s.below {
			spans = append(spans, s)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("search days: %w", err)
	}
	return spans, nil
}

// Sums implements [ledger.Searcher]. The roll-ups by label have only what has one:
// what has none is the rest.
func (d *DB) Sums(ctx context.Context, q *ledger.SumQuery) ([]ledger.Sum, error) {
	apart := []any{number(q.Callers), number(q.Targets)}
	words := []any{q.KeyID, q.Team, q.Provider, q.Model}
	labels := []any{q.Route, q.Task, between(q.Tag)}
	switch q.Bucket {
	case time.Minute:
		since, until := q.Since.Truncate(time.Minute), q.Until
		if until.IsZero() {
			until = time.Now().Add(time.Minute)
		}
		return d.sums(ctx, "ledger_minutes", q, slices.Concat([]any{since.UnixMilli(), until.UnixMilli(),
			int64(ledger.FirstID(since.Add(-time.Minute))), int64(ledger.FirstID(until.Add(time.Minute)))}, apart, []any{number(q.Labels)}, words, labels))
	case 0, time.Hour, 24 * time.Hour:
	default:
		return nil, llm.Errorf(llm.InvalidRequest, "usage is not summed up by %s", q.Bucket)
	}
	from, to := ledger.HourRange(q.Since, q.Until)
	firstDay, lastDay := (from+23)/24, to/24
	before, after := firstDay*24, lastDay*24
	if firstDay >= lastDay || q.Bucket == time.Hour {
		firstDay, lastDay, before, after = 0, 0, to, to
	}
	span := []any{firstDay, lastDay, from, before, after, to, int64(q.Bucket / time.Hour)}
	filtered := q.Route != "" || q.Task != "" || q.Tag != ""
	var labelled []ledger.Sum
	var err error
	if q.Labels || filtered {
		labelled, err = d.sums(ctx, "ledger_sums_label", q, slices.Concat(span, apart, []any{number(q.Labels)}, words, labels))
		if err != nil || filtered {
			return labelled, err
		}
	}
	all, err := d.sums(ctx, "ledger_sums", q, slices.Concat(span, apart, words))
	if err != nil || !q.Labels {
		return all, err
	}
	list := append(labelled, ledger.Rest(all, labelled)...)
	slices.SortStableFunc(list, func(x, y ledger.Sum) int { return x.Bucket.Compare(y.Bucket) })
	return list, nil
}

func (d *DB) sums(ctx context.Context, name string, q *ledger.SumQuery, args []any) ([]ledger.Sum, error) {
	rows, err := d.stmts[name].QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("sum up usage: %w", err)
	}
	defer rows.Close()
	var all []ledger.Sum
	for rows.Next() {
		var s ledger.Sum
		var bucket int64
		t := &s.Tally
		if err := rows.Scan(&bucket, &s.KeyID, &s.KeyName, &s.Team, &s.Provider, &s.Model, &s.Label.Route, &s.Label.Task, &s.Label.Tags,
			&t.Requests, &t.Failed, &t.Attempts, &t.FailedAttempts, &t.Estimated, &t.Unpriced,
			&t.Input, &t.CacheRead, &t.CacheWrite5m, &t.CacheWrite1h, &t.Output, &t.Reasoning, (*int64)(&t.Cost),
			(*int64)(&t.Reported), (*int64)(&t.Listed)); err != nil {
			return nil, fmt.Errorf("read a sum: %w", err)
		}
		if q.Bucket > 0 {
			s.Bucket = time.Unix(bucket*int64(q.Bucket/time.Second), 0).UTC()
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sum up usage: %w", err)
	}
	return all, nil
}

// Briefs implements [ledger.Searcher].
func (d *DB) Briefs(ctx context.Context, since time.Time, limit int) ([]ledger.Brief, error) {
	rows, err := d.stmts["ledger_briefs"].QueryContext(ctx, int64(ledger.FirstID(since)), limit)
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	defer rows.Close()
	var all []ledger.Brief
	for rows.Next() {
		var b ledger.Brief
		var first, total int64
		if err := rows.Scan((*int64)(&b.ID), &b.Class, &b.Status, &first, &total); err != nil {
			return nil, fmt.Errorf("read a request: %w", err)
		}
		b.FirstByte, b.Total = micro(first), micro(total)
		all = append(all, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return all, nil
}
