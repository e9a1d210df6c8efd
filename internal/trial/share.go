package trial

import "math"

// ShareAlarm is the evidence above which counts no longer fit the planned
// shares. By Ville's inequality a sound assignment passes it in one experiment
// of a hundred at most, however often it is looked at.
const ShareAlarm = 100

// concentration is how near to the plan the alternative is put: with a hundred
// times the shares 52 to 48 is found after about 7,400 units.
const concentration = 100

// ShareEvidence is the Bayes factor of other shares against the planned ones
// (sequential sample-ratio test; Lindon and Malek, arXiv 2011.03567): counts
// are the units of each arm, shares what they should be, adding up to 1. An
// arm that was planned no share and got one gives +Inf.
func ShareEvidence(counts []int64, shares []float64) float64 {
	var n, b float64
	for i, c := range counts {
		if c == 0 {
			continue
		}
		if shares[i] <= 0 {
			return math.Inf(1)
		}
		a, k := concentration*shares[i], float64(c)
		n += k
		b += lgamma(a+k) - lgamma(a) - k*math.Log(shares[i])
	}
	b += lgamma(concentration) - lgamma(concentration+n)
	return math.Exp(b)
}

func lgamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}
