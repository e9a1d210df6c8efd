package ledger_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// shelf is a store in memory that can fail in the ways stores do.
type shelf struct {
	mu      sync.Mutex // guards all below
	entries []ledger.Entry
	batches []ledger.Batch
	runs    map[ledger.ID]bool // true: open
	down    error
	// lie makes the next write succeed and report an error all the same.
	lie bool
	// slow is how long a write takes.
	slow time.Duration
}

func (s *shelf) Begin(_ context.Context, run ledger.Run) (killed []ledger.Run, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return nil, s.down
	}
	if s.runs == nil {
		s.runs = map[ledger.ID]bool{}
	}
	for id, open := range s.runs {
		if open {
			killed = append(killed, ledger.Run{ID: id, Written: time.Unix(1, 0)})
		}
	}
	clear(s.runs)
	s.runs[run.ID] = true
	return killed, nil
}

func (s *shelf) End(_ context.Context, run ledger.ID, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[run] = false
	return s.down
}

func (s *shelf) Success(context.Context, time.Time, time.Time) ([]ledger.Success, error) {
	return nil, nil
}

func (s *shelf) WriteBatch(ctx context.Context, b *ledger.Batch) error {
	if s.slow > 0 {
		time.Sleep(s.slow)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmp.Or(ctx.Err(), s.down); err != nil {
		return err
	}
	if n := len(s.batches); n > 0 && s.batches[n-1].N >= b.N {
		return nil
	}
	var taken ledger.TakenError
	for i, e := range b.Entries {
		same := func(o ledger.Entry) bool { return o.ID == e.ID }
		if slices.ContainsFunc(s.entries, same) || slices.ContainsFunc(b.Entries[:i], same) {
			taken.At = append(taken.At, i)
		}
	}
	if len(taken.At) > 0 {
		return &taken
	}
	c := *b
	c.Entries = nil
	for _, e := range b.Entries { // the batch is the caller's after the call
		e.Attempts = slices.Clone(e.Attempts)
		c.Entries = append(c.Entries, e)
	}
	s.batches = append(s.batches, c)
	s.entries = append(s.entries, c.Entries...)
	if s.lie {
		s.lie = false
		return errors.New("connection lost after commit")
	}
	return nil
}

func (s *shelf) Request(_ context.Context, id ledger.ID) (ledger.Entry, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.ID == id {
			return e, true, nil
		}
	}
	return ledger.Entry{}, false, s.down
}

func (s *shelf) Recent(context.Context, ledger.Filter) ([]ledger.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.entries), s.down
}

func (s *shelf) Usage(context.Context, ledger.By, time.Time, time.Time) ([]ledger.UsageRow, error) {
	return nil, s.down
}

func (s *shelf) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *shelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

func priced(_, model string, u llm.Usage, _ time.Time) (llm.Nanodollars, bool) {
	return llm.Nanodollars(u.Total() * 1000), model == "known"
}

func one(l *ledger.Ledger) ledger.Entry {
	now := time.Now()
	return ledger.Entry{ID: l.NewID(now), At: now, Op: llm.OpChat, KeyID: "k", Status: 200, Attempts: []ledger.Attempt{{
		N: 1, Provider: "p", Model: "known", Start: now, Status: 200, Usage: llm.Usage{Input: 1, Output: 2, Source: llm.UsageProvider}}}}
}

// running starts a ledger in a synctest bubble and gives the end of its run.
func running(t *testing.T, s *shelf, o ledger.Options) (*ledger.Ledger, func() error) {
	o.Price = priced
	l := ledger.New(s, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	synctest.Wait()
	return l, func() error { cancel(); return <-done }
}

func TestWrittenInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		l, stop := running(t, s, ledger.Options{})
		l.Note(one(l))
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if s.len() != 1 {
			t.Error("an entry is not written after 250 ms")
		}
		for range 499 {
			l.Note(one(l))
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if s.len() != 1 {
			t.Errorf("%d entries written after 1 ms: batches are broken up", s.len())
		}
		l.Note(one(l)) // the 500th
		synctest.Wait()
		if s.len() != 501 {
			t.Errorf("%d entries written when a batch is full, want 501", s.len())
		}
		for range 3 {
			l.Note(one(l))
		}
		if err := stop(); err != nil || s.len() != 504 {
			t.Errorf("after the end: %v, %d entries", err, s.len())
		}
		for id, open := range s.runs {
			if open {
				t.Errorf("run %s was not ended", id)
			}
		}
	})
}

func TestSeenBeforeWritten(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	l := ledger.New(s, ledger.Options{Price: priced})
	var ids []ledger.ID
	for range 3 {
		e := one(l)
		ids = append(ids, e.ID)
		l.Note(e)
	}
	check := func(when string) {
		got, ok, err := l.Request(t.Context(), ids[1])
		if err != nil || !ok || got.Cost != 3000 || !got.Priced || got.Usage.Total() != 3 || got.Attempts[0].Cost != 3000 {
			t.Errorf("%s: found %v, %v, %+v", when, ok, err, got)
		}
		list, err := l.Recent(t.Context(), ledger.Filter{})
		if err != nil || len(list) != 3 || list[0].ID != ids[2] || list[2].ID != ids[0] || list[0].Cost != 3000 {
			t.Errorf("%s: %d entries, %v", when, len(list), err)
		}
	}
	check("before")
	if list, err := l.Recent(t.Context(), ledger.Filter{KeyID: "other"}); err != nil || len(list) != 0 {
		t.Errorf("a filter does not hold for what waits: %d, %v", len(list), err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after")
	if _, ok, err := l.Request(t.Context(), 1); ok || err != nil {
		t.Errorf("an id that is nowhere: %v, %v", ok, err)
	}
}

// The store fails for a minute; nothing is lost that finds room, the rest is
// counted, and the log says both once.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		var log bytes.Buffer
		l, stop := running(t, s, ledger.Options{Keep: 700, Log: slog.New(slog.NewTextHandler(&log, nil))})
		s.set(func() { s.down = errors.New("disk full") })
		for range 1000 {
			l.Note(one(l))
		}
		time.Sleep(time.Minute)
		st := l.Stats()
		if st.Waiting != 700 || st.Lost != 300 || st.Noted != 1000 || st.LastError == nil {
			t.Errorf("while it fails: %+v", st)
		}
		if st.Failures < 10 || st.Failures > 40 {
			t.Errorf("%d tries in a minute", st.Failures)
		}
		if _, ok, err := l.Request(t.Context(), l.NewID(time.Now())); ok || err == nil {
			t.Error("an unknown id while the store fails must be an error")
		}
		s.set(func() { s.down = nil })
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if st := l.Stats(); st.Waiting != 0 || st.Written != 700 || st.LastError != nil || s.len() != 700 {
			t.Errorf("after it works again: %+v, %d entries", st, s.len())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		for text, want := range map[string]int{"cannot be written": 1, "written again": 1} {
			if got := strings.Count(log.String(), text); got != want {
				t.Errorf("%q is said %d times, want %d:\n%s", text, got, want, &log)
			}
		}
		// How many losses the first line knows of depends on when the writer
		// came by; together the lines tell of all, and they are few.
		lost, lines := 0, 0
		for line := range strings.Lines(log.String()) {
			if _, after, ok := strings.Cut(line, " lost="); ok {
				n, _, _ := strings.Cut(after, " ")
				v, err := strconv.Atoi(strings.TrimSpace(n))
				if err != nil {
					t.Error(err)
				}
				lost, lines = lost+v, lines+1
			}
		}
		if lost != 300 || lines > 2 {
			t.Errorf("%d losses are told in %d lines, want 300 in 1 or 2:\n%s", lost, lines, &log)
		}
	})
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		l, stop := running(t, s, ledger.Options{})
		s.set(func() { s.down = errors.New("gone") })
		l.Note(one(l))
		from := time.Now()
		err := stop()
		if err == nil || !strings.Contains(err.Error(), "1 entries") || !errors.Is(err, s.down) {
			t.Errorf("the end with a dead store: %v", err)
		}
		if took := time.Since(from); took < 4*time.Second || took > 7*time.Second {
			t.Errorf("it took %s", took)
		}
		open := 0
		for _, o := range s.runs {
			if o {
				open++
			}
		}
		if open != 1 {
			t.Error("a run that could not write all is noted as ended")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := l.Flush(ctx); err == nil {
			t.Error("a flush that could not write is no error")
		}
	})
}

func TestFateUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{lie: true}
		l, stop := running(t, s, ledger.Options{})
		for range 10 {
			l.Note(one(l))
		}
		time.Sleep(10 * time.Second)
		l.Note(one(l))
		if err := stop(); err != nil {
			t.Error(err)
		}
		if st := l.Stats(); s.len() != 11 || st.Written != 11 || st.Failures != 1 {
			t.Errorf("%d entries, %+v", s.len(), st)
		}
	})
}

func TestOneOutcomePerRequest(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	l := ledger.New(s, ledger.Options{Price: priced})
	a, b := one(l), one(l)
	second := a
	second.Status = 500
	for _, e := range []ledger.Entry{a, second, b, a} {
		l.Note(e)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := l.Stats()
	if s.len() != 2 || st.Written != 2 || st.Taken != 2 || s.entries[0].Status != 200 {
		t.Errorf("%d entries, %+v", s.len(), st)
	}
	if h := s.batches[0].Hours; len(h) != 1 || h[0].Tally.Requests != 2 {
		t.Errorf("the roll-up counts what was left out: %+v", h)
	}
}

func TestKilledRunIsTold(t *testing.T) {
	t.Parallel()
	s := &shelf{runs: map[ledger.ID]bool{7: true}}
	var log bytes.Buffer
	l := ledger.New(s, ledger.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 2 {
		killed, err := l.Begin(t.Context())
		if err != nil || len(killed) != 1 || killed[0].ID != 7 {
			t.Errorf("%v, %v", killed, err)
		}
	}
	if got := strings.Count(log.String(), "did not stop cleanly: rows of the last 1s"); got != 1 {
		t.Errorf("said %d times:\n%s", got, &log)
	}
}

func TestSettling(t *testing.T) {
	t.Parallel()
	good := llm.Usage{Input: 1, Output: 2, Source: llm.UsageProvider}
	est := llm.Usage{Input: 5, Source: llm.UsageEstimated}
	reported := llm.Usage{Output: 1, Source: llm.UsageProvider, Reported: 77, HasReported: true}
	huge := llm.Usage{Input: math.MaxInt64, CacheRead: math.MinInt64, Output: math.MaxInt64, Source: llm.UsageProvider}
	at := func(model string, status int, class llm.Class, u llm.Usage) ledger.Attempt {
		return ledger.Attempt{Model: model, Status: status, Class: class, Usage: u}
	}
	for _, c := range []struct {
		name     string
		op       llm.Op
		attempts []ledger.Attempt
		cost     llm.Nanodollars
		priced   bool
		source   llm.UsageSource
	}{
		{"no attempt", llm.OpChat, nil, 0, true, ""},
		{"known", llm.OpChat, []ledger.Attempt{at("known", 200, "", good)}, 3000, true, llm.UsageProvider},
		{"no price", llm.OpChat, []ledger.Attempt{at("x", 200, "", good)}, 0, false, llm.UsageProvider},
		{"reported", llm.OpChat, []ledger.Attempt{at("x", 200, "", reported)}, 77, true, llm.UsageProvider},
		{"price before report", llm.OpChat, []ledger.Attempt{at("known", 200, "", reported)}, 1000, true, llm.UsageProvider},
		{"estimated", llm.OpChat, []ledger.Attempt{at("known", 200, llm.ClientGone, est)}, 5000, true, llm.UsageEstimated},
		{"refused, then known", llm.OpChat, []ledger.Attempt{at("x", 529, llm.Overloaded, llm.Usage{}), at("known", 200, "", good)}, 3000, true, llm.UsageProvider},
		{"no answer, then known", llm.OpChat, []ledger.Attempt{at("x", 0, llm.Timeout, llm.Usage{}), at("known", 200, "", good)}, 3000, false, ""},
		{"no connection", llm.OpChat, []ledger.Attempt{at("x", 0, llm.ServerError, llm.Usage{})}, 0, true, ""},
		{"silent success", llm.OpChat, []ledger.Attempt{at("known", 200, "", llm.Usage{})}, 0, false, ""},
		{"cut stream, nothing known", llm.OpChat, []ledger.Attempt{at("known", 200, llm.MalformedUpstream, llm.Usage{})}, 0, false, ""},
		{"both sources", llm.OpChat, []ledger.Attempt{at("known", 200, llm.SlowStream, est), at("known", 200, "", good)}, 8000, true, llm.UsageEstimated},
		{"raw", llm.OpRaw, []ledger.Attempt{at("x", 200, "", llm.Usage{})}, 0, false, ""},
		{"counting is free", llm.OpCountTokens, []ledger.Attempt{at("x", 200, "", llm.Usage{})}, 0, true, ""},
		{"provider said zero", llm.OpChat, []ledger.Attempt{at("known", 200, "", llm.Usage{Source: llm.UsageProvider})}, 0, true, llm.UsageProvider},
	} {
		s := &shelf{}
		l := ledger.New(s, ledger.Options{Price: priced})
		l.Note(ledger.Entry{ID: 1, Op: c.op, Attempts: c.attempts})
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		e := s.entries[0]
		if e.Cost != c.cost || e.Priced != c.priced || e.Usage.Source != c.source {
			t.Errorf("%s: cost %d priced %v source %q, want %d %v %q", c.name, e.Cost, e.Priced, e.Usage.Source, c.cost, c.priced, c.source)
		}
	}
	s := &shelf{}
	negative := func(string, string, llm.Usage, time.Time) (llm.Nanodollars, bool) { return -5, true }
	l := ledger.New(s, ledger.Options{Price: negative})
	l.Note(ledger.Entry{ID: 1, Asked: strings.Repeat("\u20ac", 1000) + "\x00", Warnings: []string{"\xff"},
		Attempts: []ledger.Attempt{at("x", 200, "", huge), at("x", 200, "", huge)}})
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := s.entries[0]
	if e.Priced || e.Cost != 0 {
		t.Errorf("a negative price is taken: %d", e.Cost)
	}
	if e.Usage.Input != 1<<40 || e.Usage.CacheRead != 0 || len(e.Asked) > 256 || !strings.HasSuffix(e.Asked, "\u20ac") || e.Warnings[0] != "\ufffd" {
		t.Errorf("bounds: %+v, %q, %q", e.Usage, e.Asked, e.Warnings)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	var ids ledger.IDs
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	last := ledger.ID(0)
	for i := range 10_000 {
		id := ids.New(now.Add(-time.Duration(i%100) * time.Millisecond)) // a clock that jumps back
		if id <= last {
			t.Fatal("an id that does not rise")
		}
		if last != 0 && id.String() <= last.String() {
			t.Fatalf("%s sorts before %s", id, last)
		}
		last = id
		if got, err := ledger.ParseID(id.String()); err != nil || got != id {
			t.Fatalf("%s: %v, %v", id, got, err)
		}
	}
	if d := last.Time().Sub(now); d < 0 || d > 100*time.Millisecond {
		t.Errorf("an id of %s says %s", now, last.Time())
	}
	if s := ids.New(now).String(); len(s) != 17 || !strings.HasPrefix(s, "req_") {
		t.Errorf("%q", s)
	}
	for _, bad := range []string{"", "req_", "req_0000000000000", "req_000000000000", "req_00000000000020", "REQ_0cbn00000001g", "req_0CBN00000001G",
		"req_vvvvvvvvvvvvv", "req_zzzzzzzzzzzzz", "req_000000000000\n", "req_0000000000001", "req_g000000000000", "123"} {
		if id, err := ledger.ParseID(bad); err == nil && id.String() != bad {
			t.Errorf("%q gives %d", bad, id)
		} else if err == nil && id <= 0 {
			t.Errorf("%q gives %d", bad, id)
		}
	}
	seen := sync.Map{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5000 {
				if _, twice := seen.LoadOrStore(ids.New(time.Now()), true); twice {
					t.Error("the same id twice")
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzParseID(f *testing.F) {
	f.Add("req_0cbn00000001g")
	f.Add("req_0000000000002")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ledger.ParseID(s); err == nil && (id.String() != s || id <= 0) {
			t.Errorf("%q gives %d, which is %q", s, id, id)
		}
	})
}

// BenchmarkNote is what the request path pays; BenchmarkNoteAndWrite adds what
// the writer does before the store: prices, sums and roll-ups.
func BenchmarkNote(b *testing.B)         { benchmarkNote(b, false) }
func BenchmarkNoteAndWrite(b *testing.B) { benchmarkNote(b, true) }

func benchmarkNote(b *testing.B, write bool) {
	l := ledger.New(&discard{}, ledger.Options{Price: priced})
	e := one(l)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		e.ID = l.NewID(e.At)
		l.Note(e)
		if n++; n%500 != 0 {
			continue
		}
		if !write {
			b.StopTimer()
		}
		if err := l.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		if !write {
			b.StartTimer()
		}
	}
}

// discard is a store that takes everything.
type discard struct{ shelf }

func (*discard) WriteBatch(context.Context, *ledger.Batch) error { return nil }
