package learn_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/learn"
	"headrace/internal/llm"
)

var ladder = []learn.Rung{{Name: "cheap"}, {Name: "middle"}, {Name: "dear"}}

func costs(c ...float64) (a [learn.MostRungs]float64) {
	copy(a[:], c)
	return a
}

// serve draws requests of some tasks with these chances of success for each
// rung and teaches what came of them.
func serve(l *learn.Learner, r *rand.Rand, n int, rates map[learn.Key][]float64, keys []learn.Key) (success, cost float64) {
	for range n {
		key := keys[r.IntN(len(keys))]
		ask := learn.Ask{Task: key, Cost: costs(1, 4, 10), Explore: true, Draw: max(r.Uint64(), 1)}
		var c learn.Choice
		l.Decide(&ask, &c)
		score := 0.0
		if r.Float64() < rates[key][c.Rung] {
			score = 1
		}
		success += score / float64(n)
		cost += ask.Cost[c.Rung] / float64(n)
		l.Teach(&learn.Outcome{Task: key, Rung: c.Rung, Score: score, Choice: &c})
	}
	return success, cost
}

// TestCheapestThatSucceeds: where the cheap rung is as good it is taken, where
// it is not the better one.
func TestCheapestThatSucceeds(t *testing.T) {
	t.Parallel()
	rates := map[learn.Key][]float64{1: {0.90, 0.90, 0.90}, 2: {0.40, 0.90, 0.90}, 3: {0.30, 0.50, 0.90}}
	r := rand.New(rand.NewPCG(1, 1))
	l := learn.New(ladder, learn.Options{Seed: 1, Delta: 0.05})
	serve(l, r, 6_000, rates, []learn.Key{1, 2, 3})
	for key, want := range map[learn.Key]int{1: 0, 2: 1, 3: 2} {
		var share float64
		for range 500 {
			var c learn.Choice
			l.Decide(&learn.Ask{Task: key, Cost: costs(1, 4, 10), Draw: max(r.Uint64(), 1)}, &c)
			if c.Rung == want {
				share += 1. / 500
			}
		}
		if share < 0.7 {
			t.Errorf("task %d: rung %d in %.0f %% of the decisions; beliefs %+v", key, want, 100*share, l.Read(key))
		}
	}
}

// TestChances: what is logged as the chance of a rung is how often it is chosen,
// exploration included, and unusable rungs have none.
func TestChances(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2))
	l := learn.New(ladder, learn.Options{Explore: 0.1})
	serve(l, r, 60, map[learn.Key][]float64{1: {0.7, 0.75, 0.8}}, []learn.Key{1})
	for _, cost := range [][learn.MostRungs]float64{costs(1, 4, 10), costs(1, -1, 10), costs(-1, -1, 10)} {
		var seen [learn.MostRungs]float64
		var c learn.Choice
		const n = 100_000
		for range n {
			l.Decide(&learn.Ask{Task: 1, Cost: cost, Explore: true, Draw: max(r.Uint64(), 1)}, &c)
			seen[c.Rung] += 1. / n
		}
		var sum float64
		for i := range seen {
			sum += float64(c.Chance[i])
			if math.Abs(seen[i]-float64(c.Chance[i])) > 0.01 {
				t.Errorf("costs %v: rung %d chosen in %.3f, its chance is said to be %.3f", cost[:3], i, seen[i], c.Chance[i])
			}
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("the chances add up to %v", sum)
		}
	}
	var c learn.Choice
	if l.Decide(&learn.Ask{Cost: costs(-1, -1, -1)}, &c); c.Rung != -1 {
		t.Errorf("rung %d chosen, none can be used", c.Rung)
	}
}

// TestText: what words of a prompt say is learned on top of the task.
func TestText(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	l := learn.New([]learn.Rung{{Name: "a"}, {Name: "b"}}, learn.Options{})
	prompts := []string{"Prove the theorem about prime ideals", "Translate the greeting into French"}
	var f [2]learn.Features
	for i := range f {
		f[i].Read(prompts[i])
	}
	for range 600 {
		i, rung := r.IntN(2), r.IntN(2)
		score := 1.0
		if i == 0 && rung == 0 {
			score = 0
		}
		l.Teach(&learn.Outcome{Task: 1, Text: &f[i], Rung: rung, Score: score})
	}
	var hard, easy learn.Choice
	l.Decide(&learn.Ask{Task: 1, Text: &f[0]}, &hard)
	l.Decide(&learn.Ask{Task: 1, Text: &f[1]}, &easy)
	if hard.Success[0] > 0.3 || easy.Success[0] < 0.7 || hard.Success[1] < 0.7 {
		t.Errorf("hard %v, easy %v", hard.Success[:2], easy.Success[:2])
	}
}

// TestCollapse: a rung that goes from .85 to .25 at a task is closed within 40
// of its labels, is tried again, and comes back when it has recovered. A rung
// that stays as it is is closed rarely.
func TestCollapse(t *testing.T) {
	t.Parallel()
	var most int
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 4))
		l := learn.New(ladder, learn.Options{Seed: seed})
		teach := func(p float64) bool {
			score := 0.0
			if r.Float64() < p {
				score = 1
			}
			l.Teach(&learn.Outcome{Task: 1, Rung: 0, Score: score})
			return l.Read(1)[0].Closed
		}
		for range 300 {
			teach(0.85)
		}
		n := 1
		for !teach(0.25) && n < 1000 {
			n++
		}
		most = max(most, n)
		var c learn.Choice
		if l.Decide(&learn.Ask{Task: 1, Cost: costs(1, 4, 10)}, &c); c.Rung == 0 || c.Closed&1 == 0 {
			t.Errorf("seed %d: the collapsed rung answers", seed)
		}
		for range 400 {
			teach(0.85)
		}
		if mean := l.Read(1)[0].Mean; mean < 0.75 {
			t.Errorf("seed %d: recovered, and still believed to succeed in %.2f", seed, mean)
		}
	}
	t.Logf("closed after %d labels at most", most)
	if most > 40 {
		t.Errorf("a collapsed rung answered %d times", most)
	}
	r := rand.New(rand.NewPCG(5, 5))
	closed, l := 0, learn.New(ladder, learn.Options{})
	was := false
	for range 10_000 {
		score := 0.0
		if r.Float64() < 0.85 {
			score = 1
		}
		l.Teach(&learn.Outcome{Task: 1, Rung: 0, Score: score})
		now := l.Read(1)[0].Closed
		if now && !was {
			closed++
		}
		was = now
	}
	t.Logf("a sound rung was closed %d times in 10,000 labels", closed)
	if closed > 5 {
		t.Errorf("a sound rung was closed %d times in 10,000 labels", closed)
	}
}

// TestCollapseEverywhere: a model that is broken is noticed over all its tasks
// together, when none has many labels.
func TestCollapseEverywhere(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 6))
	l := learn.New(ladder, learn.Options{})
	teach := func(p float64) {
		score := 0.0
		if r.Float64() < p {
			score = 1
		}
		l.Teach(&learn.Outcome{Task: learn.Key(r.IntN(100)), Rung: 0, Score: score})
	}
	for range 1_000 {
		teach(0.9)
	}
	n := 0
	for ; n < 200 && !l.Read(7)[0].Closed; n++ {
		teach(0.3)
	}
	if n == 200 {
		t.Error("200 labels of a broken model at 100 tasks went unnoticed")
	}
}

// TestOffPolicy: from a log of one policy the doubly robust estimate of another
// is right, also when the predictions are wrong, and its interval covers.
func TestOffPolicy(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	rate := []float64{0.6, 0.8}
	always := func(rung int) learn.Policy { return func(*learn.Record) int { return rung } }
	covered, bias := 0, 0.0
	const logs = 300
	for range logs {
		records := make([]learn.Record, 1500)
		for i := range records {
			c := learn.Choice{Success: [learn.MostRungs]float32{0.9, 0.5}, Chance: [learn.MostRungs]float32{0.95, 0.05}}
			if r.Float64() < 0.05 {
				c.Rung = 1
			}
			records[i] = learn.Record{Choice: c, Weight: 1}
			if r.Float64() < rate[c.Rung] {
				records[i].Score = 1
			}
		}
		e := learn.Value(records, always(1))
		bias += (e.Value - rate[1]) / logs
		if math.Abs(e.Value-rate[1]) < 1.96*e.Error {
			covered++
		}
		d := learn.Advantage(records, always(0), always(1), 1)
		if math.Abs(d.Value-(rate[0]-rate[1])) > 6*d.Error {
			t.Fatalf("the difference is estimated as %.3f +- %.3f", d.Value, d.Error)
		}
	}
	if math.Abs(bias) > 0.015 {
		t.Errorf("biased by %.3f", bias)
	}
	if covered < logs*90/100 {
		t.Errorf("%d of %d intervals cover", covered, logs)
	}
}

// TestFloor: with a floor the cheap rung is not used where that would break it,
// however much it saves, and it is used where it is good enough.
func TestFloor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		cheap     float64
		least     float64
		cheapOver bool
	}{{"too bad", 0.70, 0.95, false}, {"as good", 0.90, 0.95, true}} {
		r := rand.New(rand.NewPCG(8, 8))
		l := learn.New([]learn.Rung{{Name: "cheap"}, {Name: "dear"}}, learn.Options{Floor: 0.95, Explore: 0.1})
		keys := []learn.Key{1}
		rates := map[learn.Key][]float64{1: {c.cheap, 0.9}}
		serve(l, r, 8_000, rates, keys)
		success, cost := serve(l, r, 6_000, rates, keys)
		if success/0.9 < c.least {
			t.Errorf("%s: %.3f of the best rung's success", c.name, success/0.9)
		}
		if cheap := cost < 2.5; cheap != c.cheapOver {
			t.Errorf("%s: a request costs %.2f of 4, Delta %v", c.name, cost, l.Delta())
		}
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	l := taught(t)
	b := l.AppendSnapshot(nil)
	same := learn.New([]learn.Rung{{Name: "d"}, {Name: "new"}, {Name: "a"}, {Name: "b"}, {Name: "c"}}, learn.Options{})
	if err := same.Restore(b); err != nil {
		t.Fatal(err)
	}
	place := []int{2, 3, 4, 0} // where a, b, c, d stand now
	var f learn.Features
	f.Read(prose(900, 77))
	for key := range learn.Key(50) {
		var was, is learn.Choice
		l.Decide(&learn.Ask{Task: key, Text: &f}, &was)
		same.Decide(&learn.Ask{Task: key, Text: &f}, &is)
		for i, p := range place {
			if math.Abs(float64(was.Success[i]-is.Success[p])) > 0.02 {
				t.Fatalf("task %d rung %d: %v was kept as %v", key, i, was.Success[i], is.Success[p])
			}
		}
	}
	fresh := learn.New(ladder, learn.Options{})
	before := fresh.Read(1)
	for _, bad := range [][]byte{nil, {9}, b[:len(b)/2], append(bytes.Clone(b), 0), b[:3]} {
		if err := fresh.Restore(bad); !errors.Is(err, learn.ErrSnapshot) {
			t.Errorf("%d bytes that are no snapshot: %v", len(bad), err)
		}
	}
	if after := fresh.Read(1); after[0] != before[0] {
		t.Error("a snapshot that is none changed what is believed")
	}
}

func FuzzRestore(f *testing.F) {
	l := learn.New(ladder, learn.Options{})
	l.Teach(&learn.Outcome{Task: 1, Rung: 1, Score: 1})
	f.Add(l.AppendSnapshot(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := learn.New(ladder, learn.Options{Floor: 0.9})
		if l.Restore(b) != nil {
			return
		}
		var text learn.Features
		text.Read(string(b))
		var c learn.Choice
		l.Decide(&learn.Ask{Task: 1, Text: &text}, &c)
		for _, p := range c.Success {
			if math.IsNaN(float64(p)) {
				t.Fatalf("success %v", c.Success)
			}
		}
	})
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	l := learn.New(ladder, learn.Options{Floor: 0.9})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var f learn.Features
			for i := range 200 {
				f.Read(prose(200, i+g))
				var c learn.Choice
				l.Decide(&learn.Ask{Task: learn.Key(i % 5), Text: &f, Cost: costs(1, 2, 3), Explore: true}, &c)
				l.Teach(&learn.Outcome{Task: learn.Key(i % 5), Text: &f, Rung: c.Rung, Score: float64(i % 2), Choice: &c})
				if i%50 == 0 {
					l.AppendSnapshot(nil)
				}
			}
		})
	}
	wg.Wait()
}

// TestNoAllocations: a decision costs no garbage, its text included.
func TestNoAllocations(t *testing.T) {
	l := taught(t)
	var f learn.Features
	var c learn.Choice
	text := prose(learn.MostText, 1)
	ask := learn.Ask{Task: 3, Text: &f, Cost: costs(1, 2, 3, 4), Explore: true}
	if n := testing.AllocsPerRun(100, func() { f.Read(text); l.Decide(&ask, &c) }); n != 0 {
		t.Errorf("%v allocations in a decision", n)
	}
}

// TestForgotten: no more than so many tasks are remembered, and those used stay.
func TestForgotten(t *testing.T) {
	t.Parallel()
	l := learn.New(ladder[:1], learn.Options{})
	for i := range learn.Key(5000) {
		l.Teach(&learn.Outcome{Task: i + 10, Rung: 0, Score: 1})
		if i%1000 == 0 {
			l.Teach(&learn.Outcome{Task: 1, Rung: 0, Score: 0})
		}
	}
	if l.Read(1)[0].Labels == 0 {
		t.Error("a task in use was forgotten")
	}
	if l.Read(11)[0].Labels < 100 { // the whole ladder's, not the task's own
		t.Error("the oldest task is still there")
	}
}

func message(role llm.Role, text string) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: role, Blocks: []llm.Block{{Kind: llm.BlockText, Text: text}}}
}

func TestTaskOf(t *testing.T) {
	t.Parallel()
	system := func(s string, user string, tools ...string) *llm.Request {
		r := &llm.Request{Items: []llm.Item{message(llm.System, s), message(llm.User, user)}}
		for _, name := range tools {
			r.Tools = append(r.Tools, llm.Tool{Name: name})
		}
		return r
	}
	plain := func(s string) *llm.Request { return &llm.Request{Items: []llm.Item{message(llm.User, s)}} }
	base := learn.TaskOf("key", "", system("Today is 2026-11-25.  You sort mail.", "a", "move", "reply"))
	long := string(bytes.Repeat([]byte("x "), learn.MostText))
	for _, c := range []struct {
		name string
		key  learn.Key
		same bool
	}{
		{"another question", learn.TaskOf("key", "", system("Today is 2026-11-25.  You sort mail.", "another", "move", "reply")), true},
		{"another date, case and space", learn.TaskOf("key", "", system("today is 2025-01-02. You sort  mail.", "a", "move", "reply")), true},
		{"tools in another order", learn.TaskOf("key", "", system("Today is 2026-11-25.  You sort mail.", "a", "reply", "move")), true},
		{"another tool", learn.TaskOf("key", "", system("Today is 2026-11-25.  You sort mail.", "a", "reply", "move", "delete")), false},
		{"other instructions", learn.TaskOf("key", "", system("You write code.", "a", "move", "reply")), false},
		{"another tenant", learn.TaskOf("other", "", system("Today is 2026-11-25.  You sort mail.", "a", "move", "reply")), false},
		{"named", learn.TaskOf("key", "mail", system("Today is 2026-11-25.  You sort mail.", "a", "move", "reply")), false},
	} {
		if (c.key == base) != c.same {
			t.Errorf("%s: the same task: %v", c.name, c.key == base)
		}
	}
	if learn.TaskOf("k", "", system(long+"a", "")) != learn.TaskOf("k", "", system(long+"b", "")) {
		t.Error("what stands after the first 2 KB makes another task")
	}
	if learn.TaskOf("k", "n", plain("a")) != learn.TaskOf("k", "n", system("b", "c")) {
		t.Error("a named task depends on the text")
	}
	if learn.TaskOf("k", "", plain("你好，请问今天的天气怎么样")) == learn.TaskOf("k", "", plain("hello, what is the weather today")) {
		t.Error("two scripts are one task")
	}
	if k := learn.Key(5); k.After(0, learn.Passed) == k.After(0, learn.Failed) || k.After(0, learn.Passed) == k.After(1, learn.Passed) {
		t.Error("different evidence gives the same state")
	}
}

// TestEscalation: going on is decided by what it brings for its price, also
// when only the attempt after the next one brings anything.
func TestEscalation(t *testing.T) {
	t.Parallel()
	stage := func(state learn.Key, cost, score float64) learn.Stage {
		return learn.Stage{State: state, Cost: cost, Score: score}
	}
	const good, bad, second = 1, 2, 3
	var log [][]learn.Stage
	for range 50 {
		log = append(log,
			[]learn.Stage{stage(good, 1, 1), stage(second, 2, 1), stage(9, 10, 1)},
			[]learn.Stage{stage(bad, 1, 0), stage(second, 2, 0), stage(9, 10, 1)})
	}
	e := learn.NewEscalation()
	for _, c := range []struct {
		value     float64
		state     learn.Key
		onward    bool
		situation string
	}{
		{100, good, false, "the answer is right already"},
		{100, bad, true, "only the third rung mends it, and it is worth that"},
		{5, bad, false, "the third rung costs more than a success is worth"},
		{100, 77, false, "a state that was never seen"},
	} {
		e.Fit(log, c.value)
		if got := e.Onward(c.state, c.value); got != c.onward {
			t.Errorf("%s: onward %v", c.situation, got)
		}
	}
}

func TestPrior(t *testing.T) {
	t.Parallel()
	priced := func(usd float64) float64 {
		return learn.Prior(&catalog.Model{Prices: []catalog.Price{{Rates: catalog.Rates{Output: catalog.Dollars(usd)}}}})
	}
	if !(priced(0.4) < priced(5) && priced(5) < priced(75)) || priced(75) > 0.95 || learn.Prior(nil) != 0.75 {
		t.Errorf("priors %.2f %.2f %.2f", priced(0.4), priced(5), priced(75))
	}
}

// TestReview: going through few prompts again makes more of them.
func TestReview(t *testing.T) {
	t.Parallel()
	l := learn.New(ladder[:1], learn.Options{})
	var f learn.Features
	f.Read("an unusual word")
	for range 4 {
		l.Teach(&learn.Outcome{Task: 1, Text: &f, Rung: 0, Score: 0})
	}
	var before, after learn.Choice
	l.Decide(&learn.Ask{Task: 1, Text: &f}, &before)
	for range 3 {
		l.Review()
	}
	l.Decide(&learn.Ask{Task: 1, Text: &f}, &after)
	if after.Success[0] >= before.Success[0] {
		t.Errorf("success %.3f before, %.3f after", before.Success[0], after.Success[0])
	}
}
