package catalog

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"headrace/internal/llm"
)

// Whatever a request of at most so many tokens turns out to be, it costs no
// more than its quote.
func TestQuoteIsTheWorstCase(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	rate := rapid.Custom(func(r *rapid.T) Rate {
		if rapid.IntRange(0, 3).Draw(r, "unknown") == 0 {
			return Rate{}
		}
		return Rate{rapid.Int64Range(0, 100e9).Draw(r, "rate"), true}
	})
	rates := rapid.Custom(func(r *rapid.T) Rates {
		return Rates{rate.Draw(r, "in"), rate.Draw(r, "out"), rate.Draw(r, "read"), rate.Draw(r, "write"), rate.Draw(r, "write1h")}
	})
	rapid.Check(t, func(r *rapid.T) {
		p := Price{Rates: rates.Draw(r, "rates")}
		for range rapid.IntRange(0, 2).Draw(r, "steps") {
			p.Steps = append(p.Steps, Step{Over: rapid.Int64Range(0, 500).Draw(r, "over"), Rates: rates.Draw(r, "step")})
		}
		prompt, output := rapid.Int64Range(0, 1000).Draw(r, "prompt"), rapid.Int64Range(0, 1000).Draw(r, "output")
		q, ok := p.Quote(prompt, at, true, true)
		if !ok {
			return
		}
		var u llm.Usage
		left := rapid.Int64Range(0, prompt).Draw(r, "real")
		for _, n := range []*int64{&u.Input, &u.CacheRead, &u.CacheWrite5m} {
			*n = rapid.Int64Range(0, left).Draw(r, "part")
			left -= *n
		}
		u.CacheWrite1h, u.Output = left, rapid.Int64Range(0, output).Draw(r, "answer")
		cost, priced := p.Cost(u, at, false)
		if priced && cost > q.Cost(output) {
			r.Fatalf("%+v of %+v costs %d, quoted %d", u, p, cost, q.Cost(output))
		}
		money := llm.Nanodollars(rapid.Int64Range(0, 1e12).Draw(r, "money"))
		switch n := q.Buys(money); {
		case n < 0 && q.Prompt <= money:
			r.Fatalf("%d do not buy a prompt of %d", money, q.Prompt)
		case n >= 0 && n < math.MaxInt64/2 && (q.Cost(n) > money || q.Cost(n+2) <= money):
			r.Fatalf("%d buy %d tokens: they cost %d, two more %d", money, n, q.Cost(n), q.Cost(n+2))
		}
	})
	unknown := Price{Rates: Rates{Input: Dollars(1)}}
	if _, ok := unknown.Quote(1, at, false, true); ok {
		t.Error("an unknown output price is quoted")
	}
	if _, ok := unknown.Quote(1, at, false, false); !ok {
		t.Error("without an answer it need not be known")
	}
}
