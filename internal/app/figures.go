package app

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"headrace/internal/admin"
	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// figures works out what several rooms know together.
type figures struct{ a *App }

// Teams lists the teams of the configuration, of keys and of budgets.
func (f figures) Teams(ctx context.Context) ([]admin.Team, error) {
	cfg, now := f.a.config(), time.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	all := map[string]*admin.Team{}
	team := func(name string) *admin.Team {
		if all[name] == nil {
			all[name] = &admin.Team{Name: name, Budgets: []admin.Budget{}, Month: admin.Spend{Since: month}}
		}
		return all[name]
	}
	for name, t := range cfg.Teams {
		one := team(name)
		one.Declared = true
		one.Limits = admin.Limits{RequestsPerMinute: t.Limits.RequestsPerMinute, TokensPerMinute: t.Limits.TokensPerMinute, Parallel: t.Limits.Parallel}
	}
	for name, t := range cfg.Overload.Teams {
		one := team(name)
		one.Declared, one.Priority, one.Weight = true, t.Priority, t.Weight
	}
	for name := range cfg.Budgets.Teams {
		team(name).Declared = true
	}
	keys, err := f.a.db.Keys(ctx)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		if k := &keys[i]; k.Team != "" && k.State(now) == "active" {
			team(k.Team).Keys++
		}
	}
	states, err := purses(f).Budgets(ctx)
	if err != nil {
		return nil, err
	}
	for i := range states {
		if s := &states[i]; s.Scope == "team" {
			one := team(s.Subject)
			one.Budgets = append(one.Budgets, admin.ShowBudget(s))
		}
	}
	sums, err := f.a.ledger.Sums(ctx, &ledger.SumQuery{Since: month, Callers: true})
	if err != nil {
		return nil, err
	}
	for i := range sums {
		if s := &sums[i]; s.Team != "" {
			addSpend(&team(s.Team).Month, &s.Tally)
		}
	}
	list := make([]admin.Team, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[name])
	}
	return list, nil
}

// addSpend adds a tally to what was spent.
func addSpend(s *admin.Spend, t *ledger.Tally) {
	s.Requests += t.Requests
	s.Failed += t.Failed
	s.Cost += t.Cost
	s.Unpriced += t.Unpriced
	s.Input += t.Input
	s.CacheRead += t.CacheRead
	s.CacheWrite += t.CacheWrite5m + t.CacheWrite1h
	s.Output += t.Output
}

// Model shows a model and its use.
func (f figures) Model(ctx context.Context, id string, since time.Time) (admin.ModelUse, error) {
	provider, name, _ := strings.Cut(id, "/")
	c := f.a.catalogNow()
	m, ok := c.Model(provider, name)
	if !ok {
		return admin.ModelUse{}, llm.Errorf(llm.NotFound, "there is no model %q", id)
	}
	use := admin.ModelUse{Model: admin.ShowModel(c, m, time.Now())}
	use.Model.Usable = f.usable()[m.Provider]
	use.Used.Name = use.Model.ID
	sums, err := f.a.ledger.Sums(ctx, &ledger.SumQuery{Since: since, Provider: m.Provider, Model: m.ID})
	for i := range sums {
		use.Used.Add(&sums[i].Tally)
	}
	for _, h := range targetsView(f.a.health) {
		if h.Provider == m.Provider && h.Model == m.ID {
			use.Health = &h
		}
	}
	return use, err
}

// usable says which providers can be called.
func (f figures) usable() map[string]bool {
	usable := map[string]bool{}
	for _, found := range f.a.foundNow() {
		usable[found.Row.ID] = found.Ready
	}
	return usable
}

// Elsewhere prices the traffic since a time on other models.
func (f figures) Elsewhere(ctx context.Context, since time.Time, models []string) (admin.Elsewhere, error) {
	w := admin.Elsewhere{Since: since, Rows: []admin.ElsewhereRow{},
		How: "all tokens of that time at the prices of now; what was read from a prompt cache or written to one is priced as that where the model has such a price, else as fresh input. Another model would have counted and written other tokens."}
	sums, err := f.a.ledger.Sums(ctx, &ledger.SumQuery{Since: since})
	if err != nil {
		return w, err
	}
	var u llm.Usage
	for i := range sums {
		t := &sums[i].Tally
		one := tokensOf(t)
		u.Input, u.CacheRead = u.Input+one.Input, u.CacheRead+one.CacheRead
		u.CacheWrite5m, u.CacheWrite1h = u.CacheWrite5m+one.CacheWrite5m, u.CacheWrite1h+one.CacheWrite1h
		u.Output, u.Reasoning = u.Output+one.Output, u.Reasoning+one.Reasoning
		w.Requests, w.Cost, w.Unpriced = w.Requests+t.Requests, w.Cost+t.Cost, w.Unpriced+t.Unpriced
	}
	w.Tokens = admin.Tokens{Input: u.Input, CacheRead: u.CacheRead, CacheWrite5m: u.CacheWrite5m, CacheWrite1h: u.CacheWrite1h, Output: u.Output, Reasoning: u.Reasoning}
	c, now := f.a.catalogNow(), time.Now()
	candidates, err := f.candidates(c, models, now)
	if err != nil {
		return w, err
	}
	for _, m := range candidates {
		if cost, ok := priced(c, m, &u, now); ok {
			w.Rows = append(w.Rows, admin.ElsewhereRow{Model: m.Provider + "/" + m.ID, Cost: cost, Window: m.Window})
		}
	}
	slices.SortFunc(w.Rows, func(x, y admin.ElsewhereRow) int {
		return cmp.Or(cmp.Compare(x.Cost, y.Cost), strings.Compare(x.Model, y.Model))
	})
	return w, nil
}

// candidates are the models that are named, or all that can be called.
func (f figures) candidates(c *catalog.Catalog, named []string, now time.Time) ([]*catalog.Model, error) {
	var list []*catalog.Model
	for _, name := range named {
		provider, id, _ := strings.Cut(name, "/")
		m, ok := c.Model(provider, id)
		if !ok {
			return nil, llm.Errorf(llm.NotFound, "there is no model %q", name)
		}
		list = append(list, m)
	}
	if len(named) > 0 {
		return list, nil
	}
	usable := f.usable()
	for _, m := range c.Find(catalog.Query{At: now}) {
		if usable[m.Provider] {
			list = append(list, m)
		}
	}
	return list, nil
}

// priced is what usage costs at a model, price by price: a price that rises with
// the prompt is that of a short one.
func priced(c *catalog.Catalog, m *catalog.Model, u *llm.Usage, now time.Time) (llm.Nanodollars, bool) {
	const many = 1000
	per := func(one llm.Usage) (float64, bool) {
		one.Source = llm.UsageProvider
		cost, ok := c.Cost(m.Provider, m.ID, one, now)
		return float64(cost) / many, ok
	}
	in, ok := per(llm.Usage{Input: many})
	out, also := per(llm.Usage{Output: many})
	if !ok || !also {
		return 0, false
	}
	sum := in*float64(u.Input) + out*float64(u.Output)
	for _, bucket := range []struct {
		tokens int64
		one    llm.Usage
	}{{u.CacheRead, llm.Usage{CacheRead: many}}, {u.CacheWrite5m, llm.Usage{CacheWrite5m: many}}, {u.CacheWrite1h, llm.Usage{CacheWrite1h: many}}} {
		rate, ok := per(bucket.one)
		if !ok {
			rate = in
		}
		sum += rate * float64(bucket.tokens)
	}
	return llm.Nanodollars(sum), true
}

// Routes lists the routes and how their rungs have been doing.
func (f figures) Routes(ctx context.Context, since time.Time) ([]admin.Route, error) {
	sums, err := f.a.ledger.Sums(ctx, &ledger.SumQuery{Since: since, Targets: true, Labels: true})
	if err != nil {
		return nil, err
	}
	type place struct{ route, model string }
	used, whole := map[place]*admin.UsageRow{}, map[string]*admin.UsageRow{}
	for i := range sums {
		s := &sums[i]
		name := s.Label.Route
		if name == "" {
			continue
		}
		if whole[name] == nil {
			whole[name] = &admin.UsageRow{Name: name}
		}
		whole[name].Add(&s.Tally)
		k := place{name, s.Provider + "/" + s.Model}
		if used[k] == nil {
			used[k] = &admin.UsageRow{Name: k.model}
		}
		used[k].Add(&s.Tally)
	}
	c, cfg, usable, now := f.a.catalogNow(), f.a.config(), f.usable(), time.Now()
	policy := f.a.gateway.Snapshot().Policy
	list := []admin.Route{}
	add := func(name, kind string, success []string, models, thinking []string) {
		_, declared := cfg.Routes[name]
		r := admin.Route{Name: name, Kind: kind, Declared: declared, Success: success, Used: admin.UsageRow{Name: name}, Rungs: []admin.Rung{}}
		if w := whole[name]; w != nil {
			r.Used = *w
		}
		for i, model := range models {
			rung := admin.Rung{Model: model, Thinking: thinking[i], Used: admin.UsageRow{Name: model}}
			provider, id, _ := strings.Cut(model, "/")
			if row, ok := c.Provider(provider); ok { // the file may name an alias
				provider = row.ID
			}
			rung.Usable = usable[provider]
			if m, ok := c.Model(provider, id); ok {
				rung.Price = admin.ShowModel(c, m, now).Price
				id = m.ID
			}
			if u := used[place{name, provider + "/" + id}]; u != nil {
				measure(&rung, u, r.Used.Requests)
			}
			r.Rungs = append(r.Rungs, rung)
		}
		list = append(list, r)
	}
	for _, name := range slices.Sorted(maps.Keys(policy.Routes)) {
		targets := policy.Routes[name]
		add(name, "list", []string{}, targets, make([]string, len(targets)))
	}
	for _, name := range slices.Sorted(maps.Keys(policy.Ladders)) {
		l := policy.Ladders[name]
		var models, thinking []string
		for _, rung := range l.Rungs {
			models, thinking = append(models, rung.Model), append(thinking, rung.Think)
		}
		success := []string{}
		if must := l.Success; must != nil {
			for _, w := range []struct {
				is   bool
				word string
			}{{must.Schema, "schema"}, {must.ToolsValid, "tools_valid"}, {must.Refusal, "not refusal"}, {must.Truncated, "not truncated"}, {must.Empty, "not empty"}} {
				if w.is {
					success = append(success, w.word)
				}
			}
		}
		add(name, "ladder", success, models, thinking)
	}
	slices.SortFunc(list, func(x, y admin.Route) int { return strings.Compare(x.Name, y.Name) })
	return list, nil
}

// measure says how a rung has been doing, of so many requests of its route.
func measure(r *admin.Rung, u *admin.UsageRow, requests int64) {
	r.Used = *u
	if requests > 0 {
		r.Share = float64(u.Requests) / float64(requests)
	}
	good := u.Attempts - u.FailedAttempts
	if u.Attempts > 0 {
		rate := float64(good) / float64(u.Attempts)
		r.SuccessRate = &rate
	}
	if good > 0 && u.Unpriced == 0 {
		cost := u.Cost / llm.Nanodollars(good)
		r.CostPerSuccess = &cost
	}
}
