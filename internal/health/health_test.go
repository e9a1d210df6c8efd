package health

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/llm"
)

var here = Target{"anthropic", "claude-opus-5-5"}

// attempt makes one attempt and says whether it was let through.
func attempt(t *Table, class llm.Class) bool {
	p, _, ok := t.Allow(here, false)
	if ok {
		p.Done(Result{Class: class, FirstByte: time.Millisecond, Total: 2 * time.Millisecond})
	}
	return ok
}

// TestOutage plays 60 s of a dead provider at 20 requests a second: at most 5
// attempts, then one probe in 5 s; when it lives again, it is used again.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		table := New(Options{
			Opened: func(g Target) { changes = append(changes, "open") },
			Closed: func(g Target) { changes = append(changes, "closed") },
		})
		attempt(table, "")
		sent := 0
		for range 60 * 20 {
			if attempt(table, llm.ServerError) {
				sent++
			}
			time.Sleep(50 * time.Millisecond)
		}
		if most := 5 + 60/5; sent > most || sent < 5 {
			t.Errorf("%d attempts at a dead target in 60 s, at most %d", sent, most)
		}
		if s := table.State(here); s != Open && s != HalfOpen {
			t.Errorf("the breaker is %s", s)
		}
		if _, wait, ok := table.Allow(here, false); ok || wait <= 0 || wait > 5*time.Second {
			t.Errorf("let through %v, wait %v", ok, wait)
		}
		time.Sleep(5 * time.Second)
		for i := range 10 {
			if !attempt(table, "") {
				t.Errorf("attempt %d after the outage was not let through", i)
			}
		}
		if got := fmt.Sprint(changes[0], changes[len(changes)-1]); got != "openclosed" {
			t.Errorf("told %v", changes)
		}
	})
}

// TestBrownOut: a target that turns four of five away as overloaded goes on
// being asked, for it serves the fifth; one that has turned all away for as long
// as it would be set aside is set aside.
func TestBrownOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Options{})
		draw := rand.New(rand.NewPCG(1, 2))
		served := 0
		for range 5000 {
			class := llm.Overloaded
			if draw.IntN(5) == 0 {
				class = ""
			}
			if attempt(table, class) && class == "" {
				served++
			}
			time.Sleep(5 * time.Millisecond)
		}
		if served < 900 { // of about a thousand that it could serve
			t.Errorf("%d were served", served)
		}
		sent := 0
		for range 60 * 20 {
			if attempt(table, llm.Overloaded) {
				sent++
			}
			time.Sleep(50 * time.Millisecond)
		}
		if most := 5*20 + 5 + 60/5; sent > most {
			t.Errorf("%d attempts in 60 s in which it turned all away, at most %d", sent, most)
		}
	})
}

// TestOneProbe: many requests wait for a half-open breaker, one is let through.
func TestOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Options{})
		for range 5 {
			attempt(table, llm.SlowStart)
		}
		time.Sleep(5 * time.Second)
		var probes []Permit
		for range 50 {
			if p, _, ok := table.Allow(here, false); ok {
				probes = append(probes, p)
			}
		}
		if len(probes) != 1 {
			t.Fatalf("%d probes", len(probes))
		}
		// The prober leaves: nothing is known, so the next probe comes in its time.
		probes[0].Done(Result{Class: llm.ClientGone})
		if attempt(table, "") {
			t.Error("let through right after a probe without an answer")
		}
		time.Sleep(5 * time.Second)
		for range 2 {
			if !attempt(table, "") {
				t.Error("the breaker does not close after a good probe")
			}
		}
	})
}

// TestOutlier: a target that fails every second time is set aside though it
// never fails five times in a row.
func TestOutlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Options{})
		sent := 0
		for i := range 100 {
			class := llm.Class("")
			if i%3 > 0 {
				class = llm.ServerError
			}
			if attempt(table, class) {
				sent++
			}
			time.Sleep(10 * time.Millisecond)
		}
		if sent > 25 {
			t.Errorf("%d of 100 attempts were let through", sent)
		}
	})
}

// TestBlameless: what is not the target's fault opens nothing.
func TestBlameless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, class := range llm.Classes() {
			table := New(Options{})
			attempt(table, "")
			time.Sleep(5 * time.Second) // its last success is long ago
			for range 100 {
				attempt(table, class)
			}
			if got, want := table.State(here) == Open, failures[class]; got != want {
				t.Errorf("100 times %s: open %v, want %v", class, got, want)
			}
		}
	})
}

// TestExempt: failures that are asked for set nobody aside.
func TestExempt(t *testing.T) {
	table := New(Options{Exempt: func(Target) bool { return true }})
	for range 100 {
		if !attempt(table, llm.ServerError) {
			t.Fatal("an exempt target was set aside")
		}
	}
	if r, _ := table.Read(here, time.Minute); r.Classes[llm.ServerError] != 100 || r.Running != 0 {
		t.Errorf("%+v", r)
	}
}

// TestRepeats: of many attempts under way at most a tenth are repeats, and the
// first three always may be.
func TestRepeats(t *testing.T) {
	table := New(Options{})
	var open []Permit
	take := func(repeat bool) bool {
		p, wait, ok := table.Allow(here, repeat)
		if ok {
			open = append(open, p)
		} else if wait != 0 {
			t.Errorf("a refused repeat waits %v", wait)
		}
		return ok
	}
	for range 100 {
		if !take(false) {
			t.Fatal("a first attempt was refused")
		}
	}
	repeats := 0
	for range 100 {
		if take(true) {
			repeats++
		}
	}
	if repeats < 9 || repeats > 12 {
		t.Errorf("%d repeats beside 100 first attempts", repeats)
	}
	for _, p := range open {
		p.Done(Result{})
	}
	if r, _ := table.Read(here, time.Minute); r.Running != 0 {
		t.Errorf("%d attempts are running", r.Running)
	}
	for range 10 { // they earn one
		take(false)
	}
	if !take(true) {
		t.Error("a repeat is refused though nothing else runs")
	}
}

// TestRepeatsThatEndAtOnce: where a target refuses at once nothing is ever under
// way, and still a tenth of the attempts are repeats at most, or one a second.
func TestRepeatsThatEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Options{})
		refuse := func(repeat bool) bool {
			p, _, ok := table.Allow(here, repeat)
			p.Done(Result{Class: llm.RateLimited})
			return ok
		}
		repeats := 0
		for range 10_000 {
			refuse(false)
			if refuse(true) {
				repeats++
			}
			time.Sleep(time.Millisecond)
		}
		if most := 1000 + 10 + 10; repeats < 900 || repeats > most {
			t.Errorf("%d repeats of 10,000 attempts in 10 s, want a tenth", repeats)
		}
		repeats = 0
		for range 60 {
			if refuse(true) {
				repeats++
			}
			time.Sleep(time.Second)
		}
		if repeats < 59 {
			t.Errorf("%d repeats in a minute in which nothing else was asked", repeats)
		}
	})
}

// TestQuantiles compares with the exact ones, over several minutes and with
// what is too old left out.
func TestQuantiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Options{})
		rnd := rand.New(rand.NewPCG(1, 2))
		note := func(d time.Duration) {
			p, _, _ := table.Allow(here, false)
			p.Done(Result{FirstByte: d, Total: d + 100*time.Millisecond, Output: 10})
		}
		note(time.Hour) // will be too old
		time.Sleep(10 * time.Minute)
		var exact []time.Duration
		for range 5 {
			for range 2000 {
				d := time.Duration(1e6 + rnd.ExpFloat64()*1e9)
				exact = append(exact, d)
				note(d)
			}
			time.Sleep(time.Minute)
		}
		slices.Sort(exact)
		r, ok := table.Read(here, 6*time.Minute)
		if !ok || r.Attempts != 10_000 || r.Successes != 10_000 || r.Output != 100_000 {
			t.Fatalf("%+v", r)
		}
		q := r.Latency[FirstByte]
		for _, c := range []struct {
			share float64
			got   time.Duration
		}{{0.5, q.P50}, {0.9, q.P90}, {0.99, q.P99}} {
			want := exact[int(c.share*float64(len(exact)-1))]
			if e := float64(c.got-want) / float64(want); e > 0.011 || e < -0.011 {
				t.Errorf("p%v is %v, exactly %v", 100*c.share, c.got, want)
			}
		}
		if p := r.Latency[PerToken].P50; p < 9900*time.Microsecond || p > 10100*time.Microsecond {
			t.Errorf("per token %v, want 10 ms", p)
		}
		if old, _ := table.Read(here, time.Hour); old.Attempts != 10_001-1 && old.Attempts != 10_001 {
			t.Errorf("over 15 minutes %d attempts", old.Attempts)
		}
	})
}

func TestSuccessRate(t *testing.T) {
	table := New(Options{Failures: 1000, Least: 1000})
	for _, c := range []llm.Class{"", "", "", llm.ServerError, llm.InvalidRequest, llm.ClientGone} {
		attempt(table, c)
	}
	r, _ := table.Read(here, time.Minute)
	if got := r.SuccessRate(); got != 0.75 {
		t.Errorf("3 successes, 1 failure, 2 that say nothing: %v", got)
	}
}

// TestCost: failed attempts are charged to those that succeeded, and an unknown
// price is no price.
func TestCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Options{})
		note := func(r Result) {
			p, _, _ := table.Allow(here, false)
			p.Done(r)
		}
		note(Result{Class: llm.ServerError, Cost: 100, Priced: true})
		if r, _ := table.Read(here, time.Minute); r.Cost != 100 {
			t.Errorf("cost %d", r.Cost)
		} else if _, ok := r.CostPerSuccess(); ok {
			t.Error("a cost per success without a success")
		}
		note(Result{Cost: 300, Priced: true})
		note(Result{Cost: 200, Priced: true})
		r, _ := table.Read(here, time.Minute)
		if got, ok := r.CostPerSuccess(); !ok || got != 300 {
			t.Errorf("cost per success %d %v, want 300", got, ok)
		}
		time.Sleep(time.Hour)
		note(Result{})
		r, _ = table.Read(here, time.Minute)
		if _, ok := r.CostPerSuccess(); ok || r.Unpriced != 1 || r.Cost != 0 {
			t.Errorf("an unpriced attempt: %+v", r)
		}
		if ever := table.Ever(); len(ever) != 1 || ever[0].Attempts != 4 || ever[0].Successes != 3 || ever[0].Cost != 600 || ever[0].Classes[llm.ServerError] != 1 {
			t.Errorf("ever: %+v", ever)
		}
	})
}

// TestBounded: names without number take no memory without end.
func TestBounded(t *testing.T) {
	table := New(Options{})
	for i := range 3 * most {
		p, _, _ := table.Allow(Target{"openai", fmt.Sprint(i)}, false)
		p.Done(Result{})
	}
	if n := len(table.ReadAll(time.Minute)); n > most {
		t.Errorf("%d targets", n)
	}
}

// TestConcurrent leaves nothing running whatever the order.
func TestConcurrent(t *testing.T) {
	table := New(Options{})
	classes := append(llm.Classes(), "")
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			for range 2000 {
				name := Target{"p", fmt.Sprint(rnd.IntN(3))}
				p, _, ok := table.Allow(name, rnd.IntN(3) == 0)
				if ok {
					p.Done(Result{Class: classes[rnd.IntN(len(classes))], Total: 1})
				}
			}
		})
	}
	all.Wait()
	for _, r := range table.ReadAll(time.Hour) {
		if r.Running != 0 {
			t.Errorf("%v: %d running", r.Target, r.Running)
		}
	}
}

func BenchmarkNote(b *testing.B) {
	var h history
	now := time.Now()
	d := time.Millisecond
	b.ReportAllocs()
	for b.Loop() {
		h.mu.Lock()
		m := &h.ring[now.Unix()/60%minutes]
		m.measure(Total, d)
		h.mu.Unlock()
		d += 1000
	}
}

func BenchmarkAttempt(b *testing.B) {
	table := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		p, _, _ := table.Allow(here, false)
		p.Done(Result{FirstByte: time.Millisecond, Total: time.Second, Output: 100})
	}
}
