package app

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/gateway"
	"headrace/internal/health"
	"headrace/internal/limit"
	"headrace/internal/llm"
	"headrace/internal/provider"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// refreshFile holds the rows of `headrace models refresh` in the data
// directory.
const refreshFile = "models.refreshed"

// loadCatalog reads the embedded rows, the refreshed ones and the
// configuration's.
func loadCatalog(cfg *config.Config, data string) (*catalog.Catalog, error) {
	refresh, err := os.ReadFile(filepath.Join(data, refreshFile))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return catalog.Load(overrides(cfg, refresh))
}

// sender finds the provider that a target names.
type sender struct {
	providers map[string]*provider.Provider
	alarm     *alarm
}

// Send makes one attempt.
func (s sender) Send(ctx context.Context, t *route.Target, d *llm.Draft) (*llm.Answer, error) {
	p, ok := s.providers[t.Provider]
	if !ok {
		return nil, llm.Errorf(llm.Unsupported, "provider %s is not configured any more", t.Provider)
	}
	ans, err := p.Send(ctx, t.Model, &t.Capability, d)
	if err != nil {
		s.alarm.hear(t.Provider, err)
	}
	return ans, err
}

// breaker asks health whether a target may be tried.
type breaker struct {
	table   *health.Table
	catalog *catalog.Catalog
}

// Allow asks for leave to make an attempt.
func (b breaker) Allow(t *route.Target, repeat bool) (relay.Permit, time.Duration) {
	p, wait, ok := b.table.Allow(health.Target{Provider: t.Provider, Model: t.Model}, repeat)
	if !ok {
		return nil, wait
	}
	return permit{p, b.catalog}, 0
}

type permit struct {
	health.Permit
	catalog *catalog.Catalog
}

// Done tells health how the attempt went.
func (p permit) Done(a *relay.Attempt) {
	r := health.Result{Class: a.Class, Total: a.Total, Output: a.Usage.Output, Aside: a.Op != llm.OpChat && a.Op != llm.OpEmbed}
	if a.Streamed {
		r.FirstByte = a.FirstByte
	}
	if a.Usage.Source != "" {
		r.Cost, r.Priced = p.catalog.Cost(a.Provider, a.Model, a.Usage, a.Start)
	} else {
		// A failure without usage costs nothing that is known of.
		r.Priced = a.Class != "" && a.Finish.Reason == ""
	}
	p.Permit.Done(r)
}

// prepare fits a request that named a route to the target's model.
func prepare(t *route.Target, d llm.Draft) llm.Draft {
	if d.Op != llm.OpChat {
		return d
	}
	if t.Reshape {
		d = d.With(llm.Edit{Kind: llm.EditReshape})
	}
	if level := cmp.Or(d.Think, t.Think); level != "" {
		d = provider.Think(d, level)
	}
	return d
}

// routes are what the operator says of them: lists, and ladders.
func routes(cfg *config.Config) (lists map[string][]string, ladders map[string]*route.Ladder) {
	lists, ladders = map[string][]string{}, map[string]*route.Ladder{}
	for name, r := range cfg.Routes {
		if len(r.Ladder) == 0 {
			lists[name] = r.Targets
			continue
		}
		l := &route.Ladder{Name: name}
		for _, rung := range r.Ladder {
			l.Rungs = append(l.Rungs, route.Rung{Model: rung.Model, Think: rung.Thinking})
		}
		if must := r.Success; must != nil {
			not := func(word string) bool { return slices.Contains(must.Not, word) }
			l.Success = &route.Success{Schema: must.Schema, ToolsValid: must.ToolsValid, Refusal: not("refusal"), Truncated: not("truncated"), Empty: not("empty"), Opinion: must.SecondOpinion}
		}
		if aim := r.Aim; aim != nil {
			l.Aim = route.Aim{Quality: aim.Quality, FirstToken: aim.P95FirstToken.Std(), MaxCost: llm.Nanodollars(aim.MaxCost), Value: llm.Nanodollars(aim.ValueOfSuccess)}
			if aim.Explore != nil {
				if l.Aim.Explore = *aim.Explore; l.Aim.Explore == 0 {
					l.Aim.Explore = -1
				}
			}
		}
		for _, w := range r.When {
			l.When = append(l.When, route.When{Script: w.Script, Has: w.Has, Task: w.Task, Use: w.Use})
		}
		ladders[name] = l
	}
	return lists, ladders
}

// snapshot builds what requests see from what is known now; a.mu is held, or
// nobody else knows a yet.
func (a *App) snapshot(cfg *config.Config) *gateway.Snapshot {
	providers := map[string]*provider.Provider{}
	room := &reserver{pools: map[string]*limit.Pool{}, catalog: a.catalog, seed: a.seed}
	policy := &route.Policy{Configured: map[string]bool{}}
	policy.Routes, policy.Ladders = routes(cfg)
	for i := range a.found {
		f := &a.found[i]
		if !f.Ready {
			continue
		}
		m, err := a.callable(f)
		if err != nil {
			f.Ready, f.Advice = false, err.Error()
			continue
		}
		providers[f.Row.ID] = m.provider
		if m.pool != nil {
			room.pools[f.Row.ID] = m.pool
		}
		policy.Configured[f.Row.ID] = true
	}
	for name, l := range route.Ready(a.catalog, policy.Configured) {
		if !policy.Is(name) {
			policy.Ladders[name] = l
		}
	}
	a.steer.Set(a.catalog, policy.Ladders)
	a.providers = providers
	send := sender{providers, &a.alarm}
	var guard relay.Breaker
	if cfg.Retries.Failures > 0 {
		guard = breaker{a.health, a.catalog}
	}
	r := relay.New(relay.Options{
		Sender: send, Prepare: prepare, Reserver: room, Breaker: guard, Policy: rules(cfg, ""),
		Attempts: cfg.Retries.Attempts, Hold: limited(cfg.Timeouts.Hold),
		Limits: attemptLimits(cfg.Timeouts), Providers: ownLimits(cfg, a.catalog, nil), Routes: routeTerms(cfg, a.catalog), Drains: a.drainers(cfg), Hedge: a.hedger(cfg), Judge: judge{},
	})
	c := a.catalog
	return &gateway.Snapshot{
		Catalog: c, Policy: policy, Relay: r, Models: models(c, policy), MaxBody: int64(cfg.Limits.Body), ReadIn: cfg.Timeouts.Read.Std(), WriteIn: cfg.Timeouts.Idle.Std(), Guards: a.guards,
		Counts: func(id string, from llm.Dialect) (own, also bool) {
			row, ok := c.Provider(id)
			if !ok {
				return false, false
			}
			own = (row.Dialect == from || slices.Contains(row.Also, from)) && provider.Does(from, nil, from, llm.OpCountTokens)
			return own, provider.Does(row.Dialect, row.Also, from, llm.OpCountTokens)
		},
	}
}

// tokenBytes is about how many bytes of text a token is.
const tokenBytes = 4

// attemptLimits are the limits of an attempt, with what its provider and its
// route have of their own, the last word last.
func attemptLimits(all config.Timeouts, layers ...*config.OwnTimeouts) relay.Limits {
	for _, own := range layers {
		if own == nil {
			continue
		}
		for _, d := range []struct{ to, own *config.Duration }{
			{&all.FirstByte, own.FirstByte}, {&all.FirstContent, own.FirstContent}, {&all.Idle, own.Idle},
			{&all.WarmUp, own.WarmUp}, {&all.Total, own.Total},
		} {
			if d.own != nil {
				*d.to = *d.own
			}
		}
		if own.Floor != nil {
			all.Floor = *own.Floor
		}
	}
	return relay.Limits{
		FirstByte: limited(all.FirstByte), FirstContent: all.FirstContent.Std(), Idle: limited(all.Idle),
		Floor: all.Floor * tokenBytes, WarmUp: all.WarmUp.Std(), Total: all.Total.Std(),
	}
}

// ownLimits are those of the providers that have limits of their own; of, when
// it is not nil, is what a route says over them.
func ownLimits(cfg *config.Config, c *catalog.Catalog, of *config.OwnTimeouts) map[string]relay.Limits {
	own := map[string]relay.Limits{}
	for id, p := range cfg.Providers {
		if p.Timeouts == nil {
			continue
		}
		if row, ok := c.Provider(id); ok { // the file may name an alias
			id = row.ID
		}
		own[id] = attemptLimits(cfg.Timeouts, p.Timeouts, of)
	}
	return own
}

// routeTerms are what the routes have of their own.
func routeTerms(cfg *config.Config, c *catalog.Catalog) map[string]relay.Terms {
	own := map[string]relay.Terms{}
	for name := range cfg.Routes {
		retries, says := cfg.Retries.Routes[name]
		var within *config.OwnTimeouts
		if t, ok := cfg.Timeouts.Routes[name]; ok {
			within, says = &t, true
		}
		if !says {
			continue
		}
		t := relay.Terms{Policy: rules(cfg, name), Attempts: cfg.Retries.Attempts,
			Limits: attemptLimits(cfg.Timeouts, within), Providers: ownLimits(cfg, c, within)}
		if retries.Attempts != nil {
			t.Attempts = *retries.Attempts
		}
		own[name] = t
	}
	return own
}

// drainers are the providers whose answers are read on when the client leaves.
// What runs under one that has not changed goes on to count. a.mu is held, or
// nobody else knows a yet.
func (a *App) drainers(cfg *config.Config) map[string]*relay.Drain {
	now := map[string]*relay.Drain{}
	for id, p := range cfg.Providers {
		if p.Drain == 0 {
			continue
		}
		if row, ok := a.catalog.Provider(id); ok {
			id = row.ID
		}
		d := a.drains[id]
		if bytes, span := int64(cfg.Limits.Answer), limited(cfg.Timeouts.Drain); d == nil || d.Most != p.Drain || d.For != span || d.Bytes != bytes {
			d = &relay.Drain{Most: p.Drain, For: span, Bytes: bytes}
		}
		now[id] = d
	}
	a.drains = now
	return now
}

// closeDrains ends all that is read for nobody.
func (a *App) closeDrains() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.drains {
		d.Close()
	}
}

// limited reads a timeout of the configuration, where 0 switches it off; to the
// rooms 0 means their default.
func limited(d config.Duration) time.Duration {
	if d == 0 {
		return forever
	}
	return d.Std()
}

const forever = 100 * 365 * 24 * time.Hour

// rules lays the configuration's changes over the built-in table: those for all
// requests, then those of a route, empty for none.
func rules(cfg *config.Config, route string) []relay.Rule {
	table := relay.DefaultPolicy()
	for i := range table {
		r := &table[i]
		for _, classes := range []map[string]config.ClassPolicy{cfg.Retries.Classes, cfg.Retries.Routes[route].Classes} {
			if own, ok := classes[string(r.Class)]; ok {
				change(r, &own)
			}
		}
	}
	return table
}

// change lays what the configuration says over one row.
func change(r *relay.Rule, own *config.ClassPolicy) {
	if own.Repeat != nil {
		r.Retries = *own.Repeat
		if *own.Repeat > 0 && r.Step == relay.StepNext {
			r.Step = relay.StepRetry
		}
	}
	if own.Backoff != nil {
		r.Backoff = own.Backoff.Std()
	}
	if own.MaxWait != nil {
		r.MaxWait = own.MaxWait.Std()
	}
	if own.Next != nil && !*own.Next {
		r.Step = relay.StepStop
	} else if own.Next != nil && r.Step == relay.StepStop {
		r.Step = relay.StepNext
	}
}

// common describes a route by what all of its targets that can be called have in
// common: a client that keeps to it is served by any. Where one of them is
// unknown nothing is said.
func common(name string, targets []string, c *catalog.Catalog, p *route.Policy) llm.ModelInfo {
	info := llm.ModelInfo{ID: name, Name: name, OwnedBy: "headrace"}
	var rows []llm.ModelInfo
	for _, t := range targets {
		provider, model, _ := strings.Cut(t, "/")
		if row, ok := c.Provider(provider); ok {
			provider = row.ID
		}
		if !p.Configured[provider] {
			continue
		}
		m, ok := c.Model(provider, model)
		if !ok || !m.Known {
			return info
		}
		rows = append(rows, c.Info(m))
	}
	for i, r := range rows {
		if i == 0 {
			info.Window, info.MaxOutput, info.Gives = r.Window, r.MaxOutput, r.Gives
			info.Capability = llm.Capability{Known: true, Has: r.Capability.Has, Efforts: slices.Clone(r.Capability.Efforts)}
			continue
		}
		// 0 is unknown, and less than anything.
		info.Window, info.MaxOutput = min(info.Window, r.Window), min(info.MaxOutput, r.MaxOutput)
		info.Capability.Has &= r.Capability.Has
		info.Capability.Efforts = slices.DeleteFunc(info.Capability.Efforts, func(e string) bool { return !slices.Contains(r.Capability.Efforts, e) })
		if !slices.Equal(info.Gives, r.Gives) {
			info.Gives = nil
		}
	}
	return info
}

// models lists what clients may ask for: routes first, then every model that
// gives text or embeddings, of the providers that can be called.
func models(c *catalog.Catalog, p *route.Policy) []llm.ModelInfo {
	var all []llm.ModelInfo
	now := time.Now()
	for _, m := range c.Models() {
		if p.Configured[m.Provider] && (m.Text() || m.Embeds()) && m.StatusAt(now) != catalog.Retired && m.Listed != catalog.Absent {
			all = append(all, c.Info(m))
		}
	}
	slices.SortFunc(all, func(x, y llm.ModelInfo) int { return strings.Compare(x.ID, y.ID) })
	var routes []llm.ModelInfo
	for name, targets := range p.Routes {
		routes = append(routes, common(name, targets, c, p))
	}
	for name, l := range p.Ladders {
		var targets []string
		for _, r := range l.Rungs {
			targets = append(targets, r.Model)
		}
		routes = append(routes, common(name, targets, c, p))
		if name == "auto" {
			routes = append(routes, common("auto:floor", targets, c, p), common("auto:nitro", targets, c, p))
		}
	}
	slices.SortFunc(routes, func(x, y llm.ModelInfo) int { return strings.Compare(x.ID, y.ID) })
	return append(routes, all...)
}
