package app

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"headrace/internal/admin"
	"headrace/internal/budget"
	"headrace/internal/catalog"
	"headrace/internal/health"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

const (
	// recentFor is how far back the latest requests are looked at, recentMost how
	// many of them.
	recentFor  = time.Hour
	recentMost = 20_000
	// shownBudgets is how many budgets an overview shows.
	shownBudgets = 10
)

// overview says at a glance what goes on.
func (a *App) overview(ctx context.Context) (admin.Overview, error) {
	now := time.Now().UTC()
	day := now.Truncate(24 * time.Hour)
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	o := admin.Overview{At: now, Live: a.pulse(), Budgets: a.nearest(now), Providers: a.providersHealth()}
	o.Live.At = now
	var err error
	if o.Today, err = a.spend(ctx, day); err != nil {
		return o, err
	}
	if o.Month, err = a.spend(ctx, month); err != nil {
		return o, err
	}
	if o.Savings, err = a.saved.get(month, now, func() ([]admin.Saving, error) { return a.savings(ctx, month, now) }); err != nil {
		return o, err
	}
	o.Recent, err = a.recent(ctx, now.Add(-recentFor))
	return o, err
}

// pulse says how much there is to do now.
func (a *App) pulse() admin.Pulse {
	r := a.gate.Read()
	return admin.Pulse{Running: a.gateway.Running(), Waiting: r.Waiting, LedgerWaiting: int64(a.ledger.Stats().Waiting)}
}

// spend is what was spent since a time.
func (a *App) spend(ctx context.Context, since time.Time) (admin.Spend, error) {
	s := admin.Spend{Since: since}
	sums, err := a.ledger.Sums(ctx, &ledger.SumQuery{Since: since})
	for i := range sums {
		addSpend(&s, &sums[i].Tally)
	}
	return s, err
}

// nearest are the budgets that are nearest to their limits.
func (a *App) nearest(now time.Time) []admin.Budget {
	states := a.budgets.States(now)
	used := func(s *budget.State) float64 {
		if s.Limit <= 0 {
			return math.Inf(1)
		}
		return 1 - float64(s.Left)/float64(s.Limit)
	}
	slices.SortStableFunc(states, func(x, y budget.State) int { return cmp.Compare(used(&y), used(&x)) })
	list := []admin.Budget{}
	for i := range states[:min(len(states), shownBudgets)] {
		list = append(list, admin.ShowBudget(&states[i]))
	}
	return list
}

// savedFor is how long savings are shown before they are worked out anew: they go
// through a month, and an overview is asked for every few seconds.
const savedFor = time.Minute

// memo remembers savings. The zero value is ready. Safe for concurrent use.
type memo struct {
	mu    sync.Mutex // guards all below; held while they are worked out
	since time.Time
	at    time.Time
	list  []admin.Saving
}

func (m *memo) get(since, now time.Time, work func() ([]admin.Saving, error)) ([]admin.Saving, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since.Equal(since) && now.Sub(m.at) < savedFor {
		return m.list, nil
	}
	list, err := work()
	if err == nil {
		m.since, m.at, m.list = since, now, list
	}
	return list, err
}

// tokensOf are the tokens of a tally as usage.
func tokensOf(t *ledger.Tally) llm.Usage {
	return llm.Usage{Input: t.Input, CacheRead: t.CacheRead, CacheWrite5m: t.CacheWrite5m, CacheWrite1h: t.CacheWrite1h,
		Output: t.Output, Reasoning: t.Reasoning, Source: llm.UsageProvider}
}

// savings is what batches, caches and routes have saved since a time.
func (a *App) savings(ctx context.Context, since, now time.Time) ([]admin.Saving, error) {
	done, err := a.db.BatchSaved(ctx, since)
	if err != nil {
		return nil, err
	}
	list := []admin.Saving{{Kind: "batch", Saved: done.RealTime - done.Spent, Against: done.RealTime, Since: since,
		How: "what the items that were answered in batches of the providers would have cost in real time, less what was paid for them (answers that came twice included)"}}
	sums, err := a.ledger.Sums(ctx, &ledger.SumQuery{Since: since, Targets: true, Labels: true})
	if err != nil {
		return nil, err
	}
	c := a.catalogNow()
	return append(list, cacheSaving(sums, c, since, now), routeSaving(sums, c, since, now)), nil
}

// cacheSaving compares what prompts cost with what they would have cost had
// nothing been read from a cache or written to it.
func cacheSaving(sums []ledger.Sum, c *catalog.Catalog, since, now time.Time) admin.Saving {
	s := admin.Saving{Kind: "cache", Since: since,
		How: "what the tokens that were read from a prompt cache or written to one would have cost as fresh input, less what they cost, at the prices of now"}
	for i := range sums {
		u := tokensOf(&sums[i].Tally)
		cached := llm.Usage{CacheRead: u.CacheRead, CacheWrite5m: u.CacheWrite5m, CacheWrite1h: u.CacheWrite1h, Source: llm.UsageProvider}
		fresh := llm.Usage{Input: u.CacheRead + u.CacheWrite5m + u.CacheWrite1h, Source: llm.UsageProvider}
		if fresh.Input == 0 {
			continue
		}
		paid, ok := c.Cost(sums[i].Provider, sums[i].Model, cached, now)
		usual, also := c.Cost(sums[i].Provider, sums[i].Model, fresh, now)
		if !ok || !also {
			s.Unknown += sums[i].Tally.Attempts
			continue
		}
		s.Saved, s.Against = s.Saved+usual-paid, s.Against+usual
	}
	return s
}

// routeSaving compares what the requests that named a route cost with what their
// tokens would have cost at the dearest target that the route led to.
func routeSaving(sums []ledger.Sum, c *catalog.Catalog, since, now time.Time) admin.Saving {
	s := admin.Saving{Kind: "routing", Since: since,
		How: "what the tokens of the requests that named a route would have cost at the dearest of the targets that the route led to, less what all attempts cost"}
	byRoute := map[string][]*ledger.Sum{}
	for i := range sums {
		if name := sums[i].Label.Route; name != "" && sums[i].Provider != "" {
			byRoute[name] = append(byRoute[name], &sums[i])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byRoute)) {
		var all llm.Usage
		var cost llm.Nanodollars
		unknown, attempts := int64(0), int64(0)
		for _, one := range byRoute[name] {
			u := tokensOf(&one.Tally)
			all.Input += u.Input + u.CacheRead + u.CacheWrite5m + u.CacheWrite1h
			all.Output += u.Output
			cost += one.Tally.Cost
			unknown += one.Tally.Unpriced
			attempts += one.Tally.Attempts
		}
		all.Source = llm.UsageProvider
		dearest := llm.Nanodollars(-1)
		for _, one := range byRoute[name] {
			// A model with steps by prompt size would take the sum for one long prompt.
			if per, ok := millionth(c, one.Provider, one.Model, now); ok {
				dearest = max(dearest, llm.Nanodollars(per.in*float64(all.Input)+per.out*float64(all.Output)))
			}
		}
		if dearest < 0 || unknown > 0 {
			s.Unknown += attempts
			continue
		}
		s.Saved, s.Against = s.Saved+dearest-cost, s.Against+dearest
	}
	return s
}

// perToken is what one token costs, in nanodollars.
type perToken struct{ in, out float64 }

func millionth(c *catalog.Catalog, provider, model string, now time.Time) (perToken, bool) {
	const many = 1000
	in, ok := c.Cost(provider, model, llm.Usage{Input: many, Source: llm.UsageProvider}, now)
	out, also := c.Cost(provider, model, llm.Usage{Output: many, Source: llm.UsageProvider}, now)
	return perToken{float64(in) / many, float64(out) / many}, ok && also
}

// notTheirs are the failures that say nothing about the gateway or its providers.
var notTheirs = map[llm.Class]bool{llm.InvalidRequest: true, llm.ClientGone: true, llm.Unauthenticated: true, llm.Forbidden: true,
	llm.NotFound: true, llm.ModelNotFound: true, llm.TooLarge: true, llm.Unsupported: true, llm.ContextOverflow: true, llm.ContentRefused: true}

// recent is how the latest requests went.
func (a *App) recent(ctx context.Context, since time.Time) (admin.Recent, error) {
	briefs, err := a.ledger.Briefs(ctx, since, recentMost)
	r := admin.Recent{Since: since, Requests: int64(len(briefs)), Capped: len(briefs) == recentMost, Errors: []admin.ClassCount{}}
	var first, total []float64
	counts := map[string]int64{}
	judged, good := 0, 0
	for i := range briefs {
		b := &briefs[i]
		switch {
		case b.Class == "":
			judged, good = judged+1, good+1
		case !notTheirs[b.Class]:
			judged++
		}
		if b.Class != "" {
			r.Failed++
			counts[string(b.Class)]++
			continue
		}
		if b.FirstByte > 0 {
			first = append(first, float64(b.FirstByte)/float64(time.Millisecond))
		}
		total = append(total, float64(b.Total)/float64(time.Millisecond))
	}
	if judged > 0 {
		rate := float64(good) / float64(judged)
		r.SuccessRate = &rate
	}
	r.FirstByte, r.Total = middle(first), middle(total)
	for class, n := range counts {
		r.Errors = append(r.Errors, admin.ClassCount{Class: class, Count: n})
	}
	slices.SortFunc(r.Errors, func(x, y admin.ClassCount) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Class, y.Class))
	})
	return r, err
}

func middle(figures []float64) admin.Middle {
	m := admin.Middle{Count: int64(len(figures))}
	if len(figures) == 0 {
		return m
	}
	slices.Sort(figures)
	at := func(q float64) float64 { return figures[int(math.Ceil(q*float64(len(figures))))-1] }
	m.P50, m.P95 = at(0.5), at(0.95)
	return m
}

// providersHealth is how the providers in use have been doing.
func (a *App) providersHealth() []admin.ProviderHealth {
	readings := a.health.ReadAll(15 * time.Minute)
	by := map[string][]*health.Reading{}
	for i := range readings {
		by[readings[i].Provider] = append(by[readings[i].Provider], &readings[i])
	}
	aside := map[string]bool{}
	for _, c := range credentialsView(a.credentialStates(), time.Now()) {
		if c.State == "set_aside" {
			aside[c.Provider] = true
		}
	}
	list := []admin.ProviderHealth{}
	for _, f := range a.foundNow() {
		if !f.Ready {
			continue
		}
		p := admin.ProviderHealth{ID: f.Row.ID, Name: f.Row.Name, State: "idle", Aside: []string{}}
		good, judged := 0.0, 0.0
		for _, r := range by[f.Row.ID] {
			p.Running, p.Attempts = p.Running+r.Running, p.Attempts+r.Attempts
			good, judged = good+r.SuccessRate()*float64(r.Attempts), judged+float64(r.Attempts)
			p.FirstByte = max(p.FirstByte, r.Latency[health.FirstByte].P50.Seconds())
			if r.State != health.Closed {
				p.Aside = append(p.Aside, r.Model)
			}
		}
		if judged > 0 {
			rate := good / judged
			p.SuccessRate, p.State = &rate, "ok"
		}
		switch {
		case len(p.Aside) > 0 && len(p.Aside) == len(by[f.Row.ID]):
			p.State = "down"
		case len(p.Aside) > 0 || aside[f.Row.ID]:
			p.State = "degraded"
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(x, y admin.ProviderHealth) int { return cmp.Compare(x.ID, y.ID) })
	return list
}
