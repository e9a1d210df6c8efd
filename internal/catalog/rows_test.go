package catalog

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/llm"
)

// TestRowsReadBack writes every embedded model as a row and reads it again.
func TestRowsReadBack(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	b := newBuilder()
	if err := b.lines("providers.rows", providerRows, b.provider); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Models() {
		row := string(appendModel(nil, m, c.byName[m.Provider].Batch))
		if strings.Contains(row, "mixed") {
			t.Fatalf("%s/%s: hours that rows cannot say", m.Provider, m.ID)
		}
		if err := b.model(strings.TrimSuffix(row, "\n")); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		got := b.models[key{m.Provider, m.ID}]
		if diff := cmp.Diff(m, got, cmp.AllowUnexported(Hours{}), cmpopts.IgnoreFields(Model{}, "Source", "byHand"), cmpopts.IgnoreUnexported(Model{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s%s", row, diff)
		}
	}
}

func TestRowErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ row, want string }{
		{"nobody\tx", `no provider "nobody"`},
		{"openai", "has no id"},
		{"openai\tx\twindow", "not key=value"},
		{"openai\tx\tfoo=1", "foo: catalog: unknown field"},
		{"openai\tx\twindow=-1", "negative"},
		{"openai\tx\twindow=many", "invalid syntax"},
		{"openai\tx\thas=wings", "unknown feature"},
		{"openai\tx\tefforts=low,huge", "unknown effort"},
		{"openai\tx\tthink=deep", "unknown thinking type"},
		{"openai\tx\tstatus=asleep", "none of"},
		{"openai\tx\topen=yes", "neither 0 nor 1"},
		{"openai\tx\tprice=", "without rates"},
		{"openai\tx\tprice=in", "no amount of money"},
		{"openai\tx\tprice=in -1", "no amount of money"},
		{"openai\tx\tprice=in 1 in 2", "two rates"},
		{"openai\tx\tprice=in 1e3", "no amount of money"},
		{"openai\tx\tprice=in 1000001", "too much"},
		{"openai\tx\tprice=gold 1", "unknown rate"},
		{"openai\tx\tprice=2026-13-01 in 1", "bad date"},
		{"openai\tx\tprice=in 1 | beyond 5 in 2", "unknown step"},
		{"openai\tx\tprice=in 1 | over x in 2", "invalid syntax"},
		{"openai\tx\tprice=in 1 | over 5", "without rates"},
		{"openai\tx\tprice=in 1 | at noon in 2", "not DAYS/HOURS"},
		{"openai\tx\tprice=in 1 | at mon/10-09 in 2", "bad hours"},
		{"openai\tx\tprice=in 1 | at mon/10-25 in 2", "bad hours"},
		{"openai\tx\tprice=in 1 | at moon/10-11 in 2", "bad days"},
		{"openai\tx\tprice=in 1 batch 0", "out of range"},
		{"openai\tx\tprice=2026-01-02 in 1\tprice=2026-01-01 in 2", "order of their dates"},
		{"openai\tx\tprice=in 1\tprice=in 2", "order of their dates"},
		{"@listing tomorrow", "wants a date"},
		{"@hearsay", "unknown directive"},
	} {
		b, err := baseRows()
		if err != nil {
			t.Fatal(err)
		}
		err = b.lines("f", "# a comment\n"+tc.row, b.model)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "f:2: ") {
			t.Errorf("%q: %v, want %q", tc.row, err, tc.want)
		}
	}
}

func TestMoney(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{
		"0": 0, "5": 5e9, "0.003625": 3_625_000, "12.5": 12.5e9, "0.000000001": 1, "0.0000000001": 1, "0.1000000000": 1e8, "1000000": 1e15,
	} {
		if got, err := money(s); err != nil || got != want {
			t.Errorf("money(%q) = %d %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", ".", ".5", "5.", "-1", "1e9", "1,5", "NaN", "1000000.1", "99999999999999999999", "0x1", " 1"} {
		if got, err := money(s); err == nil {
			t.Errorf("money(%q) = %d", s, got)
		}
	}
}

func TestHours(t *testing.T) {
	t.Parallel()
	h, err := parseHours("fri-mon/22-24,00-02")
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{
		"Fri 2026-11-20 22:00 +0000": true, "Fri 2026-11-20 21:59 +0000": false, "Sun 2026-11-22 01:59 +0000": true,
		"Mon 2026-11-23 02:00 +0000": false, "Tue 2026-11-24 23:00 +0000": false,
		"Tue 2026-11-24 00:30 +0100": true, // Monday 23:30 in UTC
	} {
		at, err := time.Parse("Mon 2006-01-02 15:04 -0700", s)
		if err != nil {
			t.Fatal(err)
		}
		if h.Has(at) != want {
			t.Errorf("%s: %v", s, !want)
		}
	}
	if !(Hours{}).Has(day) {
		t.Error("no hours mean all hours")
	}
	if again, err := parseHours(h.String()); err != nil || again != h {
		t.Errorf("%s: %v", h, err)
	}
}

// FuzzCost compares the sum with exact arithmetic of any size.
func FuzzCost(f *testing.F) {
	f.Add(int64(1), int64(2), int64(3), int64(4), int64(5), int64(5e9), int64(25e9), int64(100), true)
	f.Add(int64(-1), int64(1<<62), int64(0), int64(0), int64(-1<<63), int64(1e15), int64(1e15), int64(0), false)
	f.Fuzz(func(t *testing.T, in, read, w5, w1, out, rin, rout, over int64, batch bool) {
		known := func(n int64) Rate { return Rate{max(n, 0), n >= 0} }
		p := Price{Rates: Rates{Input: known(rin), Output: known(rout)}, Batch: 333,
			Steps: []Step{{Over: max(over, 0), Rates: Rates{Input: Rate{7, true}, Output: Rate{9, true}, CacheRead: Rate{1, true}}}}}
		u := llm.Usage{Input: in, CacheRead: read, CacheWrite5m: w5, CacheWrite1h: w1, Output: out}
		got, ok := p.Cost(u, day, batch)
		if got < 0 {
			t.Fatalf("negative money: %d", got)
		}
		if !ok {
			if got != 0 {
				t.Fatalf("unpriced, but %d", got)
			}
			return
		}
		pos := func(n int64) *big.Int { return big.NewInt(max(n, 0)) }
		prompt := new(big.Int).Add(new(big.Int).Add(pos(in), pos(read)), new(big.Int).Add(pos(w5), pos(w1)))
		r := p.Rates
		r.CacheRead = r.Input
		if prompt.Cmp(big.NewInt(max(over, 0))) > 0 {
			r = p.Steps[0].Rates
		}
		r.CacheWrite5m, r.CacheWrite1h = r.Input, r.Input
		sum := new(big.Int)
		for _, b := range []struct {
			n *big.Int
			r Rate
		}{{pos(in), r.Input}, {pos(read), r.CacheRead}, {pos(w5), r.CacheWrite5m}, {pos(w1), r.CacheWrite1h}, {pos(out), r.Output}} {
			if b.n.Sign() > 0 && !b.r.Known {
				t.Fatal("priced with an unknown rate")
			}
			sum.Add(sum, new(big.Int).Mul(b.n, big.NewInt(b.r.PerMillion)))
		}
		by := big.NewInt(1_000_000)
		if batch {
			sum.Mul(sum, big.NewInt(333))
			by.Mul(by, big.NewInt(1000))
		}
		sum.Add(sum, new(big.Int).Sub(by, big.NewInt(1))).Quo(sum, by)
		want := int64(1<<63 - 1)
		if sum.IsInt64() {
			want = sum.Int64()
		}
		if int64(got) != want {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}

// small is a catalogue without the generated rows, quick to make.
func small(t testing.TB) *builder {
	t.Helper()
	b := newBuilder()
	if err := b.lines("providers.rows", providerRows, b.provider); err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzRows reads any text as rows and as models.dev's JSON; what is taken has
// no negative price, and what JSON becomes reads as rows.
func FuzzRows(f *testing.F) {
	f.Add("@source x\n@listing 2026-11-22\nopenai\tgpt-5.5\tprice=in 1 out 2 | over 5 in 3 out 4\n")
	f.Add("openai\tnew\thas=tools\tefforts=low\tprice=2026-01-01 in 1 | at mon-fri/01-02 in 2\talias=other\nopenai\tother\twindow=5")
	f.Add(`{"openai":{"models":{"x":{"name":"X","tool_call":true,"cost":{"input":1e-7,"output":"2","cache_read":null},"limit":{"context":5}}}}}`)
	f.Add(`{"zai":{"models":{"x":{"cost":{"input":-1,"context_over_200k":{"input":1e5}}}}}}`)
	f.Fuzz(func(t *testing.T, s string) {
		b := small(t)
		rows := s
		if strings.HasPrefix(s, "{") {
			var r Refresh
			out, err := r.modelsDev(b, []byte(s), day)
			if err != nil {
				return
			}
			rows = string(out)
			if err := b.lines("refresh", rows, b.model); err != nil {
				t.Fatalf("%v\n%s", err, rows)
			}
		} else if b.lines("refresh", rows, b.model) != nil {
			return
		}
		c, err := build(b.providers, b.order)
		if err != nil {
			return
		}
		for _, m := range c.Models() {
			for i := range m.Prices {
				if cost, _ := m.Prices[i].Cost(llm.Usage{Input: 1, Output: 1}, day, false); cost < 0 {
					t.Fatal("negative money")
				}
			}
		}
	})
}

// TestWires: a provider may speak several dialects, and a model may answer in
// one of them alone.
func TestWires(t *testing.T) {
	t.Parallel()
	b := newBuilder()
	if err := b.lines("p", "x\tbase=https://x.test/v1\talso=responses,anthropic\tauth=x-goog-api-key\n", b.provider); err != nil {
		t.Fatal(err)
	}
	if err := b.lines("m", "x\tm\twire=responses\tgives=embedding\n", b.model); err != nil {
		t.Fatal(err)
	}
	p := b.providers["x"]
	if len(p.Also) != 2 || p.Also[0] != llm.Responses || p.Also[1] != llm.Anthropic || p.Auth != GoogleKey {
		t.Errorf("%+v", p)
	}
	if m := b.order[0]; p.capability(m).Wire != llm.Responses || !m.Embeds() || m.Text() {
		t.Errorf("%+v", m)
	}
	for _, bad := range []string{"x\talso=nothing\n", "x\tdialect=nothing\n"} {
		if err := b.lines("p", bad, b.provider); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if err := b.lines("m", "x\tm\twire=nothing\n", b.model); err == nil {
		t.Error("an unknown wire was taken")
	}
}
