// Package ledger holds what every request cost and how it ended: one entry per
// request with one attempt per try, priced and written in batches outside the
// request path, and rolled up by hour, key and target.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Options say how a Ledger works. The zero value works, but prices nothing.
type Options struct {
	// Price says what an attempt costs; nil leaves all but what providers
	// report themselves unpriced.
	Price PriceFunc
	// Told is given each entry once it is written, priced; nil is not. It must
	// neither wait nor keep the entry.
	Told func(e *Entry)
	// Log is told of losses and of failures of the store; nil is silent.
	Log *slog.Logger
	// Every is how long an entry waits at most before it is written; 0 means
	// 250 ms.
	Every time.Duration
	// BatchRows is how many entries are written at once and how many make the
	// writer start early; 0 means 500.
	BatchRows int
	// Keep is how many entries may wait in memory while the store fails; more
	// are counted as lost. 0 means 32,768, about 32 MB at its worst for
	// ordinary entries.
	Keep int
	// StopIn bounds the last write when Run ends; 0 means 5 s.
	StopIn time.Duration
}

// The pause between two tries at a store that fails, doubling with jitter.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// writeIn bounds one try.
	writeIn = 10 * time.Second
	// sayEvery is how often losses are put into the log.
	sayEvery = 10 * time.Second
)

// Ledger takes entries from the request path and writes them from another
// goroutine. Note and the readers are safe for concurrent use.
type Ledger struct {
	store Store
	opts  Options
	run   Run
	ids   IDs
	// some has a token when entries wait, full when a batch is full.
	some, full chan struct{}
	// turn is held by who writes: a lock that a context can give up on.
	turn chan struct{}
	// Whoever has the turn may touch these: the number of batches so far, what
	// Begin found, and room for the settled copies of a batch.
	n        int64
	killed   []Run
	settled  []Entry
	attempts []Attempt

	mu sync.Mutex // guards all below; held for copies only, never over I/O
	// waiting is appended to by Note; the writer swaps it for spare. Entries in
	// it are read by anyone and never changed.
	waiting, spare []Entry
	// feedback waits to be written, behind the entries that it is about; saying is
	// the part that the store may not have yet.
	feedback, saying []Feedback
	// writing is the part of taken that the store may not have yet.
	writing, taken []Entry
	stats          Stats
	told           int64 // how many of stats.Lost the log knows
	toldAt         time.Time
	begun          bool
}

// Stats are the ledger's figures since it was made.
type Stats struct {
	// Noted = Written + Lost + Taken + Waiting.
	Noted, Written int64
	// Lost counts entries that found no room while the store failed.
	Lost int64
	// Taken counts entries that were left out because their ID was there.
	Taken int64
	// Waiting is how many are in memory only.
	Waiting int
	// Batches and Failures count tries that succeeded and failed.
	Batches, Failures int64
	// LastWrite is when the store last took something; LastError is the last
	// failure, nil once the store works again.
	LastWrite time.Time
	LastError error
}

// New makes a ledger over a store. Nothing is written before Run or Flush.
func New(store Store, opts Options) *Ledger {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.Every = cmp.Or(opts.Every, 250*time.Millisecond)
	opts.BatchRows = cmp.Or(opts.BatchRows, 500)
	opts.Keep = cmp.Or(opts.Keep, 32<<10)
	opts.StopIn = cmp.Or(opts.StopIn, 5*time.Second)
	return &Ledger{store: store, opts: opts,
		some: make(chan struct{}, 1), full: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

// NewID mints the ID of a request that begins now.
func (l *Ledger) NewID(now time.Time) ID { return l.ids.New(now) }

// Note takes an entry over; the caller must not touch its slices again. It
// never waits for the store: while that fails, entries gather in memory, and
// those beyond Options.Keep are counted as lost. Prices and sums need not be
// filled in.
func (l *Ledger) Note(e Entry) {
	l.mu.Lock()
	l.stats.Noted++
	if len(l.waiting)+len(l.writing) >= l.opts.Keep {
		l.stats.Lost++
		l.mu.Unlock()
		return
	}
	l.waiting = append(l.waiting, e)
	n := len(l.waiting)
	l.mu.Unlock()
	if n == 1 {
		nudge(l.some)
	}
	if n == l.opts.BatchRows {
		nudge(l.full)
	}
}

// Say takes what came to be known of an answer. It never waits for the store;
// beyond Options.Keep it is lost.
func (l *Ledger) Say(f Feedback) {
	l.mu.Lock()
	if len(l.feedback)+len(l.saying) >= l.opts.Keep {
		l.mu.Unlock()
		return
	}
	l.feedback = append(l.feedback, f)
	l.mu.Unlock()
	nudge(l.some)
}

// said adds to an entry the feedback that is not written yet.
func (l *Ledger) said(e *Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, list := range [...][]Feedback{l.saying, l.feedback} {
		for _, f := range list {
			if f.Request == e.ID {
				e.Feedback = append(slices.Clip(e.Feedback), f)
			}
		}
	}
}

// Success returns what requests came to; what is not written yet is not in it.
func (l *Ledger) Success(ctx context.Context, since, until time.Time) ([]Success, error) {
	return l.store.Success(ctx, since, until)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Stats returns the figures as they are now.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Waiting = len(l.waiting) + len(l.writing)
	return s
}

// Begin opens a run in the store. It tells, in the log and as its result, when
// an earlier run was killed, so that rows may be missing. Run and Flush call
// it when nobody has; calling it again does nothing.
func (l *Ledger) Begin(ctx context.Context) (killed []Run, err error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.give()
	return l.begin(ctx)
}

// begin needs the turn.
func (l *Ledger) begin(ctx context.Context) ([]Run, error) {
	l.mu.Lock()
	begun := l.begun
	l.mu.Unlock()
	if begun {
		return l.killed, nil
	}
	now := time.Now()
	if l.run.ID == 0 {
		l.run.ID = l.ids.New(now)
	}
	l.run.Written = now
	killed, err := l.store.Begin(ctx, l.run)
	if err != nil {
		return nil, fmt.Errorf("begin a run in the ledger: %w", err)
	}
	l.killed = killed
	for _, r := range killed {
		l.opts.Log.Warn(fmt.Sprintf("the last run did not stop cleanly: rows of the last %s before its end are lost, and requests that were running have none",
			l.opts.window()), "last_written", r.Written.UTC().Format(time.RFC3339Nano), "run_began", r.ID.Time().Format(time.RFC3339))
	}
	l.mu.Lock()
	l.begun = true
	l.mu.Unlock()
	return killed, nil
}

// window is how much a killed run can have lost while its store worked: an
// entry waits that long, and a write takes its time.
func (o *Options) window() time.Duration { return max(4*o.Every, time.Second) }

// RunID is the run that rows are written under; 0 before Begin.
func (l *Ledger) RunID() ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun {
		return 0
	}
	return l.run.ID
}

func (l *Ledger) take(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Ledger) give() { <-l.turn }

// Run writes entries until ctx ends, then writes what is left within
// Options.StopIn and notes a clean stop if nothing is left. Its error says
// what could not be written at the end. The caller owns its goroutine; Run is
// called once.
func (l *Ledger) Run(ctx context.Context) error {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		// The first drain begins the run.
		if err := l.drain(ctx); err != nil {
			pause = min(max(2*pause, firstPause), lastPause)
			l.wait(ctx, pause-rand.N(pause/4), nil)
			continue
		}
		pause = 0
		select {
		case <-ctx.Done():
		case <-l.some:
			l.wait(ctx, l.opts.Every, l.full)
		}
	}
	return l.stop(ctx)
}

// wait sleeps for d, until early or until ctx ends.
func (l *Ledger) wait(ctx context.Context, d time.Duration, early <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-early:
	case <-t.C:
	}
}

// stop writes the rest. The context that ended Run must not end this: what
// was served has to be paid for.
func (l *Ledger) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.opts.StopIn)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		return err
	}
	if err := l.store.End(ctx, l.run.ID, time.Now()); err != nil {
		return fmt.Errorf("end the ledger's run: %w", err)
	}
	return nil
}

// Flush writes everything that was noted before the call, trying again until
// ctx ends. Its error says how many entries are still in memory only.
func (l *Ledger) Flush(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := l.drain(ctx)
		if err == nil {
			return nil
		}
		l.wait(ctx, pause, nil)
		if ctx.Err() != nil {
			return fmt.Errorf("%d entries are not written: %w", l.Stats().Waiting, err)
		}
	}
}

// drain writes all that waits, batch by batch.
func (l *Ledger) drain(ctx context.Context) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.give()
	if _, err := l.begin(ctx); err != nil {
		l.failed(err)
		return err
	}
	for {
		l.mu.Lock()
		if len(l.writing) == 0 {
			l.recycle()
			l.taken, l.waiting, l.spare = l.waiting, l.spare[:0], nil
			l.writing = l.taken
			if len(l.saying) == 0 { // about these, or what is written
				l.saying, l.feedback = l.feedback, nil
			}
		}
		batch := l.writing[:min(len(l.writing), l.opts.BatchRows)]
		l.mu.Unlock()
		if len(batch) == 0 && len(l.saying) == 0 {
			return nil
		}
		if err := l.write(ctx, batch); err != nil {
			l.failed(err)
			return err
		}
	}
}

// recycle keeps the buffer of what was written for the next swap, unless an
// outage made it large. It needs mu.
func (l *Ledger) recycle() {
	const keep = 4096
	if cap(l.taken) <= keep {
		clear(l.taken) // drop what the entries point at
		l.spare = l.taken[:0]
	}
	l.taken, l.writing = nil, nil
}

// write gives one batch to the store. It needs the turn.
func (l *Ledger) write(ctx context.Context, batch []Entry) error {
	ctx, cancel := context.WithTimeout(ctx, writeIn)
	defer cancel()
	entries := l.settle(batch)
	now := time.Now()
	var said []Feedback
	if len(batch) == len(l.writing) { // the last ones
		said = l.saying
	}
	for {
		err := l.store.WriteBatch(ctx, &Batch{Run: l.run.ID, N: l.n + 1, At: now, Entries: entries, Hours: RollUp(entries),
			Successes: Successes(entries), Feedback: said})
		if err == nil {
			break
		}
		t, ok := errors.AsType[*TakenError](err)
		if !ok || len(t.At) == 0 {
			return fmt.Errorf("write %d ledger entries: %w", len(entries), err)
		}
		entries = without(entries, t.At, l.opts.Log)
	}
	if l.opts.Told != nil {
		for i := range entries {
			l.opts.Told(&entries[i])
		}
	}
	taken := len(batch) - len(entries)
	l.n++
	l.mu.Lock()
	back := l.stats.LastError != nil
	l.stats.Written += int64(len(batch) - taken)
	l.stats.Taken += int64(taken)
	l.stats.Batches++
	l.stats.LastWrite, l.stats.LastError = now, nil
	l.writing = l.writing[len(batch):]
	if said != nil {
		l.saying = nil
	}
	lost := l.untold(now, back)
	l.mu.Unlock()
	if back {
		l.opts.Log.Info("the ledger is written again")
	}
	l.tell(lost, nil)
	return nil
}

// without leaves out entries whose IDs are taken: one outcome per request.
func without(entries []Entry, at []int, log *slog.Logger) []Entry {
	out := entries[:0]
	for i := range entries {
		if _, found := slices.BinarySearch(at, i); found {
			log.Error("a ledger entry is left out: its request id is taken", "request", entries[i].ID.String())
			continue
		}
		out = append(out, entries[i])
	}
	return out
}

// settle makes the priced copies of a batch. The originals stay as they are:
// readers look at them without a lock.
func (l *Ledger) settle(batch []Entry) []Entry {
	n := 0
	for i := range batch {
		n += len(batch[i].Attempts)
	}
	l.attempts = slices.Grow(l.attempts[:0], n)
	l.settled = append(l.settled[:0], batch...)
	for i := range l.settled {
		e := &l.settled[i]
		from := len(l.attempts)
		l.attempts = append(l.attempts, e.Attempts...)
		e.Attempts = l.attempts[from:len(l.attempts):len(l.attempts)]
		e.Warnings, e.Charges, e.Trial = slices.Clone(e.Warnings), slices.Clone(e.Charges), e.Trial.copy()
		e.settle(l.opts.Price)
	}
	return l.settled
}

// failed counts a failure and tells of it once per outage.
func (l *Ledger) failed(err error) {
	now := time.Now()
	l.mu.Lock()
	first := l.stats.LastError == nil
	l.stats.Failures++
	l.stats.LastError = err
	waiting := len(l.waiting) + len(l.writing)
	lost := l.untold(now, false)
	l.mu.Unlock()
	if first {
		l.opts.Log.Error("the ledger cannot be written: entries wait in memory", "error", err, "waiting", waiting)
	}
	l.tell(lost, err)
}

func (l *Ledger) tell(lost int64, err error) {
	if lost > 0 {
		l.opts.Log.Error("ledger entries are lost: memory for what waits is full", "lost", lost, "error", err)
	}
}

// untold gives how many entries were lost since the log was last told, or 0
// when it was told only just. It needs mu.
func (l *Ledger) untold(now time.Time, always bool) int64 {
	lost := l.stats.Lost - l.told
	if lost == 0 || !always && now.Sub(l.toldAt) < sayEvery {
		return 0
	}
	l.told, l.toldAt = l.stats.Lost, now
	return lost
}

// Request returns one entry, also when it is not written yet.
func (l *Ledger) Request(ctx context.Context, id ID) (Entry, bool, error) {
	if e, ok := l.inMemory(id); ok {
		l.settleCopy(&e)
		l.said(&e)
		return e, true, nil
	}
	e, ok, err := l.store.Request(ctx, id)
	if ok {
		l.said(&e)
	}
	return e, ok, err
}

func (l *Ledger) inMemory(id ID) (Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, list := range [...][]Entry{l.waiting, l.writing} {
		for i := range list {
			if list[i].ID == id {
				return list[i], true
			}
		}
	}
	return Entry{}, false
}

func (l *Ledger) settleCopy(e *Entry) {
	e.Attempts, e.Warnings, e.Charges, e.Trial = slices.Clone(e.Attempts), slices.Clone(e.Warnings), slices.Clone(e.Charges), e.Trial.copy()
	e.settle(l.opts.Price)
}

// Recent returns entries by a filter, those not written yet among them unless
// it follows the order of writing.
func (l *Ledger) Recent(ctx context.Context, f Filter) ([]Entry, error) {
	if f.After != 0 {
		return l.store.Recent(ctx, f)
	}
	// Memory first: what is written in between is then seen twice, not never.
	var found []Entry
	l.mu.Lock()
	for _, list := range [...][]Entry{l.waiting, l.writing} {
		for i := range list {
			if f.match(&list[i]) {
				found = append(found, list[i])
			}
		}
	}
	l.mu.Unlock()
	stored, err := l.store.Recent(ctx, f)
	if err != nil {
		return nil, err
	}
	has := make(map[ID]bool, len(stored))
	for i := range stored {
		has[stored[i].ID] = true
	}
	found = slices.DeleteFunc(found, func(e Entry) bool { return has[e.ID] })
	for i := range found {
		l.settleCopy(&found[i])
	}
	found = append(found, stored...)
	slices.SortFunc(found, func(a, b Entry) int { return cmp.Compare(b.ID, a.ID) })
	return found[:min(len(found), f.Lines())], nil
}

// Usage returns tallies; what is not written yet is not in them.
func (l *Ledger) Usage(ctx context.Context, by By, since, until time.Time) ([]UsageRow, error) {
	return l.store.Usage(ctx, by, since, until)
}
