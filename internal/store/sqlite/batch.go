package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"headrace/internal/batch"
	"headrace/internal/llm"
	"modernc.org/sqlite"
)

// unique is SQLite's extended code SQLITE_CONSTRAINT_UNIQUE.
const unique = 2067

// BeginBatchJob implements [batch.Store].
func (d *DB) BeginBatchJob(ctx context.Context, j *batch.Job) error {
	_, err := d.stmts["batch_begin_job"].ExecContext(ctx, int64(j.ID), j.Owner, j.Team, string(j.Dialect), string(j.Form), j.Name,
		blob(j.Meta), j.Priority, j.Webhook, milli(j.Created), milli(j.Deadline))
	if err != nil {
		return fmt.Errorf("write a job: %w", err)
	}
	return nil
}

// AddBatchItems implements [batch.Store].
func (d *DB) AddBatchItems(ctx context.Context, rows []batch.Row) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		item, body := d.in(tx, "batch_add_item"), d.in(tx, "batch_add_body")
		for i := range rows {
			r := &rows[i]
			_, err := item.ExecContext(ctx, int64(r.ID), int64(r.Job), r.Index, r.CustomID, string(r.Dialect), string(r.Op), r.Model,
				string(r.State), r.Why, milli(r.Changed), milli(r.Deadline), r.Size, count(r.State.Final()))
			if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == unique {
				return fmt.Errorf("item %d, %q: %w", r.Index, r.CustomID, batch.ErrDuplicate)
			}
			if err == nil {
				_, err = body.ExecContext(ctx, int64(r.ID), blob(r.Body), blob(r.Sealed))
			}
			if err != nil {
				return fmt.Errorf("write item %d: %w", r.Index, err)
			}
		}
		return nil
	})
}

// CommitBatchJob implements [batch.Store].
func (d *DB) CommitBatchJob(ctx context.Context, owner string, id batch.JobID, key batch.Idempotency, now time.Time, keep time.Duration) (batch.JobID, error) {
	is, conflict := id, false
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if key.Key != "" {
			var digest string
			var first int64
			err := d.in(tx, "batch_get_key").QueryRowContext(ctx, owner, key.Key, milli(now)).Scan(&digest, &first)
			switch {
			case err == nil:
				is, conflict = batch.JobID(first), digest != key.Digest
				return d.dropJob(ctx, tx, id)
			case !errors.Is(err, sql.ErrNoRows):
				return fmt.Errorf("read an idempotency key: %w", err)
			}
			if _, err := d.in(tx, "batch_put_key").ExecContext(ctx, owner, key.Key, key.Digest, int64(id), milli(now.Add(keep))); err != nil {
				return fmt.Errorf("write an idempotency key: %w", err)
			}
		}
		n, err := affected(d.in(tx, "batch_ready_job").ExecContext(ctx, int64(id), owner))
		if err == nil && n == 0 {
			err = batch.ErrNotFound
		}
		return err
	})
	if err == nil && conflict {
		err = batch.ErrConflict
	}
	return is, err
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (d *DB) dropJob(ctx context.Context, tx *sql.Tx, id batch.JobID) error {
	for _, s := range []string{"batch_drop_bodies", "batch_drop_items", "batch_drop_job"} {
		if _, err := d.in(tx, s).ExecContext(ctx, int64(id)); err != nil {
			return fmt.Errorf("delete a job: %w", err)
		}
	}
	return nil
}

// DropBatchJob implements [batch.Store].
func (d *DB) DropBatchJob(ctx context.Context, owner string, id batch.JobID) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		var is int64
		err := d.in(tx, "batch_owner").QueryRowContext(ctx, int64(id), owner).Scan(&is)
		if errors.Is(err, sql.ErrNoRows) {
			return batch.ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("read a job: %w", err)
		}
		return d.dropJob(ctx, tx, id)
	})
}

// BatchJob implements [batch.Store].
func (d *DB) BatchJob(ctx context.Context, owner string, id batch.JobID) (batch.Job, error) {
	js, err := d.batchJobs(ctx, "batch_job", int64(id), owner)
	if err != nil {
		return batch.Job{}, err
	}
	if len(js) == 0 {
		return batch.Job{}, batch.ErrNotFound
	}
	return js[0], nil
}

// BatchJobs implements [batch.Store].
func (d *DB) BatchJobs(ctx context.Context, owner string, before batch.JobID, limit int) ([]batch.Job, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return d.batchJobs(ctx, "batch_jobs", owner, int64(before), limit)
}

// OpenBatchJobs implements [batch.Store].
func (d *DB) OpenBatchJobs(ctx context.Context) ([]batch.Job, error) {
	return d.batchJobs(ctx, "batch_open_jobs")
}

// each runs a query and calls f for each row.
func each(ctx context.Context, s *sql.Stmt, args []any, f func(*sql.Rows) error) error {
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// BatchJobOf implements [batch.Store].
func (d *DB) BatchJobOf(ctx context.Context, id batch.JobID) (batch.Job, bool, error) {
	js, err := d.readJobs(ctx, "batch_any_job", int64(id))
	if err != nil || len(js) == 0 {
		return batch.Job{}, false, err
	}
	return js[0], true, nil
}

// readJobs reads jobs without their counts.
func (d *DB) readJobs(ctx context.Context, name string, args ...any) ([]batch.Job, error) {
	var js []batch.Job
	err := each(ctx, d.stmts[name], args, func(rows *sql.Rows) error {
		var j batch.Job
		var created, deadline, ended, canceled, share, inTime, leaves int64
		if err := rows.Scan(&j.ID, &j.Owner, &j.Team, &j.Dialect, &j.Form, &j.Name, &j.Meta, &j.Priority, &j.Webhook,
			&created, &deadline, &ended, &canceled, &j.Tokens.Prompt, &j.Tokens.Cached, &j.Tokens.Output, &j.Tokens.Reasoning,
			&share, &inTime, &leaves); err != nil {
			return err
		}
		j.Created, j.Deadline, j.Ended, j.Canceled = timeOf(created), timeOf(deadline), timeOf(ended), timeOf(canceled)
		j.Forecast = batch.Forecast{Share: float64(share) / 1000, InTime: float64(inTime) / 1000, Leaves: timeOf(leaves)}
		js = append(js, j)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return js, nil
}

func (d *DB) batchJobs(ctx context.Context, name string, args ...any) ([]batch.Job, error) {
	js, err := d.readJobs(ctx, name, args...)
	for i := range js {
		if err != nil {
			break
		}
		j := &js[i]
		j.Counts = batch.Counts{}
		err = each(ctx, d.stmts["batch_counts"], []any{int64(j.ID)}, func(rows *sql.Rows) error {
			var s batch.State
			var n int64
			var cost, realTime, double llm.Nanodollars
			err := rows.Scan(&s, &n, &cost, &realTime, &double)
			j.Counts[s] = n
			j.Spent, j.RealTime, j.Double = j.Spent+cost, j.RealTime+realTime, j.Double+double
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return js, nil
}

// EndBatchJobs implements [batch.Store].
func (d *DB) EndBatchJobs(ctx context.Context, now time.Time) (ids []batch.JobID, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		ids = nil
		told := map[batch.JobID]string{}
		err := each(ctx, d.in(tx, "batch_end_jobs"), []any{milli(now)}, func(rows *sql.Rows) error {
			var id batch.JobID
			var webhook string
			err := rows.Scan(&id, &webhook)
			ids = append(ids, id)
			if webhook != "" {
				told[id] = webhook
			}
			return err
		})
		for id, webhook := range told {
			if err == nil {
				_, err = d.in(tx, "webhook_add").ExecContext(ctx, int64(id), milli(now), webhook)
			}
		}
		if err != nil {
			return fmt.Errorf("end jobs: %w", err)
		}
		return nil
	})
	return ids, err
}

// CancelBatchJob implements [batch.Store].
func (d *DB) CancelBatchJob(ctx context.Context, owner string, id batch.JobID, now time.Time) error {
	if _, err := d.stmts["batch_cancel_job"].ExecContext(ctx, milli(now), int64(id), owner); err != nil {
		return fmt.Errorf("cancel a job: %w", err)
	}
	_, err := d.BatchJob(ctx, owner, id)
	return err
}

func (d *DB) batchItems(ctx context.Context, name string, whole bool, args ...any) ([]batch.Row, error) {
	return d.batchRows(ctx, name, whole, false, args...)
}

// batchRows reads items: with bodies when whole, and with the number of their
// answer when numbered.
func (d *DB) batchRows(ctx context.Context, name string, whole, numbered bool, args ...any) ([]batch.Row, error) {
	var all []batch.Row
	err := each(ctx, d.stmts[name], args, func(rows *sql.Rows) error {
		var r batch.Row
		var changed, deadline int64
		to := []any{&r.ID, &r.Job, &r.Index, &r.CustomID, &r.Dialect, &r.Op, &r.Model, &r.State, &r.Path, &r.Why,
			&r.Target.Provider, &r.Target.Model, &r.Batch, &r.Tries, &changed, &deadline, &r.Size}
		if whole {
			to = append(to, &r.Body, &r.Sealed)
		}
		if numbered {
			to = append(to, &r.Seq)
		}
		err := rows.Scan(to...)
		r.Changed, r.Deadline = timeOf(changed), timeOf(deadline)
		all = append(all, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	return all, nil
}

// BatchItems implements [batch.Store].
func (d *DB) BatchItems(ctx context.Context, job batch.JobID, from, limit int) ([]batch.Row, error) {
	return d.batchItems(ctx, "batch_items", true, int64(job), from, limit)
}

// AnsweredBatchItems implements [batch.Store].
func (d *DB) AnsweredBatchItems(ctx context.Context, job batch.JobID, after batch.Cursor, limit int) ([]batch.Row, error) {
	return d.batchRows(ctx, "batch_answered", true, true, int64(job), after.Seq, after.Index, limit)
}

// ClaimBatchItems implements [batch.Store].
func (d *DB) ClaimBatchItems(ctx context.Context, state batch.State, c batch.Claim) ([]batch.Row, error) {
	return d.batchItems(ctx, "batch_claim_items", false, c.Worker, milli(c.Until), string(state), milli(c.Now), c.Limit)
}

// BatchItem implements [batch.Store].
func (d *DB) BatchItem(ctx context.Context, id batch.ItemID) (batch.Row, bool, error) {
	rows, err := d.batchItems(ctx, "batch_item", true, int64(id))
	if err != nil || len(rows) == 0 {
		return batch.Row{}, false, err
	}
	return rows[0], true, nil
}

// BatchItemState implements [batch.Store].
func (d *DB) BatchItemState(ctx context.Context, id batch.ItemID) (state batch.State, err error) {
	err = d.stmts["batch_state"].QueryRowContext(ctx, int64(id)).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return state, err
}

// SentItems implements [batch.Store].
func (d *DB) SentItems(ctx context.Context, id batch.SentID) ([]batch.Row, error) {
	return d.batchItems(ctx, "batch_sent_items", true, int64(id))
}

func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// MoveBatchItems implements [batch.Store].
func (d *DB) MoveBatchItems(ctx context.Context, m batch.Move) (int64, error) {
	if !m.From.May(m.To) {
		return 0, fmt.Errorf("an item never goes from %s to %s", m.From, m.To)
	}
	if m.To.Final() {
		return 0, fmt.Errorf("an item is answered one by one, or with its job, and not moved to %s", m.To)
	}
	var moved int64
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		s := d.in(tx, "batch_move_item")
		for _, id := range m.Items {
			n, err := affected(s.ExecContext(ctx, string(m.To), string(m.Path), m.Why, m.Provider, m.Model, milli(m.Due), count(m.Tried),
				time.Now().UnixMilli(), int64(id), string(m.From)))
			if err != nil {
				return fmt.Errorf("move an item: %w", err)
			}
			moved += n
		}
		return nil
	})
	return moved, err
}

// MoveBatchJob implements [batch.Store].
func (d *DB) MoveBatchJob(ctx context.Context, job batch.JobID, m batch.Move) (n int64, err error) {
	if !m.From.May(m.To) {
		return 0, fmt.Errorf("an item never goes from %s to %s", m.From, m.To)
	}
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		seq := int64(0)
		if m.To.Final() {
			if err := d.in(tx, "batch_number_job").QueryRowContext(ctx, int64(job)).Scan(&seq); err != nil {
				return fmt.Errorf("number the answers of a job: %w", err)
			}
		}
		n, err = affected(d.in(tx, "batch_move_job").ExecContext(ctx, string(m.To), string(m.Path), m.Why, milli(m.Due), count(m.Tried),
			time.Now().UnixMilli(), seq, int64(job), string(m.From)))
		if err != nil {
			return fmt.Errorf("move the items of a job: %w", err)
		}
		return nil
	})
	return n, err
}

// FinishBatchItem implements [batch.Store].
func (d *DB) FinishBatchItem(ctx context.Context, f batch.Final, now time.Time) (first bool, err error) {
	if !f.State.Final() {
		return false, fmt.Errorf("an answered item is never %s", f.State)
	}
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		// The number locks the job: answers are seen in the order of their numbers.
		var seq int64
		err := d.in(tx, "batch_number").QueryRowContext(ctx, int64(f.Item)).Scan(&seq)
		if errors.Is(err, sql.ErrNoRows) { // its job was deleted
			return nil
		}
		if err != nil {
			return fmt.Errorf("number an answer: %w", err)
		}
		n, err := affected(d.in(tx, "batch_finish_item").ExecContext(ctx, string(f.State), f.Why, int64(f.Cost), int64(f.RealTime), milli(now), seq, int64(f.Item)))
		first = n > 0
		switch {
		case err != nil:
		case first:
			_, err = d.in(tx, "batch_finish_body").ExecContext(ctx, blob(f.Sealed), int64(f.Item))
			if t := f.Tokens; err == nil && t != (batch.Tokens{}) {
				_, err = d.in(tx, "batch_add_usage").ExecContext(ctx, t.Prompt, t.Cached, t.Output, t.Reasoning, int64(f.Item))
			}
		default:
			_, err = d.in(tx, "batch_drop_answer").ExecContext(ctx, int64(f.Cost), int64(f.Item))
		}
		if err != nil {
			return fmt.Errorf("answer an item: %w", err)
		}
		return nil
	})
	return first, err
}

// ReopenBatchItems implements [batch.Store].
func (d *DB) ReopenBatchItems(ctx context.Context, owner string, id batch.JobID, deadline, now time.Time) (n int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		is, err := affected(d.in(tx, "batch_reopen_job").ExecContext(ctx, milli(deadline), int64(id), owner))
		if err == nil && is == 0 {
			return batch.ErrNotFound
		}
		if err == nil {
			n, err = affected(d.in(tx, "batch_reopen_items").ExecContext(ctx, milli(deadline), milli(now), int64(id)))
		}
		if err != nil {
			return fmt.Errorf("reopen items: %w", err)
		}
		return nil
	})
	return n, err
}

// IntendBatch implements [batch.Store].
func (d *DB) IntendBatch(ctx context.Context, s *batch.Sent, items []batch.ItemID) (n int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		n = 0
		if _, err := d.in(tx, "batch_intend").ExecContext(ctx, int64(s.ID), s.Provider, s.Model, len(items), milli(s.Created), milli(s.Due)); err != nil {
			return fmt.Errorf("write the intent of a batch: %w", err)
		}
		put := d.in(tx, "batch_intend_item")
		for _, id := range items {
			is, err := affected(put.ExecContext(ctx, int64(s.ID), milli(s.Created), int64(id)))
			if err != nil {
				return fmt.Errorf("put an item into a batch: %w", err)
			}
			n += is
		}
		_, err := d.in(tx, "batch_size").ExecContext(ctx, n, int64(s.ID))
		return err
	})
	return n, err
}

// SaveBatch implements [batch.Store].
func (d *DB) SaveBatch(ctx context.Context, s *batch.Sent) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := d.in(tx, "batch_save").ExecContext(ctx, s.Upstream, string(s.Phase), milli(s.Canceled), milli(s.Ended), milli(s.Due), s.Polls, int64(s.ID))
		if err == nil && s.Upstream != "" {
			_, err = d.in(tx, "batch_run_items").ExecContext(ctx, milli(s.Created), int64(s.ID))
		}
		if err == nil && !s.Ended.IsZero() {
			_, err = d.in(tx, "batch_end_items").ExecContext(ctx, milli(s.Ended), int64(s.ID))
		}
		if err != nil {
			return fmt.Errorf("write a batch: %w", err)
		}
		return nil
	})
}

func (d *DB) sent(ctx context.Context, name string, args ...any) ([]batch.Sent, error) {
	var all []batch.Sent
	err := each(ctx, d.stmts[name], args, func(rows *sql.Rows) error {
		var s batch.Sent
		var created, canceled, ended, due int64
		err := rows.Scan(&s.ID, &s.Provider, &s.Model, &s.Upstream, &s.Phase, &s.Items, &created, &canceled, &ended, &due, &s.Polls)
		s.Created, s.Canceled, s.Ended, s.Due = timeOf(created), timeOf(canceled), timeOf(ended), timeOf(due)
		all = append(all, s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read batches: %w", err)
	}
	return all, nil
}

// ClaimBatches implements [batch.Store].
func (d *DB) ClaimBatches(ctx context.Context, phase batch.Phase, c batch.Claim) ([]batch.Sent, error) {
	return d.sent(ctx, "batch_claim_sent", c.Worker, milli(c.Until), string(phase), milli(c.Now), c.Limit)
}

// AddBatchTime implements [batch.Store].
func (d *DB) AddBatchTime(ctx context.Context, provider, model string, id batch.SentID, took time.Duration, most int) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := d.in(tx, "batch_add_time").ExecContext(ctx, provider, model, int64(id), took.Milliseconds())
		if err == nil {
			_, err = d.in(tx, "batch_prune_times").ExecContext(ctx, provider, model, most)
		}
		if err != nil {
			return fmt.Errorf("write how long a batch took: %w", err)
		}
		return nil
	})
}

// BatchTimes implements [batch.Store].
func (d *DB) BatchTimes(ctx context.Context, add func(provider, model string, took time.Duration)) error {
	err := each(ctx, d.stmts["batch_times"], nil, func(rows *sql.Rows) error {
		var provider, model string
		var took int64
		err := rows.Scan(&provider, &model, &took)
		add(provider, model, time.Duration(took)*time.Millisecond)
		return err
	})
	if err != nil {
		return fmt.Errorf("read how long batches took: %w", err)
	}
	return nil
}

// HoldBatchItems implements [batch.Store].
func (d *DB) HoldBatchItems(ctx context.Context, held map[batch.ItemID]llm.Nanodollars) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		s := d.in(tx, "batch_hold")
		for id, amount := range held {
			if _, err := s.ExecContext(ctx, int64(amount), int64(id)); err != nil {
				return fmt.Errorf("write what is held for an item: %w", err)
			}
		}
		return nil
	})
}

// HeldBatchItems implements [batch.Store].
func (d *DB) HeldBatchItems(ctx context.Context, found func(batch.Held)) error {
	err := each(ctx, d.stmts["batch_held"], nil, func(rows *sql.Rows) error {
		var h batch.Held
		err := rows.Scan(&h.Item, &h.Job, &h.Amount)
		found(h)
		return err
	})
	if err != nil {
		return fmt.Errorf("read what is held for items: %w", err)
	}
	return nil
}

// ForecastBatchJob implements [batch.Store].
func (d *DB) ForecastBatchJob(ctx context.Context, id batch.JobID, f batch.Forecast) error {
	if _, err := d.stmts["batch_forecast"].ExecContext(ctx, thousandths(f.Share), thousandths(f.InTime), milli(f.Leaves), int64(id)); err != nil {
		return fmt.Errorf("write what is expected of a job: %w", err)
	}
	return nil
}

func thousandths(f float64) int64 { return int64(math.Round(f * 1000)) }

// NextBatchWork implements [batch.Store].
func (d *DB) NextBatchWork(ctx context.Context, now time.Time) (time.Time, error) {
	var at sql.NullInt64
	if err := d.stmts["batch_next"].QueryRowContext(ctx, milli(now)).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("look for the next work: %w", err)
	}
	return timeOf(at.Int64), nil
}

// BatchesOf implements [batch.Store].
func (d *DB) BatchesOf(ctx context.Context, job batch.JobID) ([]batch.Sent, error) {
	return d.sent(ctx, "batch_of_job", int64(job))
}

// FreeBatches implements [batch.Store].
func (d *DB) FreeBatches(ctx context.Context, worker string) error {
	for _, name := range []string{"batch_free_items", "batch_free_sent"} {
		if _, err := d.stmts[name].ExecContext(ctx, worker); err != nil {
			return fmt.Errorf("free the leases of %s: %w", worker, err)
		}
	}
	return nil
}

// KnownBatch implements [batch.Store].
func (d *DB) KnownBatch(ctx context.Context, provider, upstream string) (bool, error) {
	var id int64
	err := d.stmts["batch_known"].QueryRowContext(ctx, provider, upstream).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// SweepBatches implements [batch.Store].
func (d *DB) SweepBatches(ctx context.Context, ended, begun, now time.Time) (n int64, err error) {
	var ids []batch.JobID
	err = each(ctx, d.stmts["batch_sweep_list"], []any{milli(ended), milli(begun)}, func(rows *sql.Rows) error {
		var id batch.JobID
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	for _, id := range ids {
		if err == nil {
			err = d.inTx(ctx, func(tx *sql.Tx) error { return d.dropJob(ctx, tx, id) })
			n++
		}
	}
	if err == nil {
		_, err = d.stmts["batch_sweep_keys"].ExecContext(ctx, milli(now))
	}
	if err != nil {
		return n, fmt.Errorf("sweep jobs: %w", err)
	}
	return n, nil
}
