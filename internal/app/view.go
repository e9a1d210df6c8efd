package app

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/admin"
	"headrace/internal/admission"
	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/health"
	"headrace/internal/limit"
	"headrace/internal/llm"
	"headrace/internal/meter"
	"headrace/internal/relay"
	"headrace/internal/wire/openai"
)

// adminOptions fills in what the admin API shows.
func (a *App) adminOptions(o admin.Options) admin.Options {
	rows := admin.LedgerRows{Reader: a.ledger, Searcher: a.ledger}
	o.Budgets = purses{a}
	o.Keys, o.Usage, o.Requests, o.Success = admin.RingKeys{Ring: access.Ring{Store: heard{a.db, a.directory}}}, rows, rows, rows
	o.Catalog = admin.CatalogRows{
		Now: a.catalogNow, Take: a.refresh,
		Found: func(context.Context) ([]admin.Provider, error) {
			return providersView(a.foundNow(), a.catalogNow()), nil
		},
	}
	o.Errors = func(route string) ([]admin.ErrorClass, error) { return errorsView(a.config(), route) }
	o.Status, o.Log = a.status, a.log
	o.Bodies = a.bodiesFor
	o.Overview, o.Pulse, o.Ends = a.overview, a.pulse, a.ends
	o.Jobs, o.Figures = overseen{a}, figures{a}
	o.Credentials, o.Configs, o.AuditLog = keyring{a}, configs{a}, a.db
	o.Audit = &audits{store: a.db, path: filepath.Join(a.data, "audit.log"), log: func(err error) { a.log.Error("the audit log cannot be written", "error", err) }}
	o.Experiments, o.WhatIf = a.study, whatIf{a}
	return o
}

// heard is a store of keys whose changes hold in this process at once; other
// processes see them when they look next.
type heard struct {
	access.Store
	directory *access.Directory
}

// PutKey stores a key and reads all of them again.
func (h heard) PutKey(ctx context.Context, k access.Key) error {
	if err := h.Store.PutKey(ctx, k); err != nil {
		return err
	}
	return h.directory.Reload(ctx)
}

func providersView(found []Found, c *catalog.Catalog) []admin.Provider {
	count := map[string]int{}
	for _, m := range c.Find(catalog.Query{Listed: true, At: time.Now()}) {
		count[m.Provider]++
	}
	var out []admin.Provider
	for _, f := range found {
		p := admin.Provider{ID: f.Row.ID, Name: f.Row.Name, Dialect: f.Row.Dialect, BaseURL: f.BaseURL, Source: f.Source, Models: count[f.Row.ID]}
		switch {
		case f.Ready:
			p.State = "ready"
		case f.Disabled:
			p.State = "disabled"
		default:
			p.State, p.Advice = "skipped", f.Advice
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(x, y admin.Provider) int { return strings.Compare(x.ID, y.ID) })
	return out
}

// astray says which targets of routes lead to providers that cannot be called:
// requests pass them over.
func astray(cfg *config.Config, found []Found, c *catalog.Catalog) (notes []string) {
	ready := map[string]bool{}
	for i := range found {
		ready[found[i].Row.ID] = found[i].Ready
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Routes)) {
		r := cfg.Routes[name]
		for _, target := range r.Each() {
			id, _, _ := strings.Cut(target, "/")
			row, ok := c.Provider(id)
			if !ok || ready[row.ID] {
				continue // a name that is nobody's is an error of the configuration
			}
			if _, named := inFile(row, cfg); row.ID == ollamaID && cfg.Discover && !named {
				continue // it is looked for now and again
			}
			hint := ""
			if len(row.Env) > 0 {
				hint = "; set " + row.Env[0]
			}
			notes = append(notes, fmt.Sprintf("route %s passes %s over: provider %s is not configured%s", name, target, row.ID, hint))
		}
	}
	return notes
}

// refresh brings a list of models into force and keeps it for the next start;
// without one it asks the providers for theirs.
func (a *App) refresh(ctx context.Context, r *catalog.Refresh) (admin.Refreshed, error) {
	before := a.catalogNow()
	var notes []string
	switch {
	case r != nil:
		if err := r.WriteFile(filepath.Join(a.data, refreshFile)); err != nil {
			return admin.Refreshed{}, err
		}
		if err := a.reloadCatalog(); err != nil {
			return admin.Refreshed{}, err
		}
	case a.ready.Load():
		notes = a.discover(ctx)
	default:
		return admin.Refreshed{}, llm.Errorf(llm.InvalidRequest, "only a running gateway asks its providers: name it with --url, or give --from FILE|URL")
	}
	out := compare(before, a.catalogNow())
	out.Notes = notes
	return out, nil
}

// compare counts what a refresh changed.
func compare(before, after *catalog.Catalog) admin.Refreshed {
	var out admin.Refreshed
	text := func(m *catalog.Model) string {
		return fmt.Sprint(m.Window, m.MaxOutput, m.Has, m.Prices, m.Status, m.Listed)
	}
	was := map[string]string{}
	for _, m := range before.Models() {
		was[m.Provider+"/"+m.ID] = text(m)
	}
	for _, m := range after.Models() {
		name := m.Provider + "/" + m.ID
		old, ok := was[name]
		switch {
		case !ok:
			out.Added++
		case old != text(m):
			out.Changed++
		}
		delete(was, name)
	}
	out.Gone = len(was)
	return out
}

// errorsView is the table of error classes as people see it: that of a route,
// or of all requests when it is empty.
func errorsView(cfg *config.Config, route string) ([]admin.ErrorClass, error) {
	if _, ok := cfg.Routes[route]; !ok && route != "" {
		return nil, llm.Errorf(llm.NotFound, "there is no route %q", route)
	}
	var out []admin.ErrorClass
	for _, r := range rules(cfg, route) {
		out = append(out, admin.ErrorClass{
			Class: r.Class, Status: statusOf(r.Class), Means: r.Why, Does: does(r), Repeat: r.Retries, Next: r.Step != relay.StepStop,
		})
	}
	return out, nil
}

func does(r relay.Rule) string {
	switch r.Step {
	case relay.StepRetry:
		often := "once"
		if r.Retries > 1 {
			often = fmt.Sprintf("up to %d times", r.Retries)
		}
		return fmt.Sprintf("tries again %s from %v on, then the next target", often, r.Backoff)
	case relay.StepNext:
		return "goes to the next target"
	default:
		return "tells the client"
	}
}

// statusOf is the status that an OpenAI client sees for a class.
func statusOf(c llm.Class) int {
	if c == llm.ClientGone {
		return 0 // nobody sees it
	}
	status, _ := openai.Codec{}.EncodeError(&llm.Error{Class: c})
	return status
}

func (a *App) status(context.Context) admin.Status {
	s := a.ledger.Stats()
	ready := 0
	for _, f := range a.foundNow() {
		if f.Ready {
			ready++
		}
	}
	return admin.Status{
		Version: a.o.Version, Started: a.started, Listen: a.info.Address, Data: a.data, Config: a.config().File(),
		Ready: a.ready.Load() && !a.directory.Stale(), Keys: a.directory.Len(), Providers: ready, Streams: a.gateway.Running(),
		LedgerWaiting: int64(s.Waiting), LedgerDropped: s.Lost, Targets: targetsView(a.health), Notes: a.info.Notes,
		Credentials: credentialsView(a.credentialStates(), time.Now()), Load: loadView(a.gate.Read()),
	}
}

// credentialStates gives the credentials of the providers in use, in the order
// of their names.
func (a *App) credentialStates() []meter.Credentials {
	a.mu.Lock()
	pools := map[string]*limit.Pool{}
	for id := range a.providers {
		if pool := a.made[id].pool; pool != nil {
			pools[id] = pool
		}
	}
	a.mu.Unlock()
	now, all := time.Now(), make([]meter.Credentials, 0, len(pools))
	for _, id := range slices.Sorted(maps.Keys(pools)) {
		all = append(all, meter.Credentials{Provider: id, States: pools[id].States(now)})
	}
	return all
}

// shownLimits is how many limits of one credential are shown.
const shownLimits = 20

func credentialsView(all []meter.Credentials, now time.Time) []admin.CredentialState {
	list := []admin.CredentialState{}
	for _, p := range all {
		for i := range p.States {
			s := &p.States[i]
			c := admin.CredentialState{Provider: p.Provider, Name: s.Name, State: "ready", Running: s.Running, Parallel: s.Parallel,
				SetAside: []admin.Aside{}, Pauses: []admin.Pause{}, Limits: []admin.CredentialLimit{}}
			for _, o := range s.Off {
				c.SetAside = append(c.SetAside, admin.Aside{Op: o.Op, Class: o.Class, Message: o.Message, Until: now.Add(o.For).UTC()})
			}
			for _, w := range s.Pauses[:min(len(s.Pauses), shownLimits)] {
				c.Pauses = append(c.Pauses, admin.Pause{Op: w.Op, Model: w.Class, Until: now.Add(w.For).UTC()})
			}
			switch {
			case len(c.SetAside) > 0:
				c.State = "set_aside"
			case len(c.Pauses) > 0:
				c.State = "rate_limited"
			}
			for _, l := range s.Limits[:min(len(s.Limits), shownLimits)] {
				source := "configured"
				if l.Learned {
					source = "learned"
				}
				c.Limits = append(c.Limits, admin.CredentialLimit{Kind: l.Kind.Name(), Op: l.Op, Model: l.Class, Source: source, Limit: l.Limit, Left: l.Left, PerSeconds: l.Per.Seconds()})
			}
			c.MoreLimits = len(s.Limits) - len(c.Limits)
			list = append(list, c)
		}
	}
	return list
}

func loadView(r admission.Reading) admin.Load {
	l := admin.Load{Running: r.Running, Waiting: r.Waiting, Limit: r.Limit, Most: r.Most, BodyBytes: r.Bytes}
	for p, n := range r.Queued {
		l.Queued = append(l.Queued, admin.Count{Name: admission.Priorities[p], Count: int64(n)})
	}
	for why, n := range r.Shed {
		l.Shed = append(l.Shed, admin.Count{Name: admission.Reasons[why], Count: n})
	}
	return l
}

func targetsView(table *health.Table) []admin.TargetHealth {
	readings := table.ReadAll(15 * time.Minute)
	list := make([]admin.TargetHealth, len(readings))
	for i := range readings {
		r := &readings[i]
		t := admin.TargetHealth{Provider: r.Provider, Model: r.Model, Breaker: string(r.State), Running: r.Running, Attempts: r.Attempts,
			Failed: []admin.ClassCount{}, SuccessRate: r.SuccessRate()}
		for _, class := range slices.Sorted(maps.Keys(r.Classes)) {
			t.Failed = append(t.Failed, admin.ClassCount{Class: string(class), Count: r.Classes[class]})
		}
		if c, ok := r.CostPerSuccess(); ok {
			t.CostPerSuccess = (*int64)(&c)
		}
		for phase, to := range map[health.Phase]*admin.Quantiles{health.FirstByte: &t.FirstByte, health.PerToken: &t.PerToken, health.Total: &t.Total} {
			q := r.Latency[phase]
			*to = admin.Quantiles{Count: q.Count, P50: q.P50.Seconds(), P90: q.P90.Seconds(), P99: q.P99.Seconds()}
		}
		list[i] = t
	}
	return list
}
