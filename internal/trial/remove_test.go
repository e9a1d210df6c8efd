package trial_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"headrace/internal/trial"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }

// TestRemove: what is taken out again leaves the sums as if it had never been
// there, also after a million times.
func TestRemove(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 1))
	var with, without trial.Sums
	for range 1000 {
		y, x := 1e6+r.NormFloat64(), r.Float64()
		with.Add(y, x)
		without.Add(y, x)
	}
	for range 100_000 {
		y, x := 1e6+r.NormFloat64(), r.Float64()
		with.Add(y, x)
		with.Remove(y, x)
	}
	if math.Abs(with.YY-without.YY) > 1e-3*without.YY || math.Abs(with.Y-without.Y) > 1e-3 || with.N != without.N {
		t.Errorf("%+v, want %+v", with, without)
	}
	var one trial.Sums
	one.Add(3, 4)
	one.Remove(3, 4)
	if one != (trial.Sums{}) {
		t.Errorf("%+v is left of nothing", one)
	}
}

// TestWeightedRemove: a unit whose outcome changes counts with the last one.
func TestWeightedRemove(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 1))
	changed, plain := trial.NewWeighted(3), trial.NewWeighted(3)
	for range 500 {
		chances, arm, y := []float64{0.2, 0.3, 0.5}, r.IntN(3), r.Float64()
		changed.Add(arm, chances, nil, y+1)
		changed.Remove(arm, chances, nil, y+1)
		changed.Add(arm, chances, nil, y)
		plain.Add(arm, chances, nil, y)
	}
	for i := range 3 {
		if a, b := changed.Mean(i), plain.Mean(i); !near(a.Value, b.Value) || !near(a.Variance, b.Variance) {
			t.Errorf("arm %d: %v, want %v", i, a, b)
		}
		if a, b := changed.Difference(2, i), plain.Difference(2, i); !near(a.Value, b.Value) {
			t.Errorf("arms 2 and %d: %v, want %v", i, a, b)
		}
	}
}

// TestGuardKinds: a bound that holds whatever the control does, and one that is
// a share of the control's value.
func TestGuardKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		guard        trial.Guard
		control, arm float64 // means
		want         trial.Verdict
	}{
		{"over the bound", trial.Guard{Margin: 0.05, Absolute: true}, 0.10, 0.10, trial.Harmful},
		{"under the bound", trial.Guard{Margin: 0.05, Absolute: true}, 0.10, 0.01, trial.Harmless},
		{"half as much again", trial.Guard{Margin: 0.2, Relative: true, Effect: 0.1}, 1, 1.5, trial.Harmful},
		{"a tenth more", trial.Guard{Margin: 0.5, Relative: true, Effect: 0.1}, 1, 1.1, trial.Harmless},
		{"a third of the speed", trial.Guard{Margin: 0.2, Relative: true, More: true, Effect: 0.1}, 1, 0.3, trial.Harmful},
		{"nine tenths of the speed", trial.Guard{Margin: 0.3, Relative: true, More: true, Effect: 0.1}, 1, 0.95, trial.Harmless},
		{"too few successes", trial.Guard{Margin: 0.9, Absolute: true, More: true}, 0.95, 0.8, trial.Harmful},
	} {
		r := rand.New(rand.NewPCG(5, 1))
		sums := func(mean float64) (s trial.Sums) {
			for range 4000 {
				if mean <= 0.96 && c.guard.Absolute {
					s.Add(bernoulli(r, mean), 0)
				} else {
					s.Add(mean+0.2*r.NormFloat64(), 0)
				}
			}
			return s
		}
		a, b := sums(c.control), sums(c.arm)
		read := trial.Read(trial.Plan{Shares: []float64{0.5, 0.5}, Guards: []trial.Guard{c.guard}},
			[]trial.Counts{{Assigned: 4000, Value: a, Guards: []trial.Sums{a}}, {Assigned: 4000, Value: b, Guards: []trial.Sums{b}}})
		if got := read.Arms[1].Guards[0]; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestSharesOverTime: evidence of earlier shares counts with that of those in
// force.
func TestSharesOverTime(t *testing.T) {
	t.Parallel()
	earlier := trial.ShareEvidence([]int64{8000, 7300}, []float64{0.5, 0.5})
	counts := []trial.Counts{{Assigned: 4000}, {Assigned: 1000}}
	plan := trial.Plan{Shares: []float64{0.8, 0.2}}
	if trial.Read(plan, counts).Broken {
		t.Error("broken without reason")
	}
	plan.Shared = earlier
	if !trial.Read(plan, counts).Broken {
		t.Errorf("earlier evidence of %g is forgotten", earlier)
	}
}

// TestAboveFar: evidence for harm stays small, and falls, however far the other
// way the value is.
func TestAboveFar(t *testing.T) {
	t.Parallel()
	q, last := trial.Sequence{Effect: 0.03}, math.Inf(1)
	for d := -0.001; d > -10; d *= 1.02 {
		got := q.Above(trial.Estimate{Value: d, Variance: 1e-6}, 0)
		if !(got <= last && got < 1) {
			t.Fatalf("a value of %v is evidence of %v for more than 0, after %v", d, got, last)
		}
		last = got
	}
}
