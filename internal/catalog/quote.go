package catalog

import (
	"math"
	"math/bits"
	"time"

	"headrace/internal/llm"
)

// Quote is what a request can cost at most: so much for its prompt, and so
// much for each token of its answer.
type Quote struct {
	Prompt llm.Nanodollars
	Output Rate
}

// Quote returns the worst case of a prompt of about this many tokens at a
// time: the dearest step that it can fall under, and the dearest bucket that it
// can fall into. Prompts are taken to be written to the cache where that costs
// more than reading them fresh, for an hour only when hour is set. It is false
// when a rate that may be needed is unknown; that of the output may be when
// output is unset.
func (p *Price) Quote(prompt int64, at time.Time, hour, output bool) (Quote, bool) {
	prompt = max(prompt, 0)
	q, ok := p.quote(p.Rates, prompt, hour, output)
	if !ok {
		return Quote{}, false
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if prompt <= s.Over || !s.When.Has(at) {
			continue
		}
		r := s.Rates
		if !r.Input.Known {
			r.Input = p.Input
		}
		if !r.Output.Known {
			r.Output = p.Output
		}
		dear, ok := p.quote(r, prompt, hour, output)
		if !ok {
			return Quote{}, false
		}
		q.Prompt = max(q.Prompt, dear.Prompt)
		if dear.Output.PerMillion > q.Output.PerMillion {
			q.Output = dear.Output
		}
	}
	return q, true
}

func (*Price) quote(r Rates, prompt int64, hour, output bool) (Quote, bool) {
	if !r.Input.Known || output && !r.Output.Known {
		return Quote{}, false
	}
	top := max(r.Input.PerMillion, r.CacheRead.PerMillion, r.CacheWrite5m.PerMillion)
	if hour {
		top = max(top, r.CacheWrite1h.PerMillion)
	}
	var s sum
	s.add(prompt, Rate{top, true})
	return Quote{s.nanodollars(1000), r.Output}, true
}

// Times is the quote of a tier that costs more or less by a factor in
// thousandths (Catalog.TierFactor), rounded up.
func (q Quote) Times(factor int64) Quote {
	if factor == 1000 {
		return q
	}
	var s sum
	s.add(1_000_000, Rate{int64(q.Prompt), true})
	prompt := s.nanodollars(factor)
	s = sum{}
	s.add(1_000_000, Rate{q.Output.PerMillion, true})
	return Quote{prompt, Rate{int64(s.nanodollars(factor)), q.Output.Known}}
}

// Cost is the worst case with an answer of this many tokens.
func (q Quote) Cost(output int64) llm.Nanodollars {
	var s sum
	s.add(max(output, 0), Rate{q.Output.PerMillion, true})
	return llm.Nanodollars(saturate(int64(q.Prompt), int64(s.nanodollars(1000))))
}

// Buys is the largest answer in tokens whose Cost is not over the money; it is
// negative when that does not even pay for the prompt.
func (q Quote) Buys(money llm.Nanodollars) int64 {
	left := money - q.Prompt
	switch {
	case left < 0:
		return -1
	case q.Output.PerMillion <= 0:
		return math.MaxInt64
	}
	hi, lo := bits.Mul64(uint64(left), 1_000_000)
	if hi >= uint64(q.Output.PerMillion) {
		return math.MaxInt64
	}
	n, _ := bits.Div64(hi, lo, uint64(q.Output.PerMillion))
	return int64(min(n, math.MaxInt64))
}

// Quote is Price.Quote of a model at a provider's price in force.
func (c *Catalog) Quote(provider, model string, prompt int64, at time.Time, hour, output bool) (Quote, bool) {
	p, ok := c.PriceAt(provider, model, at)
	if !ok {
		return Quote{}, false
	}
	return p.Quote(prompt, at, hour, output)
}
