// Package trial knows the statistics of an experiment: what may be said of its
// arms at any time, however often it is looked at. It is pure: counts go in,
// intervals and verdicts come out.
//
// The unit of everything here is what was assigned: a user or a session, never
// a request inside one. Whoever counts adds one observation for each unit.
package trial

import "math"

// Sums is what is kept of the observations of one arm: a value Y for each unit
// and a second number X beside it, which is either a prediction of Y made
// before the unit was assigned (Adjusted) or the denominator of a ratio
// (Ratio). Its zero value is empty. Sums of parts add up (Merge).
//
// They are kept as mean and squared distances (Welford), so that a large mean
// costs no digits.
type Sums struct {
	N          int64
	Y, X       float64 // means
	YY, XX, XY float64 // sums of products of distances from the means
	Binary     bool    // every Y was 0 or 1
}

// Add adds one unit. X is 0 where there is none.
func (s *Sums) Add(y, x float64) {
	s.Binary = (s.Binary || s.N == 0) && (y == 0 || y == 1)
	s.N++
	n := float64(s.N)
	dy, dx := y-s.Y, x-s.X
	s.Y += dy / n
	s.X += dx / n
	s.YY += dy * (y - s.Y)
	s.XX += dx * (x - s.X)
	s.XY += dy * (x - s.X)
}

// Remove takes a unit out again that was added, as it was added: for a unit
// whose observation has grown. Binary stays as it is.
func (s *Sums) Remove(y, x float64) {
	if s.N <= 1 {
		*s = Sums{}
		return
	}
	n := float64(s.N)
	dy, dx := y-s.Y, x-s.X
	s.N--
	s.Y -= dy / (n - 1)
	s.X -= dx / (n - 1)
	s.YY = max(s.YY-dy*(y-s.Y), 0)
	s.XX = max(s.XX-dx*(x-s.X), 0)
	s.XY -= dx * (y - s.Y)
}

// Merge adds the units of another Sums.
func (s *Sums) Merge(o Sums) {
	if o.N == 0 {
		return
	}
	if s.N == 0 {
		*s = o
		return
	}
	a, b := float64(s.N), float64(o.N)
	dy, dx, w := o.Y-s.Y, o.X-s.X, a*b/(a+b)
	s.YY += o.YY + dy*dy*w
	s.XX += o.XX + dx*dx*w
	s.XY += o.XY + dy*dx*w
	s.Y += dy * b / (a + b)
	s.X += dx * b / (a + b)
	s.N += o.N
	s.Binary = s.Binary && o.Binary
}

// Estimate is a number with its uncertainty: Variance is that of Value itself,
// not of one observation. A Variance of +Inf says that nothing is known.
type Estimate struct{ Value, Variance float64 }

var unknown = Estimate{Variance: math.Inf(1)}

// Mean estimates the mean of Y. A rate is taken as if one success and one
// failure more had been seen for its variance only: a run without failures is
// not without doubt.
func (s Sums) Mean() Estimate {
	if s.N < 2 {
		return unknown
	}
	n := float64(s.N)
	if s.Binary {
		p := (s.Y*n + 1) / (n + 2)
		return Estimate{s.Y, p * (1 - p) / n}
	}
	return Estimate{s.Y, s.YY / (n - 1) / n}
}

// Ratio estimates the mean of Y over the mean of X, as in cost for each
// success, by the delta method.
func (s Sums) Ratio() Estimate {
	if s.N < 2 || s.X == 0 {
		return unknown
	}
	n, r := float64(s.N), s.Y/s.X
	v := (s.YY - 2*r*s.XY + r*r*s.XX) / (n - 1)
	return Estimate{r, v / (n * s.X * s.X)}
}

// Minus is the difference of two independent estimates.
func (e Estimate) Minus(o Estimate) Estimate {
	return Estimate{e.Value - o.Value, e.Variance + o.Variance}
}

// Adjusted estimates a's mean of Y less b's with what X foretold taken out
// (CUPED; Deng and others, WSDM 2013): Y - c(X - mean X), c = cov/var within
// the arms. X must have been known before the unit was assigned; then this
// estimates the same difference with a variance lower by the square of the
// correlation. Without any X it is the plain difference.
func Adjusted(a, b Sums) Estimate {
	plain := a.Mean().Minus(b.Mean())
	xx := a.XX + b.XX
	if a.N < 2 || b.N < 2 || xx <= 0 || math.IsInf(plain.Variance, 1) {
		return plain
	}
	c := (a.XY + b.XY) / xx
	left := func(s Sums) float64 {
		n := float64(s.N)
		if s.YY <= 0 {
			return s.Mean().Variance
		}
		rest := max(s.YY-2*c*s.XY+c*c*s.XX, 0) / s.YY
		return s.Mean().Variance * rest * (n - 1) / max(n-2, 1)
	}
	return Estimate{plain.Value - c*(a.X-b.X), left(a) + left(b)}
}

// Alpha is the share of false alarms that an empty Alpha stands for.
const Alpha = 0.05

// Sequence is an always-valid test and the interval that belongs to it: the
// chance that the truth is ever outside the interval, over all looks together,
// is at most Alpha. It is the mixture sequential probability ratio test with a
// normal mixture (Johari, Pekelis, Walsh, arXiv 1512.04922), which turned
// around is the asymptotic confidence sequence of Waudby-Smith and others
// (arXiv 2103.06476). Both are asymptotic; Least keeps the beginning out.
type Sequence struct {
	// Alpha is the error bound; 0: 0.05.
	Alpha float64
	// Effect is the size of difference at which the test is sharpest, in the
	// unit of the values: what would be worth having. It must be above 0.
	Effect float64
}

func (q Sequence) alpha() float64 {
	if q.Alpha == 0 {
		return Alpha
	}
	return q.Alpha
}

// Evidence is the likelihood ratio for any difference against none. It passes
// 1/Alpha with a chance of at most Alpha, ever, when there is none; its
// greatest value so far is the inverse of an always-valid p value.
func (q Sequence) Evidence(e Estimate) float64 {
	v, t := e.Variance, q.Effect*q.Effect
	if math.IsInf(v, 1) || v <= 0 || t <= 0 {
		return 1
	}
	return math.Sqrt(v/(v+t)) * math.Exp(t*e.Value*e.Value/(2*v*(v+t)))
}

// Above is the likelihood ratio for a difference greater than least against
// one of at most that: the mixture over the half of the normal above it.
func (q Sequence) Above(e Estimate, least float64) float64 {
	v, t := e.Variance, q.Effect*q.Effect
	if math.IsInf(v, 1) || v <= 0 || t <= 0 {
		return 1
	}
	d := e.Value - least
	z := d * q.Effect / math.Sqrt(v*(v+t))
	return 2 * math.Sqrt(v/(v+t)) * mills(z)
}

// mills is the normal distribution function of z times exp(z*z/2). Far below 0
// the factors are 0 and infinity, and their product is as the asymptote says.
func mills(z float64) float64 {
	if z < -20 {
		return (1 - 1/(z*z)) / (-z * math.Sqrt(2*math.Pi))
	}
	return math.Exp(z*z/2) * 0.5 * math.Erfc(-z/math.Sqrt2)
}

// Interval is a range of values that are not excluded.
type Interval struct{ Low, High float64 }

// Has reports whether the value is in the interval.
func (i Interval) Has(v float64) bool { return i.Low <= v && v <= i.High }

// Interval gives the values that the Sequence does not exclude; all of them
// where the variance is unknown or 0, which is no knowledge either.
func (q Sequence) Interval(e Estimate) Interval {
	v, t := e.Variance, q.Effect*q.Effect
	if math.IsInf(v, 1) || v <= 0 || t <= 0 {
		return Interval{math.Inf(-1), math.Inf(1)}
	}
	w := math.Sqrt(2 * v * (v + t) / t * math.Log(math.Sqrt((v+t)/v)/q.alpha()))
	return Interval{e.Value - w, e.Value + w}
}

// FixedN is how many units an arm needs when it is looked at once, at the end:
// to find the difference with this power where one observation has the
// variances va and vb. It is what looking is measured against.
func FixedN(difference, va, vb, alpha, power float64) int64 {
	z := normalQuantile(1-alpha/2) + normalQuantile(power)
	return int64(math.Ceil(z * z * (va + vb) / (difference * difference)))
}

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
