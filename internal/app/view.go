package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"headrace/internal/access"
	"headrace/internal/admin"
	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
)

// adminOptions fills in what the admin API shows.
func (a *App) adminOptions(o admin.Options) admin.Options {
	o.Keys, o.Usage, o.Requests, o.Catalog = keysView{a.ring}, ledgerView{a.ledger}, ledgerView{a.ledger}, catalogView{a}
	o.Errors, o.Status, o.Log = errorsView(a.cfg), a.status, a.log
	o.Audit = &auditFile{path: filepath.Join(a.data, "audit.log"), log: func(err error) { a.log.Error("the audit log cannot be written", "error", err) }}
	return o
}

// keysView shows the key ring.
type keysView struct{ ring access.Ring }

func keyOf(k access.Key) admin.Key {
	return admin.Key{
		ID: k.ID, Name: k.Name, Team: k.Team, Admin: k.Admin, Prefix: k.Prefix, State: k.State(time.Now()),
		Created: k.Created, Expires: k.Expires, Revoked: k.Revoked, Models: k.Models, Limits: admin.Limits(k.Limits), RotatedTo: k.RotatedTo,
	}
}

// Keys lists all keys, oldest first.
func (v keysView) Keys(ctx context.Context) ([]admin.Key, error) {
	keys, err := v.ring.Store.Keys(ctx)
	out := make([]admin.Key, len(keys))
	for i, k := range keys {
		out[i] = keyOf(k)
	}
	slices.SortStableFunc(out, func(x, y admin.Key) int { return x.Created.Compare(y.Created) })
	return out, err
}

// CreateKey makes a key.
func (v keysView) CreateKey(ctx context.Context, s admin.KeySpec) (llm.Secret, admin.Key, error) {
	token, k, err := v.ring.Create(ctx, access.Spec{
		Name: s.Name, Team: s.Team, Admin: s.Admin, Expires: s.Expires, Models: s.Models, Limits: access.Limits(s.Limits),
	}, time.Now())
	return token, keyOf(k), err
}

// RevokeKey ends a key.
func (v keysView) RevokeKey(ctx context.Context, id string) (admin.Key, error) {
	k, err := v.ring.Revoke(ctx, id, time.Now())
	return keyOf(k), err
}

// RotateKey replaces a key.
func (v keysView) RotateKey(ctx context.Context, id string, overlap time.Duration) (llm.Secret, admin.Key, error) {
	token, k, err := v.ring.Rotate(ctx, id, overlap, time.Now())
	return token, keyOf(k), err
}

// ledgerView shows the ledger.
type ledgerView struct{ ledger *ledger.Ledger }

// UsageBy sums up.
func (v ledgerView) UsageBy(ctx context.Context, by string, since, until time.Time) ([]admin.UsageRow, error) {
	how, err := ledger.ParseBy(by)
	if err != nil {
		return nil, llm.Errorf(llm.InvalidRequest, "%s", err.Error())
	}
	rows, err := v.ledger.Usage(ctx, how, since, until)
	out := make([]admin.UsageRow, len(rows))
	for i, r := range rows {
		t := r.Tally
		out[i] = admin.UsageRow{
			Name: r.Group, Requests: t.Requests, Failed: t.Failed, Input: t.Input, CacheRead: t.CacheRead, CacheWrite5m: t.CacheWrite5m,
			CacheWrite1h: t.CacheWrite1h, Output: t.Output, Reasoning: t.Reasoning, Cost: t.Cost, Unpriced: t.Unpriced,
		}
		if r.Label != "" {
			out[i].Name = r.Label + " (" + r.Group + ")"
		}
	}
	return out, err
}

// Requests lists rows.
func (v ledgerView) Requests(ctx context.Context, f admin.RequestFilter) ([]admin.Request, error) {
	q := ledger.Filter{Since: f.Since, Failed: f.Errors, Limit: f.Limit}
	if f.After != "" {
		id, err := ledger.ParseID(f.After)
		if err != nil {
			return nil, llm.Errorf(llm.InvalidRequest, "after: %s", err.Error())
		}
		e, ok, err := v.ledger.Request(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, llm.Errorf(llm.NotFound, "there is no request %s", id)
		case e.Seq == 0:
			return nil, nil // not written yet: nothing can have come after it
		}
		q.After = e.Seq
	}
	entries, err := v.ledger.Recent(ctx, q)
	out := make([]admin.Request, len(entries))
	for i := range entries {
		out[i] = requestOf(&entries[i])
	}
	return out, err
}

// Request gives one row.
func (v ledgerView) Request(ctx context.Context, id string) (admin.Request, error) {
	n, err := ledger.ParseID(id)
	if err != nil {
		return admin.Request{}, llm.Errorf(llm.NotFound, "%s", err.Error())
	}
	e, ok, err := v.ledger.Request(ctx, n)
	if err == nil && !ok {
		err = llm.Errorf(llm.NotFound, "there is no request %s", id)
	}
	return requestOf(&e), err
}

func tokensOf(u llm.Usage) admin.Tokens {
	return admin.Tokens{Input: u.Input, CacheRead: u.CacheRead, CacheWrite5m: u.CacheWrite5m, CacheWrite1h: u.CacheWrite1h,
		Output: u.Output, Reasoning: u.Reasoning, Source: u.Source}
}

func requestOf(e *ledger.Entry) admin.Request {
	r := admin.Request{
		ID: e.ID.String(), Start: e.At, Key: e.KeyID, KeyName: e.KeyName, Dialect: e.Dialect, Op: e.Op, Asked: e.Asked,
		Status: e.Status, Class: e.Class, Stream: e.Streamed, FirstByte: e.FirstByte.Milliseconds(), Total: e.Total.Milliseconds(),
		Usage: tokensOf(e.Usage), Cost: admin.Cost{Nanodollars: e.Cost, Priced: e.Priced}, Warnings: e.Warnings,
	}
	for i := range e.Attempts {
		t := &e.Attempts[i]
		r.Attempts = append(r.Attempts, admin.Attempt{
			N: t.N, Provider: t.Provider, Model: t.Model, Why: t.Why, Start: t.Start, FirstByte: t.FirstByte.Milliseconds(), Total: t.Total.Milliseconds(),
			Status: t.Status, Class: t.Class, Message: t.Message, Usage: tokensOf(t.Usage), Cost: admin.Cost{Nanodollars: t.Cost, Priced: t.Priced}, Upstream: t.UpstreamID,
		})
	}
	if last := e.Last(); last != nil && (e.Class == "" || e.Committed) {
		r.Provider, r.Model = last.Provider, last.Model
	}
	return r
}

// catalogView shows the catalogue.
type catalogView struct{ a *App }

// Models lists models by id.
func (v catalogView) Models(_ context.Context, all bool) ([]admin.Model, error) {
	c := v.a.catalogNow()
	now := time.Now()
	ready := map[string]bool{}
	for _, f := range v.a.foundNow() {
		ready[f.Row.ID] = f.Ready
	}
	var out []admin.Model
	for _, m := range c.Find(catalog.Query{Listed: true, At: now}) {
		if !all && !ready[m.Provider] {
			continue
		}
		info := c.Info(m)
		out = append(out, admin.Model{
			ID: info.ID, Provider: m.Provider, Name: info.Name, Aliases: m.Aliases, Window: m.Window, MaxOutput: m.MaxOutput,
			Features: features(info.Capability), Efforts: m.Efforts, Price: priceOf(m, now), State: string(m.StatusAt(now)), Usable: ready[m.Provider],
		})
	}
	slices.SortFunc(out, func(x, y admin.Model) int { return strings.Compare(x.ID, y.ID) })
	return out, nil
}

// features are named only when they are known: an unknown model might do
// anything.
func features(c llm.Capability) []string {
	if !c.Known {
		return nil
	}
	return catalog.NamesOf(c.Has)
}

func priceOf(m *catalog.Model, at time.Time) *admin.Price {
	p, ok := m.PriceAt(at)
	if !ok {
		return nil
	}
	usd := func(r catalog.Rate) *float64 {
		if !r.Known {
			return nil
		}
		v := r.USD()
		return &v
	}
	out := &admin.Price{Input: usd(p.Input), Output: usd(p.Output), CacheRead: usd(p.CacheRead), CacheWrite5m: usd(p.CacheWrite5m), CacheWrite1h: usd(p.CacheWrite1h)}
	var notes []string
	for _, s := range p.Steps {
		switch {
		case s.Over > 0:
			notes = append(notes, fmt.Sprintf("over %d prompt tokens: $%g in, $%g out", s.Over, s.Input.USD(), s.Output.USD()))
		default:
			notes = append(notes, fmt.Sprintf("at %s: $%g in, $%g out", s.When, s.Input.USD(), s.Output.USD()))
		}
	}
	out.Note = strings.Join(notes, "; ")
	return out
}

// Providers lists what was found or looked for.
func (v catalogView) Providers(context.Context) ([]admin.Provider, error) {
	return providersView(v.a.foundNow(), v.a.catalogNow()), nil
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

// Refresh reads a catalogue file, or asks the providers for their lists.
func (v catalogView) Refresh(ctx context.Context, file []byte) (admin.Refreshed, error) {
	a := v.a
	before := a.catalogNow()
	var notes []string
	if file == nil {
		for _, f := range a.foundNow() {
			if !f.Ready || f.Row.ID == rehearsalID || f.Row.ModelsPath == "" {
				continue
			}
			n, err := a.discoverOne(ctx, f.Row.ID)
			if err != nil {
				notes = append(notes, fmt.Sprintf("%s: %v", f.Row.ID, err))
			} else {
				notes = append(notes, fmt.Sprintf("%s lists %d models", f.Row.ID, n))
			}
		}
	} else {
		r, err := catalog.ParseRefresh(file, time.Now().UTC())
		if err != nil {
			return admin.Refreshed{}, llm.Errorf(llm.InvalidRequest, "%s", err.Error())
		}
		if err := r.WriteFile(filepath.Join(a.data, refreshFile)); err != nil {
			return admin.Refreshed{}, err
		}
		c, err := catalog.Load(overrides(a.cfg, r.Bytes()))
		if err != nil {
			return admin.Refreshed{}, err
		}
		a.change(func() { a.catalog = c })
		if len(r.Skipped) > 0 {
			notes = append(notes, fmt.Sprintf("no provider row for: %s", strings.Join(r.Skipped, ", ")))
		}
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

// errorsView is the table of error classes as people see it.
func errorsView(cfg *config.Config) []admin.ErrorClass {
	var out []admin.ErrorClass
	for _, r := range rules(cfg) {
		out = append(out, admin.ErrorClass{
			Class: r.Class, Status: statusOf(r.Class), Means: r.Why, Does: does(r), Repeat: r.Retries, Next: r.Step != relay.StepStop,
		})
	}
	return out
}

func does(r relay.Rule) string {
	switch r.Step {
	case relay.StepRetry:
		return fmt.Sprintf("tries again up to %d times from %v on, then the next target", r.Retries, r.Backoff)
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
	status, _ := openaiCodec.EncodeError(&llm.Error{Class: c})
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
		Version: a.o.Version, Started: a.started, Listen: a.cfg.Listen, Data: a.data, Config: a.cfg.File(),
		Ready: a.ready.Load() && !a.directory.Stale(), Keys: a.directory.Len(), Providers: ready, Streams: a.gateway.Running(),
		LedgerWaiting: int64(s.Waiting), LedgerDropped: s.Lost, Notes: a.info.Notes,
	}
}

// auditFile keeps a line of JSON for every change.
type auditFile struct {
	path string
	log  func(error)
	mu   sync.Mutex // one line at a time
}

// Audit notes who did what to which subject.
func (f *auditFile) Audit(_ context.Context, actor, action, subject string) {
	line, err := json.Marshal(map[string]any{"at": time.Now().UTC(), "actor": actor, "action": action, "subject": subject})
	if err == nil {
		err = f.append(append(line, '\n'))
	}
	if err != nil {
		f.log(err)
	}
}

func (f *auditFile) append(line []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(line); err != nil {
		return fmt.Errorf("%w; close: %v", err, file.Close())
	}
	return file.Close()
}
