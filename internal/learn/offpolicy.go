package learn

import "math"

// Record is a choice and what became of it: what other policies are judged by.
type Record struct {
	Choice
	Score  float32
	Weight float32
}

// Policy says which rung a policy would have chosen for a record; one outside
// the ladder leaves the record out.
type Policy func(*Record) int

// Estimate is a mean with its standard error. N is how many records it rests
// on.
type Estimate struct {
	Value, Error float64
	N            int
}

// clip bounds the weight of a record: a chance below 1/20 is taken as that.
const clip = 20

// score is the doubly robust score of a rung for a record: what was predicted,
// corrected by what was seen where it was the rung that answered (Dudík,
// Langford, Li, arXiv 1103.4601). Its mean is right when the chances are,
// whatever the predictions.
func (r *Record) score(rung int) float64 {
	s := float64(r.Success[rung])
	if rung == r.Rung {
		s += (float64(r.Score) - s) * min(1/max(float64(r.Chance[rung]), 1e-9), clip)
	}
	return s
}

// Value estimates how a policy would have done on the requests of a log.
func Value(log []Record, p Policy) Estimate {
	return weigh(log, func(r *Record) (float64, bool) {
		rung := p(r)
		if rung < 0 || rung >= MostRungs {
			return 0, false
		}
		return r.score(rung), true
	})
}

// Advantage estimates how much better policy p would have done than share times
// policy q, record by record: what both have in common is no noise.
func Advantage(log []Record, p, q Policy, share float64) Estimate {
	return weigh(log, func(r *Record) (float64, bool) {
		a, b := p(r), q(r)
		if a < 0 || a >= MostRungs || b < 0 || b >= MostRungs {
			return 0, false
		}
		return r.score(a) - share*r.score(b), true
	})
}

// Cost gives what a policy was expected to cost on the requests of a log.
func Cost(log []Record, p Policy) Estimate {
	return weigh(log, func(r *Record) (float64, bool) {
		rung := p(r)
		if rung < 0 || rung >= MostRungs {
			return 0, false
		}
		return float64(r.Cost[rung]), true
	})
}

func weigh(log []Record, f func(*Record) (float64, bool)) Estimate {
	var n, w, mean, m2 float64
	for i := range log {
		v, ok := f(&log[i])
		if !ok {
			continue
		}
		x := float64(log[i].Weight)
		n++
		w += x
		d := v - mean
		mean += d * x / w
		m2 += x * d * (v - mean)
	}
	if n < 2 || w == 0 {
		return Estimate{Value: mean, Error: math.Inf(1), N: int(n)}
	}
	return Estimate{mean, math.Sqrt(m2 / w / (n - 1)), int(n)}
}

// Satisfice is the policy that takes the cheapest rung expected to succeed
// within delta of the best one; of the usable rungs.
func Satisfice(rungs int, delta float64) Policy {
	return func(r *Record) int {
		best := float32(-1)
		for i := range rungs {
			if r.Cost[i] >= 0 {
				best = max(best, r.Success[i])
			}
		}
		pick := -1
		for i := range rungs {
			if r.Cost[i] >= 0 && r.Success[i] >= best-float32(delta) && (pick < 0 || r.Cost[i] < r.Cost[pick]) {
				pick = i
			}
		}
		return pick
	}
}

// guard holds a quality floor: from the choices logged before they were learned
// from it estimates how each Delta would have done, and never from what the
// model says of itself, which is hopeful (a threshold chosen so promised 95 %
// and gave 88 to 92 on real labels).
type guard struct {
	log   []Record
	next  int
	fresh int // since Delta was last found
}

const (
	mostRecords = 2000
	// often is after how many labels Delta is found again.
	often = 100
	// strongest as a Delta lets only the best rung answer.
	strongest = -1
)

// deltas are those tried, from the most to the least that is given up.
var deltas = [...]float64{1, 0.5, 0.35, 0.25, 0.2, 0.16, 0.13, 0.1, 0.08, 0.06, 0.045, 0.03, 0.02, 0.01, 0}

func (g *guard) add(o *Outcome, score, weight float64) bool {
	r := Record{*o.Choice, float32(score), float32(weight)}
	r.Rung = o.Rung
	if len(g.log) < mostRecords {
		g.log = append(g.log, r)
	} else {
		g.log[g.next] = r
		g.next = (g.next + 1) % mostRecords
	}
	g.fresh++
	if g.fresh < often || len(g.log) < 2*often {
		return false
	}
	g.fresh = 0
	return true
}

func (g *guard) reset() { g.log, g.next, g.fresh = g.log[:0], 0, 0 }

// delta gives the greatest Delta that keeps the floor, at most one step more
// than now, so that what a step brings is seen before the next: the estimate less
// surety standard errors, its own and that of a window of requests, which varies
// by itself where another rung than the best answers.
func (g *guard) delta(floor, now float64, best int) float64 {
	always := func(r *Record) int {
		if r.Cost[best] >= 0 {
			return best
		}
		return -1
	}
	for i, d := range deltas {
		if i+1 < len(deltas) && deltas[i+1] > now {
			continue
		}
		policy := Satisfice(MostRungs, d)
		if !seen(g.log, policy, best) {
			continue
		}
		e := Advantage(g.log, policy, always, floor)
		if e.Value-surety*(e.Error+math.Sqrt(varies(g.log, policy, best)/window)) >= 0 {
			return d
		}
	}
	return strongest
}

const (
	// window is how many requests the floor is to hold in.
	window = 1500
	surety = 2
	// enough is how many labels there must be of what a policy would do otherwise
	// than the best rung: of fewer the standard error itself is not to be trusted.
	enough = 15
)

// seen reports whether a policy's departures from the best rung were tried
// enough, or whether it has none.
func seen(log []Record, p Policy, best int) bool {
	differ, tried := 0, 0
	for i := range log {
		if rung := p(&log[i]); rung >= 0 && rung != best {
			differ++
			if rung == log[i].Rung {
				tried++
			}
		}
	}
	return differ == 0 || tried >= enough
}

// varies is the variance, of one request, of the difference between what a
// policy and the best rung get: two outcomes as different as chance makes them
// wherever they are not the same rung's.
func varies(log []Record, p Policy, best int) float64 {
	var v float64
	for i := range log {
		if rung := p(&log[i]); rung >= 0 && rung < MostRungs && rung != best {
			a, b := float64(log[i].Success[rung]), float64(log[i].Success[best])
			v += a*(1-a) + b*(1-b)
		}
	}
	return v / float64(max(len(log), 1))
}
