package trial_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"headrace/internal/trial"
)

// runs is how often a simulation is repeated: enough that a true rate of 4 %
// is told from one of 7 %.
const runs = 800

func bernoulli(r *rand.Rand, p float64) float64 {
	if r.Float64() < p {
		return 1
	}
	return 0
}

// TestFalsePositives looks after every single unit, up to 10,000 in each arm of
// which neither is better; over 4,000 runs of up to 20,000 the rates were 2.4 to
// 3.7 %.
func TestFalsePositives(t *testing.T) {
	t.Parallel()
	draws := []struct {
		name   string
		effect float64
		draw   func(*rand.Rand) float64
	}{
		{"rate .5", 0.03, func(r *rand.Rand) float64 { return bernoulli(r, 0.5) }},
		{"rate .8", 0.03, func(r *rand.Rand) float64 { return bernoulli(r, 0.8) }},
		{"rate .95", 0.015, func(r *rand.Rand) float64 { return bernoulli(r, 0.95) }},
		{"rate .99", 0.01, func(r *rand.Rand) float64 { return bernoulli(r, 0.99) }},
		{"cost, exponential", 0.05, func(r *rand.Rand) float64 { return r.ExpFloat64() }},
		{"cost, log-normal", 0.1, func(r *rand.Rand) float64 { return math.Exp(0.8 * r.NormFloat64()) }},
	}
	for _, d := range draws {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 7))
			q := trial.Sequence{Effect: d.effect}
			alarms := 0
			for range runs {
				var a, b trial.Sums
				for range 10_000 {
					a.Add(d.draw(r), 0)
					b.Add(d.draw(r), 0)
					if a.N >= 100 && q.Evidence(a.Mean().Minus(b.Mean())) >= 1/trial.Alpha {
						alarms++
						break
					}
				}
			}
			rate := float64(alarms) / runs
			t.Logf("false positives under constant looking: %.1f %%", 100*rate)
			if rate > 0.05 {
				t.Errorf("%.1f %% false positives, the bound is 5 %%", 100*rate)
			}
		})
	}
}

// TestNoPriceForLooking: the median number of units until a difference is found
// is at most 1.1 times what a test that looks once needs.
func TestNoPriceForLooking(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b float64 }{{0.80, 0.83}, {0.80, 0.82}, {0.95, 0.965}} {
		r := rand.New(rand.NewPCG(2, 3))
		q := trial.Sequence{Effect: c.b - c.a}
		fixed := trial.FixedN(c.b-c.a, c.a*(1-c.a), c.b*(1-c.b), 0.05, 0.8)
		var ns []int64
		for range runs {
			var a, b trial.Sums
			for {
				a.Add(bernoulli(r, c.a), 0)
				b.Add(bernoulli(r, c.b), 0)
				if a.N >= 100 && !q.Interval(b.Mean().Minus(a.Mean())).Has(0) || a.N > 10*fixed {
					break
				}
			}
			ns = append(ns, a.N)
		}
		slices.Sort(ns)
		median := ns[len(ns)/2]
		t.Logf("%.3f -> %.3f: median n %d, fixed n %d, ratio %.3f", c.a, c.b, median, fixed, float64(median)/float64(fixed))
		if float64(median) > 1.1*float64(fixed) {
			t.Errorf("%.3f -> %.3f needs %d units, more than 1.1 times %d", c.a, c.b, median, fixed)
		}
	}
}

// TestIntervalIsTheTest: the interval leaves 0 out exactly when the evidence
// passes the bound.
func TestIntervalIsTheTest(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	for range 10_000 {
		q := trial.Sequence{Alpha: 0.001 + 0.2*r.Float64(), Effect: 0.001 + 0.1*r.Float64()}
		e := trial.Estimate{Value: 0.1 * r.NormFloat64(), Variance: 1e-6 + 1e-3*r.Float64()}
		if in, ev := q.Interval(e), q.Evidence(e); in.Has(0) != (ev <= 1/q.Alpha) {
			t.Fatalf("interval %v, evidence %v against %v", in, ev, 1/q.Alpha)
		}
	}
}

// TestShareAlarms: false alarms at every look, and how soon a wrong split is
// found.
func TestShareAlarms(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	first := func(shares []float64, real float64, most int64) int64 {
		counts := make([]int64, 2)
		for n := range most {
			if r.Float64() < real {
				counts[0]++
			} else {
				counts[1]++
			}
			if trial.ShareEvidence(counts, shares) > trial.ShareAlarm {
				return n + 1
			}
		}
		return 0
	}
	alarms := 0
	const experiments = 500
	for range experiments {
		if first([]float64{0.5, 0.5}, 0.5, 10_000) > 0 {
			alarms++
		}
	}
	t.Logf("false sample-ratio alarms: %.2f %%", 100*float64(alarms)/experiments)
	if float64(alarms) > 0.01*experiments {
		t.Errorf("%d of %d sound experiments raised the alarm, the bound is 1 %%", alarms, experiments)
	}
	for _, c := range []struct {
		real float64
		most int64
	}{{0.55, 2_000}, {0.52, 12_000}} {
		var ns []int64
		for range 60 {
			n := first([]float64{0.5, 0.5}, c.real, 40_000)
			if n == 0 {
				n = 40_000
			}
			ns = append(ns, n)
		}
		slices.Sort(ns)
		t.Logf("a split of %.2f is found after %d units (median)", c.real, ns[30])
		if ns[30] > c.most {
			t.Errorf("a split of %.2f is found after %d units, more than %d", c.real, ns[30], c.most)
		}
	}
	if !math.IsInf(trial.ShareEvidence([]int64{1, 1}, []float64{1, 0}), 1) {
		t.Error("a unit in an arm without a share raises no alarm")
	}
}

// TestAdjusted: a prediction with correlation .6 takes a third of the variance
// away, finds the same difference, and raises no more false alarms.
func TestAdjusted(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	draw := func(p float64, s *trial.Sums) {
		x := r.NormFloat64()
		s.Add(0.6*x+0.8*r.NormFloat64()+p, x)
	}
	var a, b trial.Sums
	for range 20_000 {
		draw(0, &a)
		draw(0.05, &b)
	}
	raw, less := b.Mean().Minus(a.Mean()), trial.Adjusted(b, a)
	if share := less.Variance / raw.Variance; math.Abs(share-0.64) > 0.02 {
		t.Errorf("the variance is %.3f of the raw one, not 1 - .36", share)
	}
	if z := (less.Value - 0.05) / math.Sqrt(less.Variance); math.Abs(z) > 3 {
		t.Errorf("the adjusted difference is %.4f, not .05", less.Value)
	}
	q := trial.Sequence{Effect: 0.05}
	alarms := 0
	for range runs {
		var a, b trial.Sums
		for range 4_000 {
			draw(0, &a)
			draw(0, &b)
			if a.N >= 100 && q.Evidence(trial.Adjusted(a, b)) >= 1/trial.Alpha {
				alarms++
				break
			}
		}
	}
	if alarms > runs*5/100 {
		t.Errorf("%d of %d adjusted comparisons raised a false alarm", alarms, runs)
	}
}

// TestRatio: the variance of a ratio is that of the ratios that are seen.
func TestRatio(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 6))
	var seen trial.Sums
	var said float64
	for range 2_000 {
		var s trial.Sums
		for range 300 {
			tries := 1 + r.IntN(3)
			s.Add(float64(tries)*(1+0.2*r.NormFloat64()), bernoulli(r, 0.7)+float64(tries-1)*0.5)
		}
		e := s.Ratio()
		said += e.Variance / 2_000
		seen.Add(e.Value, 0)
	}
	real := seen.YY / float64(seen.N-1)
	if math.Abs(said/real-1) > 0.1 {
		t.Errorf("the delta method says %.3g, the simulation %.3g", said, real)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	var whole, parts trial.Sums
	for range 7 {
		var part trial.Sums
		for range r.IntN(50) {
			y, x := 1e6+r.NormFloat64(), r.NormFloat64()
			whole.Add(y, x)
			part.Add(y, x)
		}
		parts.Merge(part)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-6*(1+math.Abs(a)) }
	if parts.N != whole.N || !near(parts.Y, whole.Y) || !near(parts.YY, whole.YY) || !near(parts.XX, whole.XX) || !near(parts.XY, whole.XY) {
		t.Errorf("merged %+v, whole %+v", parts, whole)
	}
}

// simulate runs an experiment of four arms with a guard each and looks after
// every ten units of an arm. It gives the first reading that ends it.
func simulate(r *rand.Rand, p trial.Plan, rates, harm []float64, most int) (trial.Reading, int) {
	arms := make([]trial.Counts, len(rates))
	for i := range arms {
		arms[i].Guards = make([]trial.Sums, 1)
	}
	var last trial.Reading
	for n := range most {
		for i := range arms {
			arms[i].Assigned++
			arms[i].Value.Add(bernoulli(r, rates[i]), 0)
			arms[i].Guards[0].Add(bernoulli(r, harm[i]), 0)
		}
		if n%10 != 9 {
			continue
		}
		if last = trial.Read(p, arms); last.Winner >= 0 || last.Arms[len(rates)-1].Stop {
			return last, n + 1
		}
	}
	return last, most
}

// TestWinner: four equal arms have a winner in 5 % of the experiments at most,
// a better one is found, and a harmful one is stopped.
func TestWinner(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 8))
	p := trial.Plan{Shares: []float64{0.25, 0.25, 0.25, 0.25}, Guards: []trial.Guard{{Name: "errors", Margin: 0.01}}}
	equal := []float64{0.8, 0.8, 0.8, 0.8}
	sound := []float64{0.02, 0.02, 0.02, 0.02}
	wrong, stopped := 0, 0
	for range 200 {
		got, _ := simulate(r, p, equal, sound, 4_000)
		if got.Winner >= 0 {
			wrong++
		}
		for _, a := range got.Arms {
			if a.Stop {
				stopped++
				break
			}
		}
	}
	t.Logf("of 200 experiments without a best arm %d had a winner, %d an arm stopped", wrong, stopped)
	if wrong > 10 || stopped > 10 {
		t.Errorf("of 200 experiments without a best arm %d had a winner, %d an arm stopped; the bound is 10", wrong, stopped)
	}
	right := 0
	for range 50 {
		got, _ := simulate(r, p, []float64{0.8, 0.8, 0.87, 0.8}, sound, 10_000)
		if got.Winner == 2 {
			right++
		} else if got.Winner >= 0 {
			t.Errorf("arm %d won, 2 is the best", got.Winner)
		}
	}
	if right < 45 {
		t.Errorf("the best arm was named in %d of 50 experiments", right)
	}
	for range 50 {
		got, n := simulate(r, p, equal, []float64{0.02, 0.02, 0.02, 0.10}, 10_000)
		if !got.Arms[3].Stop {
			t.Errorf("an arm with 10 %% errors instead of 2 %% ran for %d units", n)
		}
	}
}

// TestBrokenHidesTheResult: with a wrong split nothing is said of the arms.
func TestBrokenHidesTheResult(t *testing.T) {
	t.Parallel()
	arms := make([]trial.Counts, 2)
	for i := range arms {
		arms[i].Assigned = int64(3_000 + 600*i)
		for n := range 2_000 {
			arms[i].Value.Add(float64((n+i)%2), 0)
		}
	}
	got := trial.Read(trial.Plan{Shares: []float64{0.5, 0.5}}, arms)
	if !got.Broken || got.Arms != nil || got.Winner != -1 {
		t.Errorf("a split of 3,000 to 3,600 gave %+v", got)
	}
	arms[1].Assigned = 3_010
	if got := trial.Read(trial.Plan{Shares: []float64{0.5, 0.5}}, arms); got.Broken || len(got.Arms) != 2 {
		t.Errorf("a split of 3,000 to 3,010 gave %+v", got)
	}
}

// TestGuardSaysHarmless: with enough units an arm that does no harm is cleared.
func TestGuardSaysHarmless(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 9))
	arms := make([]trial.Counts, 2)
	for i := range arms {
		arms[i].Guards = make([]trial.Sums, 1)
		for range 20_000 {
			arms[i].Assigned++
			arms[i].Value.Add(bernoulli(r, 0.8), 0)
			arms[i].Guards[0].Add(bernoulli(r, 0.9), 0)
		}
	}
	p := trial.Plan{Shares: []float64{0.5, 0.5}, Guards: []trial.Guard{{Name: "valid", Margin: 0.02, More: true}}}
	if got := trial.Read(p, arms).Arms[1].Guards[0]; got != trial.Harmless {
		t.Errorf("the guard says %s", got)
	}
}

// TestWeighted: a bandit's raw means are biased; the weighted ones are not, and
// their intervals hold at every look.
func TestWeighted(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(10, 10))
	rates := []float64{0.6, 0.6, 0.65}
	const experiments = 300
	var raw, weighted trial.Sums
	missed := 0
	q := trial.Sequence{Effect: 0.05}
	for range experiments {
		w := trial.NewWeighted(3)
		plain := make([]trial.Sums, 3)
		shares := []float64{1. / 3, 1. / 3, 1. / 3}
		miss := false
		for n := range 1_500 {
			arm, u := 0, r.Float64()
			for arm < 2 && u >= shares[arm] {
				u -= shares[arm]
				arm++
			}
			y := bernoulli(r, rates[arm])
			predicted := make([]float64, 3)
			for i := range plain {
				predicted[i] = 0.5
				if plain[i].N > 0 {
					predicted[i] = plain[i].Y
				}
			}
			w.Add(arm, shares, predicted, y)
			plain[arm].Add(y, 0)
			if n%50 == 49 {
				est := make([]trial.Estimate, 3)
				for i := range est {
					est[i] = plain[i].Mean()
				}
				shares = trial.Allocate(est, false, 0.1)
			}
			if n >= 200 && !q.Interval(w.Difference(2, 0)).Has(0.05) {
				miss = true
			}
		}
		if miss {
			missed++
		}
		raw.Add(plain[0].Y-rates[0], 0)
		weighted.Add(w.Mean(0).Value-rates[0], 0)
	}
	t.Logf("bias of the raw mean %.4f, of the weighted one %.4f; intervals that ever missed: %.1f %%", raw.Y, weighted.Y, 100*float64(missed)/experiments)
	z := func(s trial.Sums) float64 { e := s.Mean(); return e.Value / math.Sqrt(e.Variance) }
	if z(raw) > -3 {
		t.Errorf("the raw mean shows no bias (z %.1f): the simulation proves nothing", z(raw))
	}
	if math.Abs(z(weighted)) > 3 {
		t.Errorf("the weighted mean is biased by %.4f (z %.1f)", weighted.Y, z(weighted))
	}
	if missed > experiments*5/100 {
		t.Errorf("%d of %d intervals missed the truth at some time", missed, experiments)
	}
}

func TestAllocate(t *testing.T) {
	t.Parallel()
	same := trial.Estimate{Value: 0.5, Variance: 1e-4}
	better := trial.Estimate{Value: 0.6, Variance: 1e-4}
	unknown := trial.Sums{}.Mean()
	for _, c := range []struct {
		name string
		arms []trial.Estimate
		less bool
		want []float64
	}{
		{"equal", []trial.Estimate{same, same}, false, []float64{0.5, 0.5}},
		{"one is better", []trial.Estimate{same, better}, false, []float64{0.1, 0.9}},
		{"less is better", []trial.Estimate{same, better}, true, []float64{0.9, 0.1}},
		{"one unknown", []trial.Estimate{same, unknown, better}, false, []float64{0.1, 0.1 + 0.7/3, 0.1 + 0.7*2/3}},
		{"all unknown", []trial.Estimate{unknown, unknown}, false, []float64{0.5, 0.5}},
	} {
		got := trial.Allocate(c.arms, c.less, 0.1)
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-3 {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
}
