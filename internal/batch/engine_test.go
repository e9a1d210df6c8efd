package batch_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/batch"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/route"
	"headrace/internal/store/sqlite"
)

// fake is a provider whose batches behave as its fields say.
type fake struct {
	takes time.Duration
	refs  bool
	// create, when set, answers a POST before or instead of the fake; arrived
	// says whether the batch is there all the same.
	create func(n int, lines []llm.BatchLine) (arrived bool, err error)
	// result, when set, changes results: nil loses it.
	result func(n int, r llm.BatchResult) []llm.BatchResult

	mu      sync.Mutex
	batches []*fakeBatch
	posts   int
}

type fakeBatch struct {
	st    llm.BatchStatus
	lines []llm.BatchLine
}

func (f *fake) Terms() llm.BatchTerms {
	return llm.BatchTerms{Items: 1000, Bytes: 1 << 20, Window: 24 * time.Hour, Refs: f.refs}
}

func (f *fake) Line(t *route.Target, it *batch.Item) (llm.BatchLine, *llm.Error) {
	if t.Provider == "" || len(it.Body) == 0 {
		return llm.BatchLine{}, llm.Errorf(llm.Unsupported, "no target or body")
	}
	return llm.BatchLine{Model: t.Model, Body: it.Body}, nil
}

func (f *fake) Create(_ context.Context, ref string, lines []llm.BatchLine) (llm.BatchStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.posts++
	arrived, err := true, error(nil)
	if f.create != nil {
		arrived, err = f.create(f.posts, lines)
	}
	st := llm.BatchStatus{ID: fmt.Sprintf("up_%d", f.posts), Phase: llm.BatchRunning, Created: time.Now(), Ref: ref}
	if arrived {
		f.batches = append(f.batches, &fakeBatch{st, slices.Clone(lines)})
	}
	return st, err
}

func (f *fake) find(id string) *fakeBatch {
	for _, b := range f.batches {
		if b.st.ID == id {
			if b.st.Phase == llm.BatchRunning && time.Since(b.st.Created) >= f.takes {
				b.st.Phase = llm.BatchEnded
			}
			return b
		}
	}
	return nil
}

func (f *fake) Get(_ context.Context, id string) (llm.BatchStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.find(id).st, nil
}

func (f *fake) Cancel(_ context.Context, id string) (llm.BatchStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.find(id)
	if b.st.Phase == llm.BatchRunning {
		b.st.Phase, b.st.Canceled = llm.BatchEnded, int64(len(b.lines))
	}
	return b.st, nil
}

func (f *fake) List(context.Context, time.Time) iter.Seq2[llm.BatchStatus, error] {
	return func(yield func(llm.BatchStatus, error) bool) {
		f.mu.Lock()
		var all []llm.BatchStatus
		for _, b := range f.batches {
			all = append(all, f.find(b.st.ID).st)
		}
		f.mu.Unlock()
		for _, st := range all {
			if !yield(st, nil) {
				return
			}
		}
	}
}

func (f *fake) Results(_ context.Context, id string) iter.Seq2[llm.BatchResult, error] {
	return func(yield func(llm.BatchResult, error) bool) {
		f.mu.Lock()
		b := f.find(id)
		lines := slices.Clone(b.lines)
		canceled := b.st.Canceled > 0
		f.mu.Unlock()
		slices.Reverse(lines) // the order is the provider's
		for n, l := range lines {
			r := llm.BatchResult{ID: l.ID, Outcome: llm.BatchSucceeded, Body: append([]byte("batch:"), l.Body...)}
			if canceled {
				r.Outcome, r.Body = llm.BatchCanceled, nil
			}
			out := []llm.BatchResult{r}
			if f.result != nil {
				out = f.result(n, r)
			}
			for _, r := range out {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

func (f *fake) Answer(_ *route.Target, _ *batch.Item, r *llm.BatchResult) (batch.Answer, *llm.Error) {
	return batch.Answer{Status: 200, Body: r.Body, Cost: 50, RealTime: 100, Priced: true}, nil
}

// runner answers after a second, or as long as it takes, but as fail says.
type runner struct {
	mu    sync.Mutex
	calls int
	takes time.Duration
	fail  func(n int) *llm.Error
}

func (r *runner) Run(_ context.Context, _ *batch.Job, it *batch.Item) batch.Answer {
	time.Sleep(max(r.takes, time.Second))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.fail != nil {
		if e := r.fail(r.calls); e != nil {
			return batch.Answer{Err: e}
		}
	}
	return batch.Answer{Status: 200, Body: append([]byte("now:"), it.Body...), Cost: 100, RealTime: 100, Priced: true}
}

type bench struct {
	*testing.T
	db  *sqlite.DB
	svc *batch.Service
	eng *batch.Engine
	p   *fake
	run *runner
}

func newBench(t *testing.T, p *fake) *bench {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "b.db"))
	if err != nil {
		t.Fatal(err)
	}
	seal, err := recall.NewSeal([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	rate := func() batch.Rate { return 60 }
	bells := &batch.Bells{}
	b := &bench{T: t, db: db, p: p, run: &runner{}, svc: &batch.Service{Store: db, Seal: seal, Rate: rate, Bells: bells}}
	b.eng = &batch.Engine{Store: db, Bells: bells, Seal: seal, Rate: rate, Runner: b.run, Worker: "w1", Window: 10 * time.Second,
		Plan: func(context.Context, *batch.Job, *batch.Item) (batch.Way, *llm.Error) {
			return batch.Way{Target: route.Target{Provider: "p", Model: "m"}, Discount: .5}, nil
		},
		Provider: func(string) batch.Provider { return p }}
	return b
}

func some(n int) iter.Seq2[batch.Item, error] {
	return func(yield func(batch.Item, error) bool) {
		for i := range n {
			if !yield(batch.Item{CustomID: fmt.Sprintf("c%d", i), Model: "m", Op: llm.OpChat, Body: fmt.Appendf(nil, "body %d", i)}, nil) {
				return
			}
		}
	}
}

func (b *bench) submit(n int, in time.Duration) batch.Job {
	b.Helper()
	j, err := b.svc.Submit(b.Context(), batch.Job{Owner: "key_a", Form: batch.FormLines, Deadline: time.Now().Add(in)}, "", some(n))
	if err != nil {
		b.Fatal(err)
	}
	return j
}

// work runs the engine until the job ends and gives the job and its items.
func (b *bench) work(j batch.Job) (batch.Job, []batch.Item) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.eng.Run(ctx, ctx) }()
	var last batch.Job
	for got, err := range b.svc.Watch(ctx, "key_a", j.ID) {
		if err != nil {
			b.Fatal(err)
		}
		last = got
	}
	stop()
	<-done
	var items []batch.Item
	for it, err := range b.svc.Items(b.Context(), "key_a", j.ID) {
		if err != nil {
			b.Fatal(err)
		}
		if !it.State.Final() || it.Answer == nil {
			b.Fatalf("item %d is %s with answer %v", it.Index, it.State, it.Answer)
		}
		if it.Index != len(items) || it.CustomID != fmt.Sprintf("c%d", it.Index) {
			b.Fatalf("item %d has index %d and custom id %q", len(items), it.Index, it.CustomID)
		}
		if it.State == batch.Succeeded && !strings.HasSuffix(string(it.Answer.Body), fmt.Sprintf(":body %d", it.Index)) {
			b.Fatalf("item %d has the answer of another: %q", it.Index, it.Answer.Body)
		}
		items = append(items, it)
	}
	return last, items
}

func TestEngine(t *testing.T) {
	t.Parallel()
	timeout := &llm.Error{Class: llm.Timeout, Message: "no answer came"}
	for _, c := range []struct {
		name     string
		p        *fake
		n        int
		deadline time.Duration
		fail     func(int) *llm.Error
		// what must come of it
		succeeded, failed, expired int64
		spent                      llm.Nanodollars
		posts, calls               int
	}{
		{name: "by batch", p: &fake{takes: 20 * time.Minute}, n: 30, deadline: 4 * time.Hour, succeeded: 30, spent: 30 * 50, posts: 1},
		{name: "no time for a batch", p: &fake{}, n: 30, deadline: 3 * time.Minute, succeeded: 30, spent: 30 * 100, calls: 30},
		{name: "a batch that never ends", p: &fake{takes: 1000 * time.Hour}, n: 30, deadline: time.Hour, succeeded: 30, spent: 30 * 100, posts: 1, calls: 30},
		{name: "results lost and doubled", p: &fake{takes: time.Minute, result: func(n int, r llm.BatchResult) []llm.BatchResult {
			if n == 3 {
				return nil
			}
			return []llm.BatchResult{r, r}
		}}, n: 30, deadline: 4 * time.Hour, succeeded: 30, spent: 30 * 50, posts: 2},
		{name: "an invalid item is final", p: &fake{takes: time.Minute, result: func(n int, r llm.BatchResult) []llm.BatchResult {
			if n == 3 {
				r.Outcome, r.Body, r.Err = llm.BatchErrored, nil, llm.Errorf(llm.InvalidRequest, "bad")
			}
			return []llm.BatchResult{r}
		}}, n: 30, deadline: 4 * time.Hour, succeeded: 29, failed: 1, spent: 29 * 50, posts: 1},
		{name: "posted, but no answer", p: &fake{takes: time.Minute, refs: true, create: func(int, []llm.BatchLine) (bool, error) { return true, timeout }},
			n: 30, deadline: 4 * time.Hour, succeeded: 30, spent: 30 * 50, posts: 1},
		{name: "posted, no answer and no refs", p: &fake{takes: time.Minute, create: func(int, []llm.BatchLine) (bool, error) { return true, timeout }},
			n: 30, deadline: 4 * time.Hour, succeeded: 30, spent: 30 * 50, posts: 1},
		{name: "never arrived, held to the deadline rule", p: &fake{takes: time.Minute, refs: true, create: func(int, []llm.BatchLine) (bool, error) { return false, timeout }},
			n: 30, deadline: time.Hour, succeeded: 30, spent: 30 * 100, posts: 1, calls: 30},
		{name: "refused whole for one item", p: &fake{takes: time.Minute, create: func(_ int, lines []llm.BatchLine) (bool, error) {
			if slices.ContainsFunc(lines, func(l llm.BatchLine) bool { return string(l.Body) == "body 5" }) {
				return false, llm.Errorf(llm.InvalidRequest, "the file is bad")
			}
			return true, nil
		}}, n: 8, deadline: 4 * time.Hour, succeeded: 8, spent: 7*50 + 100, posts: 7, calls: 1},
		{name: "no batches at that address", p: &fake{create: func(int, []llm.BatchLine) (bool, error) { return false, llm.Errorf(llm.NotFound, "no such path") }},
			n: 8, deadline: 4 * time.Hour, succeeded: 8, spent: 800, posts: 1, calls: 8},
		{name: "real time fails for a while", p: &fake{}, n: 5, deadline: 3 * time.Minute, fail: func(n int) *llm.Error {
			if n <= 5 {
				return llm.Errorf(llm.Overloaded, "busy")
			}
			return nil
		}, succeeded: 5, spent: 500, calls: 10},
		{name: "real time fails to the deadline", p: &fake{}, n: 2, deadline: time.Minute, fail: func(int) *llm.Error { return llm.Errorf(llm.Overloaded, "busy") },
			expired: 2, calls: 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, c.p)
				b.run.fail = c.fail
				j, _ := b.work(b.submit(c.n, c.deadline))
				if late := j.Ended.Sub(j.Deadline); late > 0 && c.expired == 0 {
					t.Errorf("it ended %s after the deadline", late)
				}
				if j.Counts[batch.Succeeded] != c.succeeded || j.Counts[batch.Failed] != c.failed || j.Counts[batch.Expired] != c.expired {
					t.Errorf("counts %v", j.Counts)
				}
				if j.Spent != c.spent || j.Double != 0 || c.p.posts != c.posts || b.run.calls != c.calls {
					t.Errorf("spent %d, twice %d, %d posts, %d calls; want %d, 0, %d, %d", j.Spent, j.Double, c.p.posts, b.run.calls, c.spent, c.posts, c.calls)
				}
				if err := b.db.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fake{})
		submit := func(n int, key string) (batch.Job, error) {
			return b.svc.Submit(t.Context(), batch.Job{Owner: "key_a", Deadline: time.Now().Add(time.Hour)}, key, some(n))
		}
		first, err := submit(3, "k")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := submit(3, "k"); err != nil || again.ID != first.ID {
			t.Errorf("the same again: job %d, %v", again.ID, err)
		}
		if _, err := submit(4, "k"); !errors.Is(err, batch.ErrConflict) {
			t.Errorf("other items under the key: %v", err)
		}
		var wg sync.WaitGroup
		ids := make([]batch.JobID, 8)
		for i := range ids {
			wg.Go(func() {
				j, err := submit(5, "k2")
				if err != nil {
					t.Error(err)
				}
				ids[i] = j.ID
			})
		}
		wg.Wait()
		if len(slices.Compact(ids)) != 1 {
			t.Errorf("eight at once made jobs %v", ids)
		}
		time.Sleep(8 * 24 * time.Hour)
		if j, err := submit(3, "k"); err != nil || j.ID == first.ID {
			t.Errorf("after 8 days: job %d, %v", j.ID, err)
		}
		if _, err := b.svc.Submit(t.Context(), batch.Job{Owner: "key_a", Deadline: time.Now().Add(time.Hour)}, "", func(yield func(batch.Item, error) bool) {
			for range 2 {
				if !yield(batch.Item{CustomID: "x"}, nil) {
					return
				}
			}
		}); !errors.Is(err, batch.ErrDuplicate) {
			t.Errorf("a doubled custom id: %v", err)
		}
		var late *batch.LateError
		if _, err := b.svc.Submit(t.Context(), batch.Job{Owner: "key_a", Deadline: time.Now().Add(time.Minute)}, "", some(600)); !errors.As(err, &late) || !late.Earliest.After(time.Now().Add(10*time.Minute)) {
			t.Errorf("600 items at 60 a minute within a minute: %v", err)
		}
		if js, err := b.svc.Jobs(t.Context(), "key_a", 0, 100); err != nil || len(js) != 3 {
			t.Errorf("%d jobs, %v; want 3 with nothing of those refused", len(js), err)
		}
		for _, err := range []error{
			func() error { _, err := b.svc.Job(t.Context(), "key_b", first.ID); return err }(),
			func() error { _, err := b.svc.Cancel(t.Context(), "key_b", first.ID); return err }(),
			func() error {
				_, err := b.svc.Retry(t.Context(), "key_b", first.ID, time.Now().Add(time.Hour))
				return err
			}(),
			b.svc.Delete(t.Context(), "key_b", first.ID),
		} {
			if !errors.Is(err, batch.ErrNotFound) {
				t.Errorf("another's job: %v", err)
			}
		}
		for _, err := range b.svc.Items(t.Context(), "key_b", first.ID) {
			if !errors.Is(err, batch.ErrNotFound) {
				t.Errorf("another's items: %v", err)
			}
		}
		if err := b.svc.Delete(t.Context(), "key_a", first.ID); !errors.Is(err, batch.ErrBusy) {
			t.Errorf("deleted while it works: %v", err)
		}
		if err := b.db.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestCancelAndRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fake{takes: 6 * time.Minute})
		j := b.submit(20, 4*time.Hour)
		go func() {
			time.Sleep(3 * time.Minute)
			if _, err := b.svc.Cancel(t.Context(), "key_a", j.ID); err != nil {
				t.Error(err)
			}
		}()
		got, items := b.work(j)
		if got.Counts[batch.Canceled] != 20 || got.Spent != 0 || b.p.batches[0].st.Canceled != 20 || items[0].Answer.Err == nil {
			t.Errorf("canceled: %v, spent %d, provider %+v", got.Counts, got.Spent, b.p.batches[0].st)
		}
		if n, err := b.svc.Retry(t.Context(), "key_a", j.ID, time.Now().Add(2*time.Hour)); err != nil || n != 20 {
			t.Errorf("retried %d: %v", n, err)
		}
		if got, _ := b.work(j); got.Counts[batch.Succeeded] != 20 || got.Spent != 20*50 {
			t.Errorf("retried: %v, spent %d", got.Counts, got.Spent)
		}
		if err := b.svc.Delete(t.Context(), "key_a", j.ID); err != nil {
			t.Error(err)
		}
		if err := b.db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestWindow: a job of many is complete and waits for its likes only shortly,
// single requests wait for one another, and what comes in a stream shares a
// batch.
func TestWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		form batch.Form
		// jobs of so many items come so often; the first batch is posted then.
		jobs, items int
		every       time.Duration
		posts       int
		first       time.Duration
	}{
		{"one of many", batch.FormMessages, 1, 5, 0, 1, 2 * time.Second},
		{"one single", batch.FormSingle, 1, 1, 0, 1, time.Minute},
		{"singles", batch.FormSingle, 30, 1, time.Second, 1, time.Minute},
		{"a hundred small ones in a row", batch.FormMessages, 100, 5, 100 * time.Millisecond, 1, 12 * time.Second},
		{"small ones now and then", batch.FormFiles, 3, 5, 10 * time.Second, 3, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var first time.Time
				p := &fake{takes: time.Minute}
				p.create = func(n int, _ []llm.BatchLine) (bool, error) {
					if n == 1 {
						first = time.Now()
					}
					return true, nil
				}
				b := newBench(t, p)
				b.eng.Window = 0
				b.eng.Rate = func() batch.Rate { return 6000 }
				b.svc.Rate = b.eng.Rate
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { defer close(done); b.eng.Run(ctx, ctx) }()
				begin := time.Now()
				for range c.jobs {
					if _, err := b.svc.Submit(t.Context(), batch.Job{Owner: "key_a", Form: c.form, Deadline: time.Now().Add(10 * time.Hour)}, "", some(c.items)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(c.every)
				}
				time.Sleep(2 * time.Minute)
				stop()
				<-done
				if waited := first.Sub(begin); p.posts != c.posts || waited < c.first-500*time.Millisecond || waited > c.first+500*time.Millisecond {
					t.Errorf("%d batches, the first after %s; want %d, after %s", p.posts, waited, c.posts, c.first)
				}
				if err := b.db.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestOtherProcess: what another process has submitted, canceled or left behind
// is found without a bell.
func TestOtherProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fake{takes: time.Minute})
		b.svc.Bells = nil
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.eng.Run(ctx, ctx) }()
		time.Sleep(10 * time.Minute)
		for _, deadline := range []time.Duration{4 * time.Hour, 4 * time.Minute} { // by batch and in real time
			begin, last := time.Now(), batch.Job{}
			for j, err := range b.svc.Watch(t.Context(), "key_a", b.submit(5, deadline).ID) {
				if err != nil {
					t.Fatal(err)
				}
				last = j
			}
			if took := last.Ended.Sub(begin); last.Counts[batch.Succeeded] != 5 || took > 2*time.Minute {
				t.Errorf("after %s: %v", took, last.Counts)
			}
		}
		stop()
		<-done
		if err := b.db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestForecast: what is expected of a job is seen before it has ended, and
// follows from what was learned, by another process too.
func TestForecast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fake{takes: 3 * time.Hour})
		b.eng.Items = 10 // in a batch
		expect := func(j batch.Job) batch.Forecast {
			t.Helper()
			for got, err := range b.svc.Watch(t.Context(), "key_a", j.ID) {
				if err != nil {
					t.Fatal(err)
				}
				if got.Forecast != (batch.Forecast{}) {
					if !got.Ended.IsZero() {
						t.Error("it is seen only at the end")
					}
					return got.Forecast
				}
			}
			t.Fatal("it ended without")
			return batch.Forecast{}
		}
		var seen []batch.Forecast
		for i := range 3 {
			if i == 2 { // another process, with the same store
				rate, provider, plan := b.eng.Rate, b.eng.Provider, b.eng.Plan
				b.eng = &batch.Engine{Store: b.db, Bells: b.svc.Bells, Seal: b.svc.Seal, Rate: rate, Runner: b.run, Worker: "w2", Plan: plan, Provider: provider}
			}
			j := b.submit(10, 2*time.Hour)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); b.eng.Run(ctx, ctx) }()
			seen = append(seen, expect(j))
			if i == 0 { // eight batches take three hours each
				long := b.submit(80, 20*time.Hour)
				for _, err := range b.svc.Watch(t.Context(), "key_a", long.ID) {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			stop()
			<-done
		}
		first, learned, again := seen[0], seen[1], seen[2]
		if first.Share < .55 || first.Share > .65 || first.InTime < .7 || first.Leaves.IsZero() {
			t.Errorf("by the published mix: %+v", first)
		}
		if learned.InTime > .3 || learned.Share < .8 {
			t.Errorf("after eight batches of three hours: %+v", learned)
		}
		if again.InTime != learned.InTime {
			t.Errorf("another process expects %+v, not %+v", again, learned)
		}
		if err := b.db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestPace: calls that take longer than was believed make jobs leave their
// batches earlier, and the deadline is kept; other ones are refused.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fake{takes: 1000 * time.Hour})
		b.run.takes = time.Minute // so that 16 at once are 16 a minute, not 600
		b.eng.Rate = func() batch.Rate { return 600 }
		b.svc.Rate = func() batch.Rate { return b.eng.Pace.Rate(time.Now(), 16, 600) }
		if j, _ := b.work(b.submit(32, 4*time.Minute)); j.Counts[batch.Succeeded] != 32 {
			t.Fatalf("in real time: %v", j.Counts)
		}
		if r := b.svc.Rate(); r < 15.5 || r > 16.5 {
			t.Errorf("learned %.1f a minute, want 16", r)
		}
		var late *batch.LateError
		if _, err := b.svc.Submit(t.Context(), batch.Job{Owner: "key_a", Deadline: time.Now().Add(5 * time.Minute)}, "", some(160)); !errors.As(err, &late) {
			t.Errorf("160 items within five minutes: %v", err)
		}
		j, _ := b.work(b.submit(160, 2*time.Hour))
		if j.Counts[batch.Succeeded] != 160 || j.Ended.After(j.Deadline) {
			t.Errorf("%v, %s after the deadline", j.Counts, j.Ended.Sub(j.Deadline))
		}
		if left := j.Deadline.Sub(j.Forecast.Leaves); left < 31*time.Minute || left > 35*time.Minute {
			t.Errorf("it leaves its batch %s before the deadline, want 3 times the 10 minutes that it takes and a little", left)
		}
		time.Sleep(24 * time.Hour)
		if r := b.svc.Rate(); r != 600 {
			t.Errorf("a day later %.1f are believed", r)
		}
		if err := b.db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestAccounts: batches are spread over a provider's accounts, each is looked
// after by its own, and what one refuses goes to the next.
func TestAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second, refuses := &fake{takes: time.Minute}, &fake{takes: time.Minute}, &fake{create: func(int, []llm.BatchLine) (bool, error) {
			return false, &llm.Error{Class: llm.QuotaExhausted, Message: "no credit"}
		}}
		b := newBench(t, first)
		all := map[string]*fake{"p": first, "p#two": second, "p#three": refuses}
		b.eng.Items = 10
		b.eng.Provider = func(id string) batch.Provider {
			if f := all[id]; f != nil {
				return f
			}
			return nil
		}
		b.eng.Accounts = func(string) []string { return []string{"p", "p#two", "p#three"} }
		j, _ := b.work(b.submit(90, 10*time.Hour))
		if j.Counts[batch.Succeeded] != 90 || j.Spent != 90*50 || b.run.calls != 0 {
			t.Errorf("%v, spent %d, %d calls", j.Counts, j.Spent, b.run.calls)
		}
		if len(first.batches) < 3 || len(second.batches) < 3 || refuses.posts < 3 || len(first.batches)+len(second.batches) != 9 {
			t.Errorf("%d, %d and %d batches", len(first.batches), len(second.batches), refuses.posts)
		}
		times := 0
		if err := b.db.BatchTimes(t.Context(), func(provider, _ string, _ time.Duration) {
			if times++; provider != "p" {
				t.Errorf("times of %q", provider)
			}
		}); err != nil || times != 9 {
			t.Errorf("%d times, %v", times, err)
		}
		if err := b.db.Close(); err != nil {
			t.Error(err)
		}
	})
}
