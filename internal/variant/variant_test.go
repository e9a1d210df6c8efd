package variant_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"headrace/internal/variant"
)

func three() *variant.Experiment {
	return &variant.Experiment{Name: "x", Run: 1, On: "r", Unit: variant.Session,
		Arms: []variant.Arm{{Name: "a", Weight: 5}, {Name: "b", Weight: 3}, {Name: "c", Weight: 2}}}
}

// TestShares: units come to the arms as the weights say.
func TestShares(t *testing.T) {
	t.Parallel()
	e := three()
	const n = 50_000
	counts := make([]float64, 3)
	for i := range n {
		counts[e.Pick(e.Hash("owner", fmt.Sprint(i)), e.Shares())]++
	}
	var chi float64
	for i, share := range e.Shares() {
		chi += math.Pow(counts[i]-n*share, 2) / (n * share)
	}
	if chi > 13.8 { // 99.9 % of two degrees of freedom
		t.Errorf("%v units, chi square %.1f", counts, chi)
	}
}

// TestMoves: when shares change a unit moves only to an arm whose share has grown
// beside its own.
func TestMoves(t *testing.T) {
	t.Parallel()
	e := three()
	const n = 20_000
	moved, was, is := 0, []float64{0.5, 0.3, 0.2}, []float64{0.4, 0.4, 0.2}
	for i := range n {
		unit := e.Hash("owner", fmt.Sprint(i))
		before, after := e.Pick(unit, was), e.Pick(unit, is)
		if before == after {
			continue
		}
		moved++
		if is[after]/was[after] <= is[before]/was[before] {
			t.Fatalf("unit %d moves from %d to %d", i, before, after)
		}
	}
	if share := float64(moved) / n; share < 0.08 || share > 0.17 {
		t.Errorf("%.1f %% of the units moved", 100*share)
	}
	for i := range 1000 {
		if e.Pick(e.Hash("o", fmt.Sprint(i)), []float64{0.8, 0, 0.2}) == 1 {
			t.Fatal("an arm without a share is given")
		}
	}
}

// TestUnits: an experiment, a kind, an owner and a value are a unit of their own;
// another experiment draws anew.
func TestUnits(t *testing.T) {
	t.Parallel()
	e, other := three(), three()
	other.Name = "y"
	same := 0
	for i := range 1000 {
		v := fmt.Sprint(i)
		if e.Pick(e.Hash("o", v), []float64{1. / 3, 1. / 3, 1. / 3}) == other.Pick(other.Hash("o", v), []float64{1. / 3, 1. / 3, 1. / 3}) {
			same++
		}
	}
	if same < 250 || same > 420 {
		t.Errorf("two experiments agree on %d of 1,000 units", same)
	}
	if e.Hash("a", "bc") == e.Hash("ab", "c") || e.Hash("a", "b") < 0 {
		t.Error("owner and value run into one another")
	}
}

func steered(s *variant.Stand) (*variant.Desk, *variant.Experiment) {
	d, e := &variant.Desk{}, three()
	d.Set([]*variant.Experiment{e})
	d.Steer(1, s)
	return d, e
}

func ask(session string) *variant.Ask {
	return &variant.Ask{On: "r", Owner: "o", KeyID: "k", Session: func() string { return session }, Now: time.Now()}
}

// TestPinned: who has an arm keeps it when shares change, and also when it is
// decided for another one; not when its arm is stopped.
func TestPinned(t *testing.T) {
	t.Parallel()
	d, e := steered(&variant.Stand{Phase: variant.Running})
	arms := map[string]int{}
	for i := range 300 {
		arms[fmt.Sprint(i)] = d.Assign(ask(fmt.Sprint(i))).Arm
	}
	check := func(what string, want func(was int) int) {
		t.Helper()
		for s, was := range arms {
			if got := d.Assign(ask(s)).Arm; got != want(was) {
				t.Fatalf("%s: session %s had %d and gets %d", what, s, was, got)
			}
		}
	}
	stay := func(was int) int { return was }
	d.Steer(1, &variant.Stand{Phase: variant.Running, Shares: []float64{0.1, 0.1, 0.8}})
	check("other shares", stay)
	d.Set([]*variant.Experiment{e})
	check("a reload", stay)
	d.Steer(1, &variant.Stand{Phase: variant.Decided, Winner: 1})
	check("a decision", stay)
	if g := d.Assign(ask("new")); g.Arm != 1 || g.Counts {
		t.Errorf("somebody new gets %d, counted: %v", g.Arm, g.Counts)
	}
	d.Steer(1, &variant.Stand{Phase: variant.Running, Shares: []float64{0.8, 0.2, 0}, Halted: []bool{false, false, true}})
	for s := range arms {
		if g := d.Assign(ask(s)); g.Arm == 2 {
			t.Fatalf("session %s has a stopped arm", s)
		}
	}
	for _, phase := range []variant.Phase{variant.Stopped, variant.Waiting} {
		d.Steer(1, &variant.Stand{Phase: phase})
		if d.Assign(ask("1")) != nil {
			t.Errorf("an arm is given while it is %s", phase)
		}
	}
	// After a restart pins come from the store.
	d, _ = steered(&variant.Stand{Phase: variant.Running, Shares: []float64{1, 0, 0}})
	d.Pin(1, e.Hash("o", "old"), 2)
	if g := d.Assign(ask("old")); g.Arm != 2 {
		t.Errorf("a pinned unit gets %d", g.Arm)
	}
}

// TestAtOnce is for the race detector.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	d, e := steered(&variant.Stand{Phase: variant.Running})
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				if d.Assign(ask(fmt.Sprint(i%500))) == nil {
					t.Error("no arm")
					return
				}
				if k == 0 && i%100 == 0 {
					d.Set([]*variant.Experiment{e})
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkAssign(b *testing.B) {
	d, _ := steered(&variant.Stand{Phase: variant.Running})
	a := ask("a session that asks again and again")
	b.ReportAllocs()
	for b.Loop() {
		d.Assign(a)
	}
}

func BenchmarkStands(b *testing.B) {
	d, _ := steered(&variant.Stand{Phase: variant.Running})
	b.ReportAllocs()
	for b.Loop() {
		if d.Stands("another name") {
			b.Fatal("nothing stands there")
		}
	}
}
