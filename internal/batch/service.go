package batch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"iter"
	"maps"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// Sealer encrypts bodies and answers at rest; label binds a text to its item.
type Sealer interface {
	Close(label string, plain []byte) []byte
	Open(label string, sealed []byte) ([]byte, error)
}

// Service is what doors ask. Every method that names an owner gives
// ErrNotFound for another's job. Safe for concurrent use.
type Service struct {
	Store Store
	Seal  Sealer
	Rule  Rule
	// Rate is what real time can take now. nil refuses no deadline.
	Rate func() Rate
	// Bells are those of the engine in this process; nil where there is none.
	Bells *Bells
	ids   ledger.IDs
}

// keepKeys is how long an idempotency key is remembered.
const keepKeys = 7 * 24 * time.Hour

// The items of one transaction: so many, or so many bytes.
const (
	chunkItems = 1000
	chunkBytes = 8 << 20
)

// LateError says that a deadline cannot be kept.
type LateError struct {
	// Earliest is the first deadline that could be.
	Earliest time.Time
}

func (e *LateError) Error() string {
	return "the deadline cannot be kept; the earliest possible is " + e.Earliest.UTC().Format(time.RFC3339)
}

func label(id ItemID) string { return "batch item " + strconv.FormatInt(int64(id), 10) }

// Submit writes a job with its items, of which it sets id, job, index and
// state; of the job it sets id and creation. An item that comes with an answer
// has failed already. Items are read one by one and
// nothing of a job that fails stays: not of one whose items end in an error,
// ErrDuplicate or [LateError]. The same key and items give the job that was
// first, ErrConflict if they differ.
func (s *Service) Submit(ctx context.Context, j Job, key string, items iter.Seq2[Item, error]) (Job, error) {
	now := time.Now()
	j.ID, j.Created = JobID(s.ids.New(now)), now
	if !j.Deadline.After(now) {
		return Job{}, &LateError{now}
	}
	if err := s.Store.BeginBatchJob(ctx, &j); err != nil {
		return Job{}, err
	}
	digest := sha256.New()
	for _, part := range []string{string(j.Dialect), string(j.Form), j.Name, string(j.Meta), j.Priority, j.Webhook} {
		write(digest, []byte(part))
	}
	n, err := s.addAll(ctx, &j, digest, items)
	if err == nil && s.Rate != nil {
		err = s.admit(ctx, &j, n)
	}
	id := j.ID
	if err == nil {
		id, err = s.Store.CommitBatchJob(ctx, j.Owner, j.ID, Idempotency{key, hex.EncodeToString(digest.Sum(nil))}, now, keepKeys)
	}
	switch {
	case errors.Is(err, ErrConflict):
		return Job{}, err // the store has dropped it
	case err != nil:
		// The caller may be gone; what it began must go all the same.
		drop := s.Store.DropBatchJob(context.WithoutCancel(ctx), j.Owner, j.ID)
		if errors.Is(drop, ErrNotFound) {
			drop = nil
		}
		return Job{}, errors.Join(err, drop)
	}
	s.Bells.work().Ring()
	return s.Store.BatchJob(ctx, j.Owner, id)
}

// write adds a part so that no two lists of parts are the same.
func write(h hash.Hash, part []byte) {
	fmt.Fprintf(h, "%d:", len(part))
	h.Write(part)
}

func (s *Service) addAll(ctx context.Context, j *Job, digest hash.Hash, items iter.Seq2[Item, error]) (n int64, err error) {
	rows, size := make([]Row, 0, chunkItems), 0
	flush := func() error {
		err := s.Store.AddBatchItems(ctx, rows)
		clear(rows)
		rows, size = rows[:0], 0
		return err
	}
	for it, err := range items {
		if err != nil {
			return n, err
		}
		for _, part := range []string{it.CustomID, string(it.Dialect), string(it.Op), it.Model} {
			write(digest, []byte(part))
		}
		write(digest, it.Body)
		it.ID, it.Job, it.Index, it.State, it.Changed = ItemID(s.ids.New(j.Created)), j.ID, int(n), Queued, j.Created
		r := Row{Item: it, Deadline: j.Deadline, Size: int64(len(it.Body))}
		if it.Answer != nil {
			raw, err := appendAnswer(*it.Answer)
			if err != nil {
				return n, err
			}
			r.State, r.Why, r.Sealed = Failed, "it cannot be asked", s.Seal.Close(label(it.ID)+" answer", raw)
		}
		r.Body = s.Seal.Close(label(it.ID), it.Body)
		n++
		rows, size = append(rows, r), size+len(r.Body)
		if len(rows) == chunkItems || size >= chunkBytes {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	return n, flush()
}

func (s *Service) admit(ctx context.Context, j *Job, n int64) error {
	open, err := s.Store.OpenBatchJobs(ctx)
	if err != nil {
		return err
	}
	if a := s.Rule.Admit(time.Now(), j.Deadline, n, demands(open), s.Rate()); !a.Possible {
		return &LateError{a.Earliest}
	}
	return nil
}

func demands(open []Job) []Demand {
	var ds []Demand
	for i := range open {
		c := open[i].Counts
		ds = append(ds, Demand{open[i].ID, open[i].Deadline, c.Left(), c.Left() == c[RealTime]})
	}
	return ds
}

// Job reads a job with its counts.
func (s *Service) Job(ctx context.Context, owner string, id JobID) (Job, error) {
	return s.Store.BatchJob(ctx, owner, id)
}

// Jobs lists the owner's jobs below before (0: all), the newest first.
func (s *Service) Jobs(ctx context.Context, owner string, before JobID, limit int) ([]Job, error) {
	return s.Store.BatchJobs(ctx, owner, before, limit)
}

// page is how many items are read at once.
const page = 200

// Items streams a job's items in their order, with bodies, and with answers
// where there are any. An item that was canceled or has expired has an answer
// without a body.
func (s *Service) Items(ctx context.Context, owner string, id JobID) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if _, err := s.Store.BatchJob(ctx, owner, id); err != nil {
			yield(Item{}, err)
			return
		}
		for from := 0; ; {
			rows, err := s.Store.BatchItems(ctx, id, from, page)
			if err != nil {
				yield(Item{}, err)
				return
			}
			for i := range rows {
				if err := open(s.Seal, &rows[i]); !yield(rows[i].Item, err) || err != nil {
					return
				}
			}
			if len(rows) < page {
				return
			}
			from = rows[len(rows)-1].Index + 1
		}
	}
}

// Answered streams the answers of a job that are there behind a place, in the
// order they came, with Seq. An item that is asked again is not there until it
// has its new answer.
func (s *Service) Answered(ctx context.Context, owner string, id JobID, after Cursor) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if _, ok, err := s.own(ctx, owner, id); err != nil || !ok {
			yield(Item{}, cmp.Or(err, ErrNotFound))
			return
		}
		for {
			rows, err := s.Store.AnsweredBatchItems(ctx, id, after, page)
			if err != nil {
				yield(Item{}, err)
				return
			}
			for i := range rows {
				if err := open(s.Seal, &rows[i]); !yield(rows[i].Item, err) || err != nil {
					return
				}
			}
			if len(rows) < page {
				return
			}
			last := &rows[len(rows)-1]
			after = Cursor{last.Seq, last.Index}
		}
	}
}

// own reads a job without counts; not ok is another owner's, or none.
func (s *Service) own(ctx context.Context, owner string, id JobID) (Job, bool, error) {
	j, ok, err := s.Store.BatchJobOf(ctx, id)
	return j, ok && j.Owner == owner, err
}

// open decrypts a row.
func open(seal Sealer, r *Row) (err error) {
	if r.Body, err = seal.Open(label(r.ID), r.Body); err != nil {
		return fmt.Errorf("item %d: %w", r.Index, err)
	}
	switch {
	case len(r.Sealed) > 0:
		plain, err := seal.Open(label(r.ID)+" answer", r.Sealed)
		if err != nil {
			return fmt.Errorf("answer of item %d: %w", r.Index, err)
		}
		r.Answer, err = parseAnswer(plain)
		return err
	case r.State == Canceled:
		r.Answer = &Answer{Status: 499, Err: llm.Errorf(llm.ClientGone, "the item was canceled")}
	case r.State == Expired:
		r.Answer = &Answer{Status: 504, Err: llm.Errorf(llm.Timeout, "the deadline was over before there was an answer")}
	}
	return nil
}

// stored is an answer at rest; an error keeps what a client may be told.
type stored struct {
	Answer Answer
	Failed *failure
}

type failure struct {
	Class             llm.Class
	Status            int
	Provider, Model   string
	Type, Code, Param string
	Message           string
	From              llm.Dialect
	Body              []byte
	ContentType       string
}

func appendAnswer(a Answer) ([]byte, error) {
	st := stored{Answer: a}
	if e := a.Err; e != nil {
		st.Failed = &failure{e.Class, e.Status, e.Provider, e.Model, e.Type, e.Code, e.Param, e.Message, e.From, e.Body, e.ContentType}
	}
	st.Answer.Err = nil
	return json.Marshal(&st)
}

func parseAnswer(raw []byte) (*Answer, error) {
	var st stored
	if err := json.Unmarshal(raw, &st); err != nil {
		return nil, fmt.Errorf("read a stored answer: %w", err)
	}
	if f := st.Failed; f != nil {
		st.Answer.Err = &llm.Error{Class: f.Class, Status: f.Status, Provider: f.Provider, Model: f.Model, Type: f.Type, Code: f.Code,
			Param: f.Param, Message: f.Message, From: f.From, Body: f.Body, ContentType: f.ContentType}
	}
	return &st.Answer, nil
}

// Cancel asks for a job's end. Items that have their answer keep it.
func (s *Service) Cancel(ctx context.Context, owner string, id JobID) (Job, error) {
	if err := s.Store.CancelBatchJob(ctx, owner, id, time.Now()); err != nil {
		return Job{}, err
	}
	s.Bells.work().Ring()
	return s.Store.BatchJob(ctx, owner, id)
}

// Retry queues the items that failed, expired or were canceled again, with a
// new deadline, and says how many.
func (s *Service) Retry(ctx context.Context, owner string, id JobID, deadline time.Time) (int64, error) {
	if now := time.Now(); !deadline.After(now) {
		return 0, &LateError{now}
	}
	n, err := s.Store.ReopenBatchItems(ctx, owner, id, deadline, time.Now())
	s.Bells.work().Ring()
	return n, err
}

// ErrBusy says that a job has not ended.
var ErrBusy = errors.New("the job has not ended")

// Delete removes a job that has ended; ErrBusy.
func (s *Service) Delete(ctx context.Context, owner string, id JobID) error {
	j, err := s.Store.BatchJob(ctx, owner, id)
	if err != nil {
		return err
	}
	if j.Ended.IsZero() {
		return ErrBusy
	}
	return s.Store.DropBatchJob(ctx, owner, id)
}

// How often a job is looked at by who watches it: when there is news of any job
// in this process, but not more often than watchGap, and anyway now and then.
const (
	watchGap   = 250 * time.Millisecond
	watchEvery = 15 * time.Second
)

// Watch gives the job now and whenever its counts have changed, and ends with
// the job.
func (s *Service) Watch(ctx context.Context, owner string, id JobID) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		var last Counts
		for {
			news := s.Bells.news().Next()
			j, err := s.Store.BatchJob(ctx, owner, id)
			if err != nil {
				yield(Job{}, err)
				return
			}
			if last == nil || !maps.Equal(last, j.Counts) || !j.Ended.IsZero() {
				if !yield(j, nil) || !j.Ended.IsZero() {
					return
				}
				last = j.Counts
			}
			err = pause(ctx, watchGap)
			if err == nil {
				err = wait(ctx, watchEvery-watchGap, news)
			}
			if err != nil {
				yield(Job{}, err)
				return
			}
		}
	}
}
