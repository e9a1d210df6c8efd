package catalog

import (
	"math"
	"math/bits"
	"time"

	"headrace/internal/llm"
)

// Rate is a price per million tokens in nanodollars. Its zero value is an
// unknown price, which is not the same as a price of nothing.
type Rate struct {
	PerMillion int64
	Known      bool
}

// Dollars makes a known Rate from US dollars per million tokens.
func Dollars(usd float64) Rate { return Rate{int64(math.Round(usd * 1e9)), true} }

// USD is the rate in US dollars per million tokens; 0 when it is unknown.
func (r Rate) USD() float64 { return float64(r.PerMillion) / 1e9 }

// Rates are the prices of the token buckets of llm.Usage.
type Rates struct {
	Input, Output, CacheRead, CacheWrite5m, CacheWrite1h Rate
}

// Step replaces the rates of a whole request under a condition.
type Step struct {
	// Over is the number of prompt tokens (cached ones count) that a prompt must
	// exceed; 0 means any prompt.
	Over int64
	// When limits the step to hours of the week; the zero value is always.
	When Hours
	Rates
}

// Price is what a model costs from a date on.
type Price struct {
	// Since is when the price came into force (UTC); zero means always.
	Since time.Time
	Rates
	// Steps are conditions under which other rates hold; the last that applies
	// wins.
	Steps []Step
	// Batch is the factor of batch prices in thousandths (500 is half);
	// 0 means that there is no known batch price.
	Batch int64
}

// At returns the rates that hold for a prompt of this many tokens at a time.
func (p *Price) At(prompt int64, at time.Time) Rates {
	r := p.Rates
	for i := range p.Steps {
		if s := &p.Steps[i]; prompt > s.Over && s.When.Has(at) {
			r = s.Rates
			if !r.Input.Known {
				r.Input = p.Input
			}
			if !r.Output.Known {
				r.Output = p.Output
			}
		}
	}
	return r
}

// Cost returns what the usage costs in nanodollars, rounded up once over the
// sum of the buckets, and whether it can be known: false when tokens were used
// whose rate is unknown. The prompt's size, cached tokens included, picks the
// step. An unknown cache-write rate of one hour falls back to that of five
// minutes, an unknown cache rate to the input rate: vendors that do not list a
// cache price charge cached tokens as input. Negative counts are taken as 0; the
// sum saturates at the largest int64. batch asks for the batch price, which is
// unknown where the factor is.
func (p *Price) Cost(u llm.Usage, at time.Time, batch bool) (cost llm.Nanodollars, priced bool) {
	return p.cost(u, at, batch, 1000)
}

// cost is Cost with a further factor, in thousandths.
func (p *Price) cost(u llm.Usage, at time.Time, batch bool, factor int64) (cost llm.Nanodollars, priced bool) {
	if batch {
		if factor = factor * p.Batch / 1000; factor == 0 {
			return 0, false
		}
	}
	in, read := max(u.Input, 0), max(u.CacheRead, 0)
	w5, w1, out := max(u.CacheWrite5m, 0), max(u.CacheWrite1h, 0), max(u.Output, 0)
	r := p.At(saturate(saturate(in, read), saturate(w5, w1)), at)
	if !r.CacheWrite5m.Known {
		r.CacheWrite5m = r.Input
	}
	if !r.CacheWrite1h.Known {
		r.CacheWrite1h = r.CacheWrite5m
	}
	if !r.CacheRead.Known {
		r.CacheRead = r.Input
	}
	var s sum
	ok := s.add(in, r.Input) && s.add(read, r.CacheRead) && s.add(w5, r.CacheWrite5m) &&
		s.add(w1, r.CacheWrite1h) && s.add(out, r.Output)
	if !ok || !r.Input.Known && !r.Output.Known {
		return 0, false
	}
	return s.nanodollars(factor), true
}

// saturate adds two counts that are not negative.
func saturate(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// sum is a sum of tokens times rates in 128 bits: five products of 63-bit
// numbers fit.
type sum struct{ hi, lo uint64 }

// add adds a bucket; false means that tokens were used at an unknown rate.
func (s *sum) add(tokens int64, r Rate) bool {
	if tokens == 0 {
		return true
	}
	if !r.Known || r.PerMillion < 0 {
		return false
	}
	hi, lo := bits.Mul64(uint64(tokens), uint64(r.PerMillion))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
	return true
}

// nanodollars divides by a million tokens and by the thousandths of the
// factor, rounding up.
func (s *sum) nanodollars(factor int64) llm.Nanodollars {
	const million = 1_000_000
	by := uint64(million)
	hi, lo := s.hi, s.lo
	if factor != 1000 {
		// sum*factor/1000 in 128 bits; the high word is small enough for every
		// sum that does not saturate anyway.
		h2, h := bits.Mul64(hi, uint64(factor))
		if h2 != 0 {
			return math.MaxInt64
		}
		var c uint64
		var l uint64
		c, l = bits.Mul64(lo, uint64(factor))
		h, c = bits.Add64(h, c, 0)
		if c != 0 {
			return math.MaxInt64
		}
		hi, lo, by = h, l, million*1000
	}
	if hi >= by {
		return math.MaxInt64
	}
	q, rem := bits.Div64(hi, lo, by)
	if rem != 0 && q < math.MaxUint64 {
		q++
	}
	if q > math.MaxInt64 {
		return math.MaxInt64
	}
	return llm.Nanodollars(q)
}

// Hours is a set of hours of the week in UTC. The zero value is all of them.
type Hours struct {
	// day[d] has bit h set when hour h of weekday d belongs to the set.
	day [7]uint32
}

// Has reports whether the time falls in the set.
func (h Hours) Has(at time.Time) bool {
	if h == (Hours{}) {
		return true
	}
	at = at.UTC()
	return h.day[at.Weekday()]&(1<<at.Hour()) != 0
}
