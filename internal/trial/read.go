package trial

import (
	"math"
	"slices"
)

// Plan is what was decided before an experiment began.
type Plan struct {
	// Shares are the planned shares of the arms, adding up to 1; arm 0 is the
	// control.
	Shares []float64
	// Alpha bounds the chance that the winner named is not the best arm, over
	// all arms and looks; 0: 0.05.
	Alpha float64
	// Effect is the difference worth having, in the unit of the value that
	// decides; 0: 0.03.
	Effect float64
	// Less says that a smaller value is better (cost, time).
	Less bool
	// Ratio says that the value is Y over X for the arm, such as cost for each
	// success; otherwise it is the mean of Y, adjusted by X.
	Ratio bool
	// Least is how many units each arm has before anything is said; 0: 100.
	Least int64
	// Guards are the values that an arm must not spoil.
	Guards []Guard
	// Shared is the evidence of units that were given under other shares than
	// these and are not in Counts.Assigned; 0 means none. ShareEvidence of each
	// set of shares is to be multiplied.
	Shared float64
	// Weighted has the value of each arm where the shares move with what is found;
	// then Counts.Value says only how many units there are. Nil: Counts.Value it
	// is.
	Weighted *Weighted
	// Out are arms that are given to nobody any more: they do not win and need not
	// be beaten. Nil: all are in.
	Out []bool
}

// Guard is a value that an arm may not make worse than the control by more
// than Margin.
type Guard struct {
	Name string
	// Margin is how much worse is borne, in the unit of the value.
	Margin float64
	// Relative says that Margin is a share of the control's value; Absolute, that
	// it is a bound of the value itself, whatever the control does.
	Relative, Absolute bool
	// Effect is the harm at which the guard is sharpest, beyond Margin; 0: 0.03.
	Effect float64
	// More says that more is better; otherwise less is (errors, cost, time).
	More bool
}

// Verdict is what a guard says of an arm.
type Verdict string

// The verdicts.
const (
	// Unsure: neither can be said yet.
	Unsure Verdict = "unsure"
	// Harmful: the arm is worse than borne. It is to be stopped.
	Harmful Verdict = "harmful"
	// Harmless: the arm is not worse than borne.
	Harmless Verdict = "harmless"
)

// Counts is what was seen of one arm.
type Counts struct {
	// Assigned are the units given to the arm, whatever became of them.
	Assigned int64
	// Value decides; Guards are in the order of Plan.Guards.
	Value  Sums
	Guards []Sums
}

// ArmReading is what may be said of an arm.
type ArmReading struct {
	Value Estimate
	// Against is the difference to the control, Within its always-valid
	// interval at the error bound of the whole experiment.
	Against Estimate
	Within  Interval
	// Guards are the verdicts in the order of Plan.Guards.
	Guards []Verdict
	// Stop says that some guard found harm.
	Stop bool
}

// Reading is what may be said of an experiment now.
type Reading struct {
	// Broken says that units did not come to the arms as planned: whatever is
	// measured says nothing, and Arms is empty.
	Broken bool
	// Shares is the evidence for that; see ShareAlarm.
	Shares float64
	Arms   []ArmReading
	// Winner is the arm that beats every other and that no guard stopped, or
	// -1. Error bounds the chance that it is not the best.
	Winner int
	Error  float64
}

// Read says what may be said of an experiment. It may be asked at any time and
// as often as one likes.
//
// Each pair of arms is tested at Alpha/(arms-1): a wrong winner must beat the
// best arm, so the bounds of those pairs add up to at most Alpha.
func Read(p Plan, arms []Counts) Reading {
	if p.Alpha == 0 {
		p.Alpha = Alpha
	}
	if p.Effect == 0 {
		p.Effect = 0.03
	}
	if p.Least == 0 {
		p.Least = 100
	}
	r := Reading{Winner: -1, Error: p.Alpha}
	counts := make([]int64, len(arms))
	for i := range arms {
		counts[i] = arms[i].Assigned
	}
	r.Shares = ShareEvidence(counts, p.Shares)
	if p.Shared > 0 {
		r.Shares *= p.Shared
	}
	if r.Shares > ShareAlarm {
		r.Broken = true
		return r
	}
	pairs := float64(max(len(arms)-1, 1))
	q := Sequence{Alpha: p.Alpha / pairs, Effect: p.Effect}
	r.Arms = make([]ArmReading, len(arms))
	for i := range arms {
		a := &r.Arms[i]
		a.Value = p.value(arms, i)
		a.Against, a.Within = unknown, Interval{math.Inf(-1), math.Inf(1)}
		if i > 0 && p.ready(arms[0], arms[i]) {
			a.Against = p.difference(arms, i, 0)
			a.Within = q.Interval(a.Against)
		}
		a.Guards = p.guards(arms, i)
		a.Stop = slices.Contains(a.Guards, Harmful)
	}
	for i := range arms {
		if !r.Arms[i].Stop && !p.out(i) && p.beatsAll(q, arms, i) {
			r.Winner = i
		}
	}
	return r
}

func (p *Plan) ready(a, b Counts) bool { return a.Value.N >= p.Least && b.Value.N >= p.Least }

func (p *Plan) value(arms []Counts, i int) Estimate {
	switch {
	case p.Weighted != nil:
		return p.Weighted.Mean(i)
	case p.Ratio:
		return arms[i].Value.Ratio()
	}
	return arms[i].Value.Mean()
}

func (p *Plan) difference(arms []Counts, i, j int) Estimate {
	switch {
	case p.Weighted != nil:
		return p.Weighted.Difference(i, j)
	case p.Ratio:
		return arms[i].Value.Ratio().Minus(arms[j].Value.Ratio())
	}
	return Adjusted(arms[i].Value, arms[j].Value)
}

func (p *Plan) out(i int) bool { return i < len(p.Out) && p.Out[i] }

// beatsAll reports whether the interval against every other arm leaves no
// doubt. Arms that a guard has just found harmful still count, those that are out
// do not.
func (p *Plan) beatsAll(q Sequence, arms []Counts, i int) bool {
	beaten := 0
	for j := range arms {
		if j == i || p.out(j) {
			continue
		}
		beaten++
		if !p.ready(arms[i], arms[j]) {
			return false
		}
		in := q.Interval(p.difference(arms, i, j))
		if p.Less && in.High >= 0 || !p.Less && in.Low <= 0 {
			return false
		}
	}
	return beaten > 0
}

// guards gives the verdicts on an arm. Alpha is split over all guards of all
// arms, so that no sound arm is stopped with a chance above it.
func (p *Plan) guards(arms []Counts, i int) []Verdict {
	verdicts := make([]Verdict, len(p.Guards))
	tests := float64(max(len(p.Guards)*(len(arms)-1), 1))
	for g, guard := range p.Guards {
		verdicts[g] = Unsure
		if i == 0 {
			verdicts[g] = Harmless // the control is what is compared with
			continue
		}
		if g >= len(arms[i].Guards) || g >= len(arms[0].Guards) {
			continue
		}
		a, c := arms[i].Guards[g], arms[0].Guards[g]
		if a.N < p.Least || c.N < p.Least && !guard.Absolute {
			continue
		}
		e, margin := guard.harm(a, c)
		q := Sequence{Effect: guard.Effect}
		if q.Effect == 0 {
			q.Effect = 0.03
		}
		limit := tests / p.Alpha
		turned := Estimate{-e.Value, e.Variance}
		switch {
		case q.Above(e, margin) >= limit:
			verdicts[g] = Harmful
		case q.Above(turned, -margin) >= limit:
			verdicts[g] = Harmless
		}
	}
	return verdicts
}

// harm is how much worse the arm is than the control, and how much of that is
// borne.
func (g *Guard) harm(a, c Sums) (e Estimate, margin float64) {
	sign := 1.0
	if g.More {
		sign = -1
	}
	mean := a.Mean()
	mean.Value *= sign
	switch {
	case g.Absolute:
		return mean, sign * g.Margin
	case g.Relative:
		factor := 1 + sign*g.Margin
		control := c.Mean()
		return mean.Minus(Estimate{sign * factor * control.Value, factor * factor * control.Variance}), 0
	}
	control := c.Mean()
	control.Value *= sign
	return mean.Minus(control), g.Margin
}
