package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"headrace/internal/batch"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/route"
	"headrace/internal/store/sqlite"
)

// batcher makes this test binary a process that works on batches until it
// dies or all jobs have ended.
const batcher, batcherLate = "HEADRACE_TEST_BATCHER", "HEADRACE_TEST_BATCHER_LATE"

// folder is a provider whose batches are files: they outlive the process that
// posted them, as real ones do. A batch is over when it is asked for.
type folder struct{ dir string }

func (f folder) Terms() llm.BatchTerms { return llm.BatchTerms{Items: 50, Refs: true} }

func (f folder) Line(_ *route.Target, it *batch.Item) (llm.BatchLine, *llm.Error) {
	return llm.BatchLine{Body: it.Body}, nil
}

func (f folder) status(ref string) llm.BatchStatus {
	return llm.BatchStatus{ID: ref, Ref: ref, Phase: llm.BatchEnded}
}

func (f folder) Create(_ context.Context, ref string, lines []llm.BatchLine) (llm.BatchStatus, error) {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintln(&b, l.ID)
	}
	tmp := filepath.Join(f.dir, "tmp"+ref)
	if err := os.WriteFile(tmp, []byte(b.String()), 0o600); err != nil {
		return llm.BatchStatus{}, err
	}
	// O_EXCL by link: a ref that is posted twice is an error of the engine.
	if err := os.Link(tmp, filepath.Join(f.dir, ref)); err != nil {
		fmt.Printf("twice %s\n", ref)
		return llm.BatchStatus{}, err
	}
	time.Sleep(3 * time.Millisecond) // the answer is on its way
	return f.status(ref), nil
}

func (f folder) Get(_ context.Context, id string) (llm.BatchStatus, error) { return f.status(id), nil }

func (f folder) Cancel(_ context.Context, id string) (llm.BatchStatus, error) {
	return f.status(id), nil
}

func (f folder) List(context.Context, time.Time) iter.Seq2[llm.BatchStatus, error] {
	return func(yield func(llm.BatchStatus, error) bool) {
		names, err := filepath.Glob(filepath.Join(f.dir, "headrace-*"))
		if err != nil {
			yield(llm.BatchStatus{}, err)
			return
		}
		for _, n := range names {
			if !yield(f.status(filepath.Base(n)), nil) {
				return
			}
		}
	}
}

func (f folder) Results(_ context.Context, id string) iter.Seq2[llm.BatchResult, error] {
	return func(yield func(llm.BatchResult, error) bool) {
		raw, err := os.ReadFile(filepath.Join(f.dir, id))
		if err != nil {
			yield(llm.BatchResult{}, err)
			return
		}
		for _, l := range strings.Fields(string(raw)) {
			if !yield(llm.BatchResult{ID: l, Outcome: llm.BatchSucceeded, Body: []byte("answer of " + l)}, nil) {
				return
			}
		}
	}
}

func (f folder) Answer(_ *route.Target, _ *batch.Item, r *llm.BatchResult) (batch.Answer, *llm.Error) {
	return batch.Answer{Status: 200, Body: r.Body, Cost: 1, RealTime: 2, Priced: true}, nil
}

// Run is for what was to be posted when its process died, and did not arrive.
func (f folder) Run(_ context.Context, _ *batch.Job, it *batch.Item) batch.Answer {
	return batch.Answer{Status: 200, Body: fmt.Appendf(nil, "answer of %d", it.ID), Cost: 2, RealTime: 2, Priced: true}
}

func batchSeal() *recall.Seal {
	s, err := recall.NewSeal([]byte(strings.Repeat("k", 32)))
	if err != nil {
		panic(err)
	}
	return s
}

// impatient is the store on a clock of its own: what is due within an hour is
// due now, so that a restart need not wait for leases and back-off. Only one
// process uses it.
type impatient struct{ *sqlite.DB }

func (s impatient) ClaimBatches(ctx context.Context, p batch.Phase, c batch.Claim) ([]batch.Sent, error) {
	c.Now = c.Now.Add(time.Hour)
	return s.DB.ClaimBatches(ctx, p, c)
}

func (s impatient) ClaimBatchItems(ctx context.Context, st batch.State, c batch.Claim) ([]batch.Row, error) {
	if st != batch.RealTime { // a call that is going on is not to be made again
		c.Now = c.Now.Add(time.Hour)
	}
	return s.DB.ClaimBatchItems(ctx, st, c)
}

func beBatcher(path string) error {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	dir := folder{filepath.Dir(path)}
	e := &batch.Engine{Store: impatient{db}, Seal: batchSeal(), Runner: dir, Worker: strconv.Itoa(os.Getpid()), Window: time.Nanosecond, Items: 20,
		Rate: func() batch.Rate { return 1e6 },
		Plan: func(context.Context, *batch.Job, *batch.Item) (batch.Way, *llm.Error) {
			return batch.Way{Target: route.Target{Provider: "p", Model: "m"}, Discount: .5}, nil
		},
		Provider: func(string) batch.Provider { return dir }}
	fmt.Println("ready")
	if os.Getenv(batcherLate) != "" {
		// The deadline rule finds that it is time.
		e.Rule.Latency, e.Tick = 30*time.Hour, 10*time.Millisecond
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		go e.Run(ctx, ctx)
	}
	for {
		if e.Rule.Latency > 0 {
			time.Sleep(20 * time.Millisecond)
		}
		if e.Rule.Latency == 0 {
			if err := e.Step(ctx); err != nil {
				return err
			}
		}
		open, err := db.OpenBatchJobs(ctx)
		if err != nil {
			return err
		}
		if len(open) == 0 {
			fmt.Println("done")
			return db.Close()
		}
	}
}

// A process that works on batches may be killed at any moment: no item is lost
// and none is answered or posted twice.
func TestBatchKill(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	path := filepath.Join(dir, "headrace.db")
	db := open(t, path)
	svc := &batch.Service{Store: db, Seal: batchSeal()}
	const items = 200
	kills, seed := 20, uint64(2)
	switch {
	case os.Getenv("HEADRACE_FULL") != "":
		kills, seed = 200, uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
	case testing.Short():
		kills = 3
	}
	r := rand.New(rand.NewPCG(1, seed))
	var jobs []batch.JobID
	submit := func() {
		j, err := svc.Submit(ctx, batch.Job{Owner: "o", Deadline: time.Now().Add(20 * time.Hour)}, "", func(yield func(batch.Item, error) bool) {
			for i := range items {
				if !yield(batch.Item{CustomID: strconv.Itoa(i), Body: []byte("ask")}, nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j.ID)
	}
	for range kills {
		submit()
		runBatcher(t, path, time.Duration(r.IntN(250))*time.Millisecond)
	}
	// All that can be found again is; the rest is held to its deadline rule.
	counts := func() batch.Counts {
		all := batch.Counts{}
		for _, id := range jobs {
			j, err := svc.Job(ctx, "o", id)
			if err != nil {
				t.Fatal(err)
			}
			for s, n := range j.Counts {
				all[s] += n
			}
		}
		return all
	}
	for was := (batch.Counts{}); !maps.Equal(counts(), was); {
		was = counts()
		runBatcher(t, path, 4*time.Second)
	}
	if counts().Left() > 0 && !runBatcher(t, path, 2*time.Minute, batcherLate+"=1") {
		t.Fatalf("two minutes later: %v", counts())
	}
	files, err := filepath.Glob(filepath.Join(dir, "headrace-*"))
	if err != nil {
		t.Fatal(err)
	}
	posted := map[string]int{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range strings.Fields(string(raw)) {
			posted[id]++
		}
	}
	held := 0
	for _, id := range jobs {
		n := 0
		for it, err := range svc.Items(ctx, "o", id) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			key := strconv.FormatInt(int64(it.ID), 10)
			if it.State != batch.Succeeded || it.Answer == nil || string(it.Answer.Body) != "answer of "+key {
				t.Fatalf("item %d of job %d is %s: %+v", it.Index, id, it.State, it.Answer)
			}
			asked := posted[key]
			if it.Path == batch.PathRealTime {
				asked++
				held++
			}
			if asked != 1 {
				t.Errorf("item %s was asked %d times, by %s because %s", key, asked, it.Path, it.Why)
			}
		}
		j, err := svc.Job(ctx, "o", id)
		if err != nil {
			t.Fatal(err)
		}
		if n != items || j.Double != 0 {
			t.Errorf("job %d has %d items and cost %d, twice %d", id, n, j.Spent, j.Double)
		}
	}
	t.Logf("%d kills, %d items in %d batches, %d of them held and then answered in real time", kills, kills*items, len(files), held)
	if err := db.Check(ctx); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// runBatcher runs a process for some time after its start, kills it and says
// whether it was done before.
func runBatcher(t *testing.T, path string, d time.Duration, env ...string) (done bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), batcher+"="+path), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		switch {
		case lines.Text() == "ready":
			timer = time.AfterFunc(d, func() { cmd.Process.Kill() })
		case lines.Text() == "done":
			done = true
		default:
			t.Errorf("the process says %s", lines.Text())
		}
	}
	killed := false
	if timer == nil {
		t.Error("the process did not begin")
	} else {
		killed = !timer.Stop()
	}
	if err := cmd.Wait(); done && err != nil && !killed {
		t.Error(err)
	}
	return done
}
