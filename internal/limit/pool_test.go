package limit

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"headrace/internal/llm"
)

func two(o PoolOptions, a, b Rates) *Pool {
	o.Provider, o.Credentials = "acme", []Credential{{Name: "a", Rates: a}, {Name: "b", Rates: b}}
	return NewPool(o)
}

func ask(p *Pool, a Ask, now time.Time) (Place, time.Duration, *llm.Error) {
	if a.Op == "" {
		a.Op, a.Class = llm.OpChat, "m"
	}
	return p.Reserve(&a, now)
}

func must(t testing.TB, p *Pool, a Ask, now time.Time) Place {
	t.Helper()
	h, wait, err := ask(p, a, now)
	if err != nil || wait > 0 {
		t.Fatalf("wait %s, %v", wait, err)
	}
	return h
}

func ok(in, out int64) Result {
	return Result{Sent: true, Usage: llm.Usage{Input: in, Output: out, Source: llm.UsageProvider}}
}

func TestPoolSpreads(t *testing.T) {
	t.Parallel()
	p := two(PoolOptions{}, Rates{}, Rates{})
	now := time.Now()
	var got [2]int
	var held []Place
	for range 10 {
		h := must(t, p, Ask{}, now)
		got[h.Credential()]++
		held = append(held, h)
	}
	if got != [2]int{5, 5} {
		t.Errorf("%v", got)
	}
	held[0].Done(ok(1, 1), now)
	if h := must(t, p, Ask{}, now); h.Credential() != held[0].Credential() {
		t.Error("not the one with the fewest under way")
	}
	// Of equally busy ones the one with more room.
	q := two(PoolOptions{}, Rates{TokensPerMinute: 1e6}, Rates{TokensPerMinute: 1e6})
	h := must(t, q, Ask{Input: 500_000}, now)
	h.Done(ok(500_000, 1), now)
	if other := must(t, q, Ask{Input: 1}, now); other.Credential() == h.Credential() {
		t.Error("the fuller one was taken")
	}
}

func TestPoolAffinity(t *testing.T) {
	t.Parallel()
	p := two(PoolOptions{}, Rates{}, Rates{})
	now := time.Now()
	homes := map[int]bool{}
	for conversation := uint64(1); conversation < 64; conversation++ {
		first := must(t, p, Ask{Affinity: conversation}, now)
		homes[first.Credential()] = true
		for range 3 { // one turn after the other
			first.Done(ok(1, 1), now)
			next := must(t, p, Ask{Affinity: conversation}, now)
			if next.Credential() != first.Credential() {
				t.Fatalf("conversation %d moved", conversation)
			}
			first = next
		}
		first.Done(ok(1, 1), now)
	}
	if len(homes) != 2 {
		t.Errorf("all conversations live at %v", homes)
	}
	// A crowd with one prefix does not leave the other credential idle.
	var got [2]int
	for range 100 {
		got[must(t, p, Ask{Affinity: 7}, now).Credential()]++
	}
	if got[0] < 30 || got[1] < 30 {
		t.Errorf("%v of one affinity", got)
	}
}

func TestPoolSetsAside(t *testing.T) {
	t.Parallel()
	var offs, ons []string
	p := two(PoolOptions{
		Off: func(c string, e *llm.Error, long time.Duration) {
			offs = append(offs, c+" "+string(e.Class)+" "+long.String())
		},
		On: func(c string) { ons = append(ons, c) },
	}, Rates{}, Rates{})
	now := time.Now()
	fail := func(h Place, e *llm.Error, now time.Time) { h.Done(Result{Sent: true, Err: e}, now) }
	first := must(t, p, Ask{}, now)
	bad, good := first.Credential(), 1-first.Credential()
	under := must(t, p, Ask{Tried: 1 << good}, now) // under way there too
	refused := &llm.Error{Class: llm.Auth, Status: 401, Message: "no such key"}
	fail(first, refused, now)
	fail(under, refused, now)
	if !slices.Equal(offs, []string{p.credentials[bad].Name + " auth 5s"}) {
		t.Errorf("told %q", offs)
	}
	for range 5 {
		if h := must(t, p, Ask{}, now); h.Credential() != good {
			t.Fatal("the refused credential was used")
		}
	}
	// Other operations find out for themselves: a key may be for some only.
	if h := must(t, p, Ask{Op: llm.OpEmbed, Class: "e", Tried: 1 << good}, now); h.Credential() != bad {
		t.Error("embeddings are set aside too")
	}
	_, _, err := ask(p, Ask{Tried: 1 << good}, now)
	if err == nil || err.Class != llm.Auth || err.RetryAfter != 5*time.Second {
		t.Errorf("%+v", err)
	}
	// One probe, and the time doubles while it fails.
	now = now.Add(5 * time.Second)
	probe := must(t, p, Ask{Tried: 1 << good}, now)
	if _, _, err := ask(p, Ask{Tried: 1 << good}, now); err == nil {
		t.Error("a second probe")
	}
	probe.Done(Result{}, now) // nothing was sent after all: the next one probes
	probe = must(t, p, Ask{Tried: 1 << good}, now)
	fail(probe, refused, now)
	if _, _, err := ask(p, Ask{Tried: 1 << good}, now.Add(10*time.Second-1)); err == nil {
		t.Error("no longer the second time")
	}
	now = now.Add(10 * time.Second)
	must(t, p, Ask{Tried: 1 << good}, now).Done(ok(1, 1), now)
	must(t, p, Ask{Tried: 1 << good}, now)
	must(t, p, Ask{Tried: 1 << good}, now)
	if len(ons) != 1 || len(offs) != 2 {
		t.Errorf("told %q and %q", offs, ons)
	}
	// A quota is off until its reset.
	fail(must(t, p, Ask{Tried: 1 << good}, now), &llm.Error{Class: llm.QuotaExhausted, Status: 429, RetryAfter: time.Hour, Message: "spent"}, now)
	if _, _, err := ask(p, Ask{Tried: 1 << good}, now.Add(time.Hour-1)); err == nil || err.Class != llm.QuotaExhausted {
		t.Errorf("%+v", err)
	}
	must(t, p, Ask{Tried: 1 << good}, now.Add(time.Hour))
}

// A probe that ends without an answer when another request has shown already
// that the credential works: nothing breaks, and the pool is not locked for ever.
func TestPoolProbeComesTooLate(t *testing.T) {
	t.Parallel()
	p := NewPool(PoolOptions{Provider: "acme", Credentials: []Credential{{Name: "a", Rates: Rates{Parallel: 3}}}})
	now := time.Now()
	long := must(t, p, Ask{}, now) // under way since before
	must(t, p, Ask{}, now).Done(Result{Sent: true, Err: &llm.Error{Class: llm.Auth, Status: 401}}, now)
	now = now.Add(time.Minute)
	probe := must(t, p, Ask{}, now)
	long.Done(ok(1, 1), now)
	probe.Done(Result{Sent: true, Err: &llm.Error{Class: llm.ClientGone}}, now)
	for range 3 {
		must(t, p, Ask{}, now)
	}
}

// What a caller can provoke sets nothing aside for the others.
func TestPoolIsNotTricked(t *testing.T) {
	t.Parallel()
	p := NewPool(PoolOptions{Provider: "acme", Credentials: []Credential{{Name: "a"}}})
	now := time.Now()
	for _, c := range []struct {
		op llm.Op
		e  llm.Error
	}{
		{llm.OpRaw, llm.Error{Class: llm.Auth, Status: 401}},
		{llm.OpRaw, llm.Error{Class: llm.QuotaExhausted, Status: 429}},
		{llm.OpChat, llm.Error{Class: llm.Auth, Status: 403}},
		{llm.OpChat, llm.Error{Class: llm.RateLimited, Status: 429, NoRepeat: true}},
		{llm.OpChat, llm.Error{Class: llm.InvalidRequest, Status: 400}},
		{llm.OpChat, llm.Error{Class: llm.ClientGone}},
	} {
		must(t, p, Ask{Op: c.op, Class: "m"}, now).Done(Result{Sent: true, Err: &c.e}, now)
		must(t, p, Ask{}, now).Done(ok(1, 1), now)
	}
}

func TestPoolRateLimit(t *testing.T) {
	t.Parallel()
	p := two(PoolOptions{}, Rates{}, Rates{})
	now := time.Now()
	h := must(t, p, Ask{}, now)
	first := h.Credential()
	h.Done(Result{Sent: true, Err: &llm.Error{Class: llm.RateLimited, Status: 429, RetryAfter: 3 * time.Second}}, now)
	if h := must(t, p, Ask{}, now); h.Credential() == first {
		t.Error("the limited credential was used")
	}
	only := Ask{Tried: 1 << (1 - first)}
	if _, _, err := ask(p, only, now); err == nil || err.Class != llm.RateLimited || err.RetryAfter != 3*time.Second {
		t.Errorf("%+v", err)
	}
	must(t, p, Ask{Op: llm.OpChat, Class: "another", Tried: only.Tried}, now) // its limit is its own
	only.Most = 3 * time.Second
	if _, wait, err := ask(p, only, now); err != nil || wait != 3*time.Second {
		t.Errorf("wait %s, %v", wait, err)
	}
	must(t, p, only, now.Add(3*time.Second))
	// All traffic rose too fast: every class waits.
	h = must(t, p, only, now.Add(4*time.Second))
	h.Done(Result{Sent: true, Err: &llm.Error{Class: llm.RateLimited, Code: "ramp_limit_exceeded", Status: 429, RetryAfter: time.Second}}, now.Add(4*time.Second))
	if _, _, err := ask(p, Ask{Op: llm.OpChat, Class: "another", Tried: only.Tried}, now.Add(4*time.Second)); err == nil {
		t.Error("another class goes on while the account rises too fast")
	}
	// Without a time the pauses grow until something succeeds.
	now = now.Add(time.Minute)
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		a := Ask{Op: llm.OpChat, Class: "unsaid", Tried: only.Tried}
		must(t, p, a, now).Done(Result{Sent: true, Err: &llm.Error{Class: llm.RateLimited, Status: 429}}, now)
		if _, _, err := ask(p, a, now); err == nil || err.RetryAfter != want*time.Second {
			t.Errorf("%+v, want %d s", err, want)
		}
		now = now.Add(want * time.Second)
	}
}

func TestPoolLearns(t *testing.T) {
	t.Parallel()
	openai := headers("x-ratelimit-limit-requests", "100", "x-ratelimit-remaining-requests", "99", "x-ratelimit-reset-requests", "600ms",
		"x-ratelimit-limit-tokens", "60000", "x-ratelimit-remaining-tokens", "30000", "x-ratelimit-reset-tokens", "30s")
	p := NewPool(PoolOptions{Provider: "acme", Headers: "openai", Credentials: []Credential{{Name: "a"}}})
	now := time.Now()
	if p.Counts(llm.OpChat, "m") {
		t.Error("tokens count before anything is known")
	}
	must(t, p, Ask{Input: 1e9}, now).Done(ok(1, 1), now)
	p.Hear(0, llm.OpChat, "m", openai, now)
	if !p.Counts(llm.OpChat, "m") || p.Counts(llm.OpChat, "another") {
		t.Error("the limit of a model is not its own")
	}
	// Of 60,000 a minute 30,000 are used: 40,000 more must wait 10 s.
	if _, _, err := ask(p, Ask{Input: 39_900, MaxOutput: 100}, now); err == nil || err.RetryAfter != 10*time.Second {
		t.Errorf("%+v", err)
	}
	// A later answer that knows less takes nothing back: the second is under way.
	h := must(t, p, Ask{Input: 29_900, MaxOutput: 100}, now)
	p.Hear(0, llm.OpChat, "m", openai, now)
	if _, _, err := ask(p, Ask{Input: 5_900, MaxOutput: 100}, now); err == nil || err.RetryAfter != 6*time.Second {
		t.Errorf("%+v", err)
	}
	// Settled on what it really took.
	h.Done(ok(900, 100), now)
	must(t, p, Ask{Input: 28_900, MaxOutput: 100}, now)
	// More than the bucket holds is the provider's to judge, when it is empty.
	if _, _, err := ask(p, Ask{Input: 1e9}, now.Add(2*time.Minute)); err != nil {
		t.Errorf("%v", err)
	}
	// What the operator says is not learned.
	own := NewPool(PoolOptions{Provider: "acme", Headers: "openai", Credentials: []Credential{{Name: "a", Rates: Rates{TokensPerMinute: 1000}}}})
	own.Hear(0, llm.OpChat, "m", openai, now)
	must(t, own, Ask{Input: 900, MaxOutput: 100}, now)
	if _, _, err := ask(own, Ask{Input: 900, MaxOutput: 100}, now); err == nil || err.RetryAfter != time.Minute {
		t.Errorf("%+v", err)
	}
}

func TestPoolSettles(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		name     string
		free     bool
		r        Result
		in, out  int64 // what of 6000 each must be left
		requests int64
	}{
		{"used", false, Result{Sent: true, Usage: llm.Usage{Input: 1000, CacheRead: 500, CacheWrite5m: 300, CacheWrite1h: 200, Output: 100, Source: llm.UsageProvider}}, 4000, 5900, 59},
		{"cache reads free", true, Result{Sent: true, Usage: llm.Usage{Input: 1000, CacheRead: 500, CacheWrite5m: 300, CacheWrite1h: 200, Output: 100, Source: llm.UsageProvider}}, 4500, 5900, 59},
		{"not sent", false, Result{}, 6000, 6000, 60},
		{"refused", false, Result{Sent: true, Err: &llm.Error{Class: llm.Overloaded, Status: 529}}, 6000, 6000, 59},
		{"cut off", false, Result{Sent: true, Output: 40, Err: &llm.Error{Class: llm.SlowStream, Status: 200}}, 3000, 5960, 59},
		{"gone before the first byte", false, Result{Sent: true, Err: &llm.Error{Class: llm.ClientGone}}, 3000, 6000 - typical, 59},
	} {
		p := NewPool(PoolOptions{Provider: "acme", CacheFree: c.free, Credentials: []Credential{{Name: "a", Rates: Rates{RequestsPerMinute: 60, InputTokensPerMinute: 6000, OutputTokensPerMinute: 6000}}}})
		h := must(t, p, Ask{Input: 3000}, now)
		h.Done(c.r, now)
		h.Done(ok(6000, 6000), now) // works once
		m := &p.credentials[0].all
		left := func(k Kind) int64 {
			g := &m.meter[k]
			return g.limit - (g.level(p.time(now))*g.limit+g.period-1)/g.period
		}
		if left(Input) != c.in || left(Output) != c.out || left(Requests) != c.requests {
			t.Errorf("%s: %d, %d, %d left, want %d, %d, %d", c.name, left(Input), left(Output), left(Requests), c.in, c.out, c.requests)
		}
		if m.running != 0 {
			t.Errorf("%s: %d running", c.name, m.running)
		}
	}
}

func TestPoolParallel(t *testing.T) {
	t.Parallel()
	p := two(PoolOptions{}, Rates{}, Rates{Parallel: 2})
	now := time.Now()
	a := Ask{Parallel: 3, Tried: 1 << 1}
	var held []Place
	for range 3 {
		held = append(held, must(t, p, a, now))
	}
	if _, _, err := ask(p, a, now); err == nil || err.Class != llm.RateLimited {
		t.Errorf("a fourth of 3: %v", err)
	}
	must(t, p, Ask{Op: llm.OpChat, Class: "another", Parallel: 3, Tried: 1 << 1}, now) // per model
	held[0].Done(ok(1, 1), now)
	must(t, p, a, now)
	b := Ask{Parallel: 3, Tried: 1 << 0} // the operator says 2
	must(t, p, b, now)
	must(t, p, b, now)
	if _, _, err := ask(p, b, now); err == nil {
		t.Error("the operator's figure does not count")
	}
}

// After any interleaving of grants, waits, errors of every class and of what
// the provider says: the gauges are what is running and 0 at the end, and what
// was sent never exceeds the operator's rate over any span.
func TestPoolAnyInterleaving(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		perMinute := rapid.Int64Range(1, 60).Draw(t, "rpm")
		p := two(PoolOptions{Headers: "openai"}, Rates{RequestsPerMinute: perMinute, Parallel: 6}, Rates{TokensPerMinute: 1000})
		type open struct {
			h    Place
			goes time.Time
		}
		var running []open
		var sent []time.Time // at credential 0
		now := time.Now()
		names := []string{"m", "n"}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "for")))
			},
			"reserve": func(t *rapid.T) {
				a := Ask{Op: llm.OpChat, Class: rapid.SampledFrom(names).Draw(t, "class"), Input: rapid.Int64Range(0, 1500).Draw(t, "in"),
					MaxOutput: rapid.Int64Range(0, 500).Draw(t, "out"), Affinity: rapid.Uint64Range(0, 3).Draw(t, "affinity"),
					Tried: rapid.Uint64Range(0, 3).Draw(t, "tried"), Most: time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "most"))}
				h, wait, err := p.Reserve(&a, now)
				if err != nil {
					if h != (Place{}) || err.RetryAfter < 0 || a.Tried != 3 && err.RetryAfter == 0 {
						t.Fatalf("%v %+v", h, err)
					}
					return
				}
				if wait > a.Most || a.Tried>>h.Credential()&1 != 0 {
					t.Fatalf("wait %s of %s, credential %d of %b", wait, a.Most, h.Credential(), a.Tried)
				}
				running = append(running, open{h, now.Add(wait)})
			},
			"hear": func(t *rapid.T) {
				n := rapid.SampledFrom([]string{"0", "1", "20", "1000", "-1", "x"})
				p.Hear(rapid.IntRange(0, 1).Draw(t, "credential"), llm.OpChat, rapid.SampledFrom(names).Draw(t, "class"), headers(
					"x-ratelimit-limit-requests", n.Draw(t, "limit"), "x-ratelimit-remaining-requests", n.Draw(t, "left"),
					"x-ratelimit-reset-requests", rapid.SampledFrom([]string{"1m", "0s", "24h", "7m12s"}).Draw(t, "reset"),
					"x-ratelimit-limit-tokens", n.Draw(t, "limit"), "x-ratelimit-remaining-tokens", n.Draw(t, "left")), now)
			},
			"done": func(t *rapid.T) {
				if len(running) == 0 {
					return
				}
				i := rapid.IntRange(0, len(running)-1).Draw(t, "which")
				o := running[i]
				running = append(running[:i:i], running[i+1:]...)
				r := Result{Sent: !now.Before(o.goes) && rapid.Bool().Draw(t, "sent")}
				if r.Sent {
					if class := rapid.SampledFrom(append(llm.Classes(), "")).Draw(t, "class"); class != "" {
						r.Err = &llm.Error{Class: class, Status: rapid.SampledFrom([]int{0, 200, 401, 429, 500}).Draw(t, "status"),
							RetryAfter: time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "after"))}
					} else {
						r = ok(rapid.Int64Range(0, 2000).Draw(t, "in"), rapid.Int64Range(0, 500).Draw(t, "out"))
					}
					if o.h.Credential() == 0 {
						sent = append(sent, o.goes)
					}
				}
				o.h.Done(r, now)
			},
			"": func(t *rapid.T) {
				var want [2]int
				for _, o := range running {
					want[o.h.Credential()]++
				}
				for i, s := range p.States(now) {
					if s.Running != want[i] || i == 0 && s.Running > 6 {
						t.Fatalf("%d run at %s, not %d", want[i], s.Name, s.Running)
					}
				}
			},
		})
		for _, o := range running {
			o.h.Done(Result{}, now)
		}
		for _, c := range p.credentials {
			sum := c.all.running
			for _, m := range c.classes {
				sum += m.running
			}
			if sum != 0 || c.all.running != 0 {
				t.Fatalf("%s: %d at the end", c.Name, sum)
			}
			for _, m := range append([]*meters{&c.all}, c.classes[class{llm.OpChat, "m"}], c.classes[class{llm.OpChat, "n"}]) {
				for k := range kinds {
					if m != nil && len(m.meter[k].open) != 0 {
						t.Fatalf("%s: %d charges are open at the end", c.Name, len(m.meter[k].open))
					}
				}
			}
			for _, o := range c.off {
				if o.probing {
					t.Fatalf("%s: a probe that never ends", c.Name)
				}
			}
		}
		slices.SortFunc(sent, time.Time.Compare)
		for i := range sent {
			for j := i; j < len(sent); j++ {
				if most := float64(perMinute) * (1 + sent[j].Sub(sent[i]).Minutes()); float64(j-i+1) > most+1e-6 {
					t.Fatalf("%d requests in %s at %d a minute", j-i+1, sent[j].Sub(sent[i]), perMinute)
				}
			}
		}
	})
}

func TestPoolForgetsClasses(t *testing.T) {
	t.Parallel()
	p := NewPool(PoolOptions{Provider: "acme", Credentials: []Credential{{Name: "a"}}})
	now := time.Now()
	for i := range 3 * mostClasses {
		must(t, p, Ask{Op: llm.OpChat, Class: time.Duration(i).String()}, now) // all under way
	}
	if n := len(p.credentials[0].classes); n > mostClasses+1 {
		t.Errorf("%d classes are remembered", n)
	}
}

func BenchmarkPool(b *testing.B) {
	now := time.Now()
	free := NewPool(PoolOptions{Provider: "acme", Headers: "openai", Credentials: []Credential{{Name: "a"}}})
	limited := two(PoolOptions{Headers: "openai"}, Rates{RequestsPerMinute: 1e9, TokensPerMinute: 1e12}, Rates{RequestsPerMinute: 1e9, TokensPerMinute: 1e12})
	a := Ask{Op: llm.OpChat, Class: "gpt-6", Input: 100, Affinity: 5}
	r := ok(100, 20)
	for name, p := range map[string]*Pool{"unlimited": free, "limited": limited} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h, _, err := p.Reserve(&a, now)
				if err != nil {
					b.Fatal(err)
				}
				h.Done(r, now)
			}
		})
	}
	h := headers("x-ratelimit-limit-requests", "5000", "x-ratelimit-remaining-requests", "4999", "x-ratelimit-reset-requests", "12ms",
		"x-ratelimit-limit-tokens", "4000000", "x-ratelimit-remaining-tokens", "3999959", "x-ratelimit-reset-tokens", "0s")
	b.Run("hear", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			free.Hear(0, llm.OpChat, "gpt-6", h, now)
		}
	})
}

// TestPoolMost: a request waits as long as it may and not a moment longer, and
// whoever does not wait is refused by the operator's limits alone.
func TestPoolMost(t *testing.T) {
	t.Parallel()
	now := time.Now()
	fresh := func(r Rates) *Pool {
		p := NewPool(PoolOptions{Provider: "acme", Credentials: []Credential{{Name: "a", Rates: r}}})
		must(t, p, Ask{}, now).Done(ok(1, 1), now)
		return p
	}
	one := Rates{RequestsPerMinute: 1}
	for _, c := range []struct {
		most  time.Duration
		grant bool
	}{{0, false}, {time.Minute - 1, false}, {time.Minute, true}, {time.Hour, true}} {
		p := fresh(one)
		h, wait, err := ask(p, Ask{Most: c.most}, now)
		if c.grant {
			if err != nil || wait != time.Minute {
				t.Errorf("most %v: wait %v, %v", c.most, wait, err)
			}
			h.Done(Result{}, now)
		} else if err == nil || err.RetryAfter != time.Minute || err.Class != llm.RateLimited {
			t.Errorf("most %v: %+v", c.most, err)
		}
		if s := p.States(now)[0]; s.Running != 0 {
			t.Errorf("most %v: %d run", c.most, s.Running)
		}
	}
	// Below 0: the operator's limit refuses, what the provider said does not.
	if _, _, err := ask(fresh(one), Ask{Most: -1}, now); err == nil {
		t.Error("the operator's limit was passed")
	}
	p := fresh(Rates{})
	h := must(t, p, Ask{}, now)
	h.Done(Result{Sent: true, Err: &llm.Error{Class: llm.RateLimited, Status: 429, RetryAfter: time.Hour}}, now)
	if _, _, err := ask(p, Ask{Most: time.Minute}, now); err == nil || err.RetryAfter != time.Hour {
		t.Errorf("a told rate limit: %+v", err)
	}
	if _, wait, err := ask(p, Ask{Most: -1}, now); err != nil || wait != 0 {
		t.Errorf("the only target is not asked: %v, wait %v", err, wait)
	}
	// The soonest of two is waited for.
	two := two(PoolOptions{}, Rates{RequestsPerMinute: 1}, Rates{RequestsPerMinute: 6})
	must(t, two, Ask{Tried: 2}, now).Done(ok(1, 1), now)
	for range 6 {
		must(t, two, Ask{Tried: 1}, now).Done(ok(1, 1), now)
	}
	if h, wait, err := ask(two, Ask{Most: 10 * time.Second}, now); err != nil || wait != 10*time.Second || h.Credential() != 1 {
		t.Errorf("wait %v, %v", wait, err)
	}
}
