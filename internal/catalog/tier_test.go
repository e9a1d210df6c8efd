package catalog

import (
	"math/big"
	"testing"
	"time"

	"headrace/internal/llm"
)

// TestTierBills: what an answer costs is what the vendor's own list charges at
// that tier. The lists are in dollars for a million tokens of fresh input,
// cached input, five-minute and one-hour cache writes, and output.
func TestTierBills(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	usage := llm.Usage{Input: 12_345, CacheRead: 6_789, CacheWrite5m: 0, Output: 1_011, Source: llm.UsageProvider}
	written := usage
	written.CacheWrite5m, written.CacheWrite1h = 2_222, 333
	for _, b := range []struct {
		provider, model, tier, geo string
		usage                      llm.Usage
		list                       [5]string
	}{
		// openai.com/api-fast-mode and /api-priority-processing, read 2026-11-25.
		{"openai", "gpt-5.5", "priority", "", usage, [5]string{"12.50", "1.25", "0", "0", "75"}},
		{"openai", "gpt-5.6-sol", "priority", "", usage, [5]string{"10", "1", "0", "0", "60"}},
		{"openai", "gpt-5.4", "priority", "", usage, [5]string{"5", "0.5", "0", "0", "30"}},
		{"openai", "gpt-5.4-mini", "priority", "", usage, [5]string{"1.5", "0.15", "0", "0", "9"}},
		{"openai", "gpt-5.2", "priority", "", usage, [5]string{"3.5", "0.35", "0", "0", "28"}},
		{"openai", "gpt-5", "priority", "", usage, [5]string{"2.5", "0.25", "0", "0", "20"}},
		{"openai", "gpt-5-mini", "priority", "", usage, [5]string{"0.45", "0.045", "0", "0", "3.6"}},
		{"openai", "gpt-4.1", "priority", "", usage, [5]string{"3.5", "0.875", "0", "0", "14"}},
		// Flex is half, as quoted of developers.openai.com/api/docs/pricing 2026-06-04.
		{"openai", "gpt-5.5", "flex", "", usage, [5]string{"2.5", "0.25", "0", "0", "15"}},
		{"openai", "gpt-5.5", "default", "", usage, [5]string{"5", "0.5", "0", "0", "30"}},
		{"openai", "gpt-5.5", "", "", usage, [5]string{"5", "0.5", "0", "0", "30"}},
		// Fast mode and the US factor (platform.claude.com price list, 2026-11-22):
		// cache prices keep their ratio to the input's.
		{"anthropic", "claude-opus-5-5", "fast", "", written, [5]string{"8", "0.4", "10", "16", "40"}},
		{"anthropic", "claude-fable-5-2", "fast", "global", written, [5]string{"16", "0.4", "20", "32", "80"}},
		{"anthropic", "claude-opus-5", "fast", "not_available", written, [5]string{"10", "1", "12.5", "20", "50"}},
		{"anthropic", "claude-opus-5-5", "standard", "us", written, [5]string{"4.4", "0.22", "5.5", "8.8", "22"}},
		{"anthropic", "claude-opus-5-5", "fast", "us", written, [5]string{"8.8", "0.44", "11", "17.6", "44"}},
		{"anthropic", "claude-opus-5-5", "priority", "", written, [5]string{"4", "0.2", "5", "8", "20"}},
		{"anthropic", "claude-opus-5-5", "batch", "", written, [5]string{"2", "0.1", "2.5", "4", "10"}},
		{"gemini", "gemini-3.6-flash", "flex", "", llm.Usage{Input: 777, Output: 55}, [5]string{"0.75", "0", "0", "0", "3.75"}},
		// A host that has no tiers of other prices.
		{"groq", "llama-3.3-70b-versatile", "flex", "", llm.Usage{Input: 1000, Output: 10}, [5]string{"0.59", "0", "0", "0", "0.79"}},
	} {
		u := b.usage
		u.Tier, u.Geo = b.tier, b.geo
		got, ok := c.Cost(b.provider, b.model, u, at)
		if want := billed(t, b.list, u); !ok || got != want {
			t.Errorf("%s/%s at %q in %q: %d %v, want %d", b.provider, b.model, b.tier, b.geo, got, ok, want)
		}
	}
	for _, unknown := range []llm.Usage{{Input: 1, Tier: "scale"}, {Input: 1, Tier: "ultrafast"}, {Input: 1, Geo: "mars"}} {
		if got, ok := c.Cost("openai", "gpt-5.5", unknown, at); ok {
			t.Errorf("%q in %q has a price: %d", unknown.Tier, unknown.Geo, got)
		}
	}
	// Before its date a row is not there; what the provider reports wins anyway.
	if _, ok := c.TierFactor("openai", "gpt-5.5", "priority", "", time.Date(2026, 4, 22, 0, 0, 0, 0, time.UTC)); ok {
		t.Error("a tier before its date")
	}
	if got, ok := c.Cost("openai", "gpt-5.5", llm.Usage{Input: 1, Tier: "scale", Reported: 7, HasReported: true}, at); !ok || got != 7 {
		t.Errorf("a reported cost: %d %v", got, ok)
	}
	// An alias is the model.
	if f, ok := c.TierFactor("openai", "gpt-5.6", "priority", "", at); !ok || f != 2000 {
		t.Errorf("gpt-5.6: %d %v", f, ok)
	}
}

// billed is the vendor's sum in exact fractions, rounded up to a nanodollar.
func billed(t *testing.T, list [5]string, u llm.Usage) llm.Nanodollars {
	t.Helper()
	sum := new(big.Rat)
	for i, n := range []int64{u.Input, u.CacheRead, u.CacheWrite5m, u.CacheWrite1h, u.Output} {
		price, ok := new(big.Rat).SetString(list[i])
		if !ok {
			t.Fatalf("bad price %q", list[i])
		}
		sum.Add(sum, price.Mul(price, big.NewRat(n*1000, 1))) // dollars a million are 1000 nanodollars a token
	}
	q, r := new(big.Int).QuoRem(sum.Num(), sum.Denom(), new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return llm.Nanodollars(q.Int64())
}

// TestTierRows: every row is of models that exist, and says where it is from.
func TestTierRows(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	rows := 0
	for _, p := range c.Providers() {
		for _, r := range p.Tiers {
			rows++
			if r.Source == "" {
				t.Errorf("%s %s: no source", p.ID, r.Name)
			}
			for _, id := range r.Models {
				if m, ok := c.Model(p.ID, id); !ok || m.ID != id {
					t.Errorf("%s %s: there is no model %s", p.ID, r.Name, id)
				}
			}
		}
	}
	if rows == 0 {
		t.Error("no rows")
	}
	for _, bad := range []string{"nobody\tflex\tfactor=1", "openai\tflex", "openai\tFlex\tfactor=1", "openai\tdefault\tfactor=1", "openai\tflex\tfactor=1\tcolour=red", "openai\tflex\tfactor=x"} {
		b := newBuilder()
		if err := b.provider("openai\tname=O"); err != nil {
			t.Fatal(err)
		}
		if err := b.tier(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// TestQuoteTimes: the worst case of a tier is never below its bill.
func TestQuoteTimes(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	at := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	for _, tier := range []string{"priority", "flex", "default"} {
		f, ok := c.TierFactor("openai", "gpt-5.5", tier, "", at)
		q, known := c.Quote("openai", "gpt-5.5", 12_345, at, false, true)
		cost, priced := c.Cost("openai", "gpt-5.5", llm.Usage{Input: 12_345, Output: 678, Tier: tier}, at)
		if top := q.Times(f).Cost(678); !ok || !known || !priced || top < cost || top > cost+2 {
			t.Errorf("%s: quoted %d, billed %d", tier, top, cost)
		}
	}
}
