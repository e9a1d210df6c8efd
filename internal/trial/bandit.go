package trial

import "math"

// Weighted estimates the arms of an experiment whose shares move with what it
// finds (a bandit), by augmented inverse propensity weighting: raw means are
// biased there, because an arm that began badly is asked no more. Its zero
// value is not ready; use NewWeighted. It is not safe for concurrent use.
type Weighted struct {
	// Arms are of the scores of each arm over all units, Pairs of their
	// differences, row by row. They are all that is to be stored.
	Arms, Pairs []Sums
}

// NewWeighted makes one for k arms.
func NewWeighted(k int) *Weighted {
	return &Weighted{Arms: make([]Sums, k), Pairs: make([]Sums, k*k)}
}

// leastChance bounds the weight of one unit: a chance below it is taken as it,
// which favours the prediction over the outcome. Floor in Allocate ought to be
// above it.
const leastChance = 0.02

// Add adds one unit: which arm it got, what each arm's chance of it was at that
// time, what was predicted for each arm before (nil: 0), and how it went.
func (w *Weighted) Add(arm int, chances, predicted []float64, y float64) {
	w.each(arm, chances, predicted, y, (*Sums).Add)
}

// Remove takes a unit out again that was added, as it was added.
func (w *Weighted) Remove(arm int, chances, predicted []float64, y float64) {
	w.each(arm, chances, predicted, y, (*Sums).Remove)
}

func (w *Weighted) each(arm int, chances, predicted []float64, y float64, do func(s *Sums, y, x float64)) {
	var room [16]float64
	k := len(w.Arms)
	score := append(room[:0], make([]float64, k)...)
	for i := range k {
		var m float64
		if predicted != nil {
			m = predicted[i]
		}
		score[i] = m
		if i == arm {
			score[i] += (y - m) / max(chances[i], leastChance)
		}
	}
	for i := range k {
		do(&w.Arms[i], score[i], 0)
		for j := range i {
			do(&w.Pairs[i*k+j], score[i]-score[j], 0)
		}
	}
}

// Mean estimates what the arm gives.
func (w *Weighted) Mean(arm int) Estimate { return plain(w.Arms[arm]) }

// Difference estimates what arm i gives more than arm j.
func (w *Weighted) Difference(i, j int) Estimate {
	k := len(w.Arms)
	switch {
	case i == j:
		return Estimate{}
	case i > j:
		return plain(w.Pairs[i*k+j])
	}
	e := plain(w.Pairs[j*k+i])
	e.Value = -e.Value
	return e
}

// plain is the mean without what Mean does for rates: scores are none.
func plain(s Sums) Estimate {
	s.Binary = false
	return s.Mean()
}

// Allocate gives each arm the chance that it is the best, as far as the
// estimates say (normal, independent), and none less than floor. An arm of
// which nothing is known gets the share of an equal split.
func Allocate(arms []Estimate, less bool, floor float64) []float64 {
	k := len(arms)
	shares := make([]float64, k)
	known, sum := 0, 0.0
	for i, e := range arms {
		if math.IsInf(e.Variance, 1) {
			shares[i] = 1 / float64(k)
			continue
		}
		known++
		shares[i] = best(arms, i, less)
		sum += shares[i]
	}
	left := float64(known) / float64(k)
	for i, e := range arms {
		if !math.IsInf(e.Variance, 1) {
			if sum > 0 {
				shares[i] *= left / sum
			} else {
				shares[i] = 1 / float64(k)
			}
		}
	}
	floor = min(floor, 1/float64(k))
	for i := range shares {
		shares[i] = floor + (1-floor*float64(k))*shares[i]
	}
	return shares
}

// best is the chance that arm i is the best of the known ones: the integral of
// its density times the others' distribution functions, by midpoints over six
// standard deviations.
func best(arms []Estimate, i int, less bool) float64 {
	const steps = 240
	sign := 1.0
	if less {
		sign = -1
	}
	sd := math.Sqrt(max(arms[i].Variance, 1e-18))
	var sum float64
	for s := range steps {
		z := -6 + 12*(float64(s)+0.5)/steps
		at := sign*arms[i].Value + sd*z
		p := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) * 12 / steps
		for j, o := range arms {
			if j == i || math.IsInf(o.Variance, 1) {
				continue
			}
			p *= 0.5 * math.Erfc(-(at-sign*o.Value)/math.Sqrt(2*max(o.Variance, 1e-18)))
		}
		sum += p
	}
	return sum
}
