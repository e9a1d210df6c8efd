package admission_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"headrace/internal/admission"
	"headrace/internal/llm"
)

// line has requests wait at a full gate and then gives turns one by one.
type line struct {
	t    *testing.T
	g    *admission.Gate
	mu   sync.Mutex // guards got and errs
	got  []string
	errs []*llm.Error
}

func (l *line) ask(name, team, priority string) {
	go func() {
		err := l.g.Enter(l.t.Context(), admission.Ask{Team: team, Says: priority})
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			l.errs = append(l.errs, err)
			l.got = append(l.got, "-"+name)
			return
		}
		l.got = append(l.got, name)
	}()
	synctest.Wait()
}

// full gives a gate at which one request runs.
func full(t *testing.T, o admission.Options) *line {
	o.Most = 1
	l := &line{t: t, g: admission.New(o)}
	if err := l.g.Enter(t.Context(), admission.Ask{}); err != nil {
		t.Fatal(err)
	}
	return l
}

// turns ends n requests, one after another.
func (l *line) turns(n int) string {
	for range n {
		l.g.Leave()
		synctest.Wait()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.got, " ")
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := full(t, admission.Options{Queue: 100, Wait: time.Hour, Teams: map[string]admission.Team{
			"big": {Priority: admission.Standard, Weight: 3}, "low": {Priority: admission.Batch},
		}})
		l.ask("b1", "x", "batch")
		l.ask("low1", "low", "interactive") // may not say more than its team
		l.ask("s1", "x", "")
		l.ask("i1", "x", "interactive")
		l.ask("i2", "y", "interactive")
		if got := l.turns(6); got != "i1 i2 s1 low1 b1" {
			t.Errorf("the order is %q", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l := full(t, admission.Options{Queue: 100, Wait: time.Hour, Teams: map[string]admission.Team{"big": {Priority: admission.Standard, Weight: 3}}})
		for n := range 20 {
			l.ask(fmt.Sprint("small", n), "small", "")
			l.ask(fmt.Sprint("big", n), "big", "")
		}
		if got := l.turns(16); strings.Count(got, "big") != 12 {
			t.Errorf("of 16 turns the team of weight 3 has %d beside one of weight 1: %s", strings.Count(got, "big"), got)
		}
		if got := l.turns(24); strings.Count(got, "big") != 20 || strings.Index(got, "big0") > strings.Index(got, "big1") {
			t.Errorf("in the end: %s", got)
		}
	})
}

// TestOneAtATime: a team that comes back for each turn is not ahead of one that
// queues.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := full(t, admission.Options{Queue: 100, Wait: time.Hour})
		for n := range 10 {
			l.ask(fmt.Sprint("queue", n), "queue", "")
		}
		for n := range 10 {
			l.ask(fmt.Sprint("again", n), "again", "")
			l.turns(1)
		}
		if got := l.turns(0); strings.Count(got, "queue") != 5 {
			t.Errorf("the order is %s", got)
		}
	})
}

// TestNobodyStarves: batch requests have their turn beside an endless stream of
// interactive ones.
func TestNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := full(t, admission.Options{Queue: 1000, Wait: time.Hour})
		for n := range 5 {
			l.ask(fmt.Sprint("batch", n), "x", "batch")
			l.ask(fmt.Sprint("standard", n), "x", "")
		}
		for n := range 102 {
			l.ask(fmt.Sprint("now", n), "y", "interactive")
			l.turns(1)
		}
		got := l.turns(0)
		if strings.Count(got, "batch") < 5 || strings.Count(got, "standard") < 5 || strings.Count(got, "now") < 80 {
			t.Errorf("the order is %s", got)
		}
	})
}

// TestShed: what finds no place, or no turn in time, is turned away with a word
// on when to come back; the last priority goes first.
func TestShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := full(t, admission.Options{Queue: 2, Wait: 5 * time.Second})
		l.ask("b1", "", "batch")
		l.ask("b2", "", "batch")
		l.ask("b3", "", "batch")
		l.ask("i1", "", "interactive")
		l.ask("i2", "", "interactive")
		l.ask("i3", "", "interactive")
		if got := l.turns(0); got != "-b3 -b2 -b1 -i3" {
			t.Errorf("turned away: %q", got)
		}
		l.mu.Lock()
		errs := slices.Clone(l.errs)
		l.mu.Unlock()
		for _, err := range errs {
			if err.Class != llm.Overloaded || err.RetryAfter == 0 {
				t.Errorf("the error is %+v", err)
			}
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := l.turns(0); got != "-b3 -b2 -b1 -i3 -i1 -i2" && got != "-b3 -b2 -b1 -i3 -i2 -i1" {
			t.Errorf("after the wait: %q", got)
		}
		if r := l.g.Read(); r.Running != 1 || r.Waiting != 0 || r.Turned() != 6 || r.Shed[admission.QueueFull] != 2 || r.Shed[admission.NoTurn] != 2 || r.Shed[admission.Displaced] != 2 {
			t.Errorf("reading %+v", r)
		}
		if err := l.g.Enter(t.Context(), admission.Ask{Says: "urgent"}); err == nil || err.Class != llm.InvalidRequest {
			t.Errorf("an unknown priority: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.g.Enter(ctx, admission.Ask{}); err == nil || err.Class != llm.Timeout {
			t.Errorf("a deadline: %v", err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if err := l.g.Enter(gone, admission.Ask{}); err == nil || err.Class != llm.ClientGone {
			t.Errorf("a client that left: %v", err)
		}
		l.g.Leave()
		if r := l.g.Read(); r.Running != 0 || r.Waiting != 0 {
			t.Errorf("in the end: %+v", r)
		}
	})
}

func TestBytes(t *testing.T) {
	g := admission.New(admission.Options{Bytes: 100})
	for _, c := range []struct {
		take int64
		want llm.Class
	}{{60, ""}, {101, llm.TooLarge}, {41, llm.Overloaded}, {40, ""}, {1, llm.Overloaded}} {
		var got llm.Class
		if err := g.Take(c.take); err != nil {
			got = err.Class
		}
		if got != c.want {
			t.Errorf("%d bytes: %q, want %q", c.take, got, c.want)
		}
	}
	g.Give(100)
	if g.Read().Bytes != 0 {
		t.Errorf("%+v", g.Read())
	}
}

// TestAdapt: the limit falls with what runs and comes back.
func TestAdapt(t *testing.T) {
	g := admission.New(admission.Options{Most: 1000, Least: 10})
	for range 100 {
		if err := g.Enter(t.Context(), admission.Ask{}); err != nil {
			t.Fatal(err)
		}
	}
	g.Adapt(true)
	if r := g.Read(); r.Limit != 90 {
		t.Errorf("once late: %+v", r)
	}
	if err := g.Enter(t.Context(), admission.Ask{}); err == nil {
		t.Error("another one was let in")
	}
	for range 50 {
		g.Adapt(true)
	}
	if r := g.Read(); r.Limit != 10 {
		t.Errorf("late for long: %+v", r)
	}
	for range 200 {
		g.Adapt(false)
	}
	if r := g.Read(); r.Limit != 1000 {
		t.Errorf("in the end: %+v", r)
	}
	g.Set(admission.Options{Most: 50, Least: 1})
	if r := g.Read(); r.Limit != 50 {
		t.Errorf("changed: %+v", r)
	}
}

// TestNothingIsLost: whatever comes, leaves, waits and changes, the gate is
// empty in the end and was never over its limit.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type step struct {
			what     string
			team     string
			priority string
			wait     int
		}
		steps := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) step {
			return step{rapid.SampledFrom([]string{"enter", "enter", "enter", "leave", "late", "fine", "sleep", "set"}).Draw(r, "what"),
				rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "team"), rapid.SampledFrom([]string{"", "interactive", "batch"}).Draw(r, "priority"),
				rapid.IntRange(0, 30).Draw(r, "wait")}
		}), 1, 60).Draw(r, "steps")
		most := rapid.IntRange(1, 4).Draw(r, "most")
		synctest.Test(t, func(t *testing.T) {
			g := admission.New(admission.Options{Most: most, Least: 1, Queue: 5, Wait: 10 * time.Second})
			var mu sync.Mutex
			var inside []chan struct{}
			var all sync.WaitGroup
			for _, s := range steps {
				switch s.what {
				case "enter":
					all.Go(func() {
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.wait)*time.Second)
						defer cancel()
						if g.Enter(ctx, admission.Ask{Team: s.team, Says: s.priority}) != nil {
							return
						}
						end := make(chan struct{})
						mu.Lock()
						inside = append(inside, end)
						mu.Unlock()
						<-end
						g.Leave()
					})
				case "leave":
					mu.Lock()
					if len(inside) > 0 {
						close(inside[0])
						inside = slices.Delete(inside, 0, 1)
					}
					mu.Unlock()
				case "late", "fine":
					g.Adapt(s.what == "late")
				case "sleep":
					time.Sleep(time.Duration(s.wait) * time.Second)
				case "set":
					g.Set(admission.Options{Most: most, Least: 1, Queue: 3, Wait: 5 * time.Second, Teams: map[string]admission.Team{"a": {Weight: 2}}})
				}
				synctest.Wait()
				if now := g.Read(); now.Running > most || now.Waiting > 5 {
					t.Fatalf("after %+v: %+v", s, now)
				}
			}
			for left := true; left; {
				mu.Lock()
				left = len(inside) > 0
				for _, end := range inside {
					close(end)
				}
				inside = nil
				mu.Unlock()
				time.Sleep(time.Minute)
				synctest.Wait()
			}
			all.Wait()
			if now := g.Read(); now.Running != 0 || now.Waiting != 0 {
				t.Fatalf("in the end: %+v", now)
			}
		})
	})
}

func BenchmarkEnter(b *testing.B) {
	g := admission.New(admission.Options{Most: 1000, Bytes: 1 << 30})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if g.Enter(ctx, admission.Ask{Team: "team"}) != nil || g.Take(100) != nil {
			b.Fatal("not let in")
		}
		g.Give(100)
		g.Leave()
	}
}

// TestPriorityOfKey: a key's priority counts before its team's; the header
// lowers it, and raises it only where the key may.
func TestPriorityOfKey(t *testing.T) {
	teams := map[string]admission.Team{"slow": {Priority: admission.Batch}, "quick": {Priority: admission.Interactive}, "free": {Says: true}}
	for _, c := range []struct {
		ask  admission.Ask
		want admission.Priority
	}{
		{admission.Ask{}, admission.Standard},
		{admission.Ask{Says: "interactive"}, admission.Interactive},
		{admission.Ask{Own: "standard"}, admission.Standard},
		{admission.Ask{Own: "standard", Says: "batch"}, admission.Batch},
		{admission.Ask{Own: "standard", Says: "interactive"}, admission.Standard},
		{admission.Ask{Own: "standard", Says: "interactive", Raise: true}, admission.Interactive},
		{admission.Ask{Own: "batch", Says: "standard", Raise: true}, admission.Standard},
		{admission.Ask{Team: "slow"}, admission.Batch},
		{admission.Ask{Team: "slow", Says: "interactive"}, admission.Batch},
		{admission.Ask{Team: "slow", Says: "interactive", Raise: true}, admission.Interactive},
		{admission.Ask{Team: "slow", Own: "interactive"}, admission.Interactive},
		{admission.Ask{Team: "quick", Own: "batch"}, admission.Batch},
		{admission.Ask{Team: "quick", Own: "batch", Says: "interactive"}, admission.Batch},
		{admission.Ask{Team: "free", Own: "standard", Says: "interactive"}, admission.Standard},
		{admission.Ask{Team: "free", Says: "interactive"}, admission.Interactive},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := admission.New(admission.Options{Most: 1, Least: 1, Queue: 1, Wait: time.Second, Teams: teams})
			if err := g.Enter(t.Context(), admission.Ask{}); err != nil {
				t.Fatal(err)
			}
			go g.Enter(t.Context(), c.ask)
			synctest.Wait()
			for p, n := range g.Read().Queued {
				if (n == 1) != (admission.Priority(p) == c.want) {
					t.Errorf("%+v: %d wait as %s", c.ask, n, admission.Priorities[p])
				}
			}
			time.Sleep(2 * time.Second)
		})
	}
}
