package app

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/limit"
	"headrace/internal/llm"
	"headrace/internal/provider"
)

// Found is a provider that was found or looked for.
type Found struct {
	Row *catalog.Provider
	// Ready says that it can be called; Disabled that the operator does not
	// want it.
	Ready, Disabled bool
	// Source says where it was found, such as "ANTHROPIC_API_KEY" or the
	// configuration file.
	Source string
	// Advice says what to do about one that is not ready.
	Advice string
	// BaseURL is where its requests go.
	BaseURL string

	// credentials are its keys; one that needs none may have one without a key.
	credentials []credential
	// learn says that its own limits are taken from its answers.
	learn   bool
	header  map[string]string
	connect time.Duration
	// answer and event are the largest of each, in bytes.
	answer, event int64
	// watched says that it was found by looking for it now and again.
	watched bool
}

const (
	// rehearsalID is the built-in provider, ollamaID the one that is looked for
	// on this host.
	rehearsalID = "rehearsal"
	ollamaID    = "ollama"
)

// overrides turns the configuration into the catalogue's words.
func overrides(cfg *config.Config, refresh []byte) catalog.Overrides {
	o := catalog.Overrides{Refresh: refresh, Providers: map[string]catalog.ProviderOverride{}, Models: map[string]catalog.ModelOverride{}}
	for id, p := range cfg.Providers {
		o.Providers[id] = catalog.ProviderOverride{Dialect: llm.Dialect(p.Dialect), BaseURL: p.BaseURL, Auth: catalog.Auth(p.Auth)}
		for _, m := range p.Models {
			o.Models[id+"/"+m] = catalog.ModelOverride{}
		}
	}
	for name, m := range cfg.Models {
		out := catalog.ModelOverride{Name: m.Name, Efforts: m.Efforts}
		if m.Window != nil {
			out.Window = *m.Window
		}
		if m.MaxOutput != nil {
			out.MaxOutput = *m.MaxOutput
		}
		for _, c := range slices.Sorted(maps.Keys(m.Capabilities)) {
			if m.Capabilities[c] {
				out.Has = append(out.Has, c)
			} else {
				out.Lacks = append(out.Lacks, c)
			}
		}
		if m.Price != nil {
			out.Price = &catalog.PriceOverride{
				Input: usd(m.Price.Input), Output: usd(m.Price.Output), CacheRead: usd(m.Price.CacheRead),
				CacheWrite5m: usd(m.Price.CacheWrite5m), CacheWrite1h: usd(m.Price.CacheWrite1h),
			}
		}
		o.Models[name] = out
	}
	return o
}

func usd(u *config.USD) *float64 {
	if u == nil {
		return nil
	}
	v := float64(*u) / 1e9
	return &v
}

// look finds the providers that the configuration names and, when it wants
// that, those that the environment has a key for; by id.
func look(cfg *config.Config, env config.Env, c *catalog.Catalog) []Found {
	var all []Found
	for _, row := range c.Providers() {
		if f, ok := lookFor(row, cfg, env); ok {
			all = append(all, f)
		}
	}
	return all
}

// lookFor says what there is of one provider; ok is false when nobody spoke
// of it.
func lookFor(row *catalog.Provider, cfg *config.Config, env config.Env) (f Found, ok bool) {
	own, named := inFile(row, cfg)
	f = Found{Row: row, learn: cfg.Limits.Learn, BaseURL: row.BaseURL, connect: limited(cfg.Timeouts.Connect),
		answer: int64(cfg.Limits.Answer), event: int64(cfg.Limits.Event)}
	if row.ID == rehearsalID {
		f.Source, f.Ready, f.Disabled = "built in", !own.Disabled, own.Disabled
		return f, true
	}
	var moved bool
	if cfg.Discover || named {
		names := row.Env
		if row.Explicit && !named {
			names = nil
		}
		l := env.Provider(row.ID, names)
		f.Source, f.Advice = l.From, l.Advice
		if l.Key != "" {
			var keys []config.ProviderKey
			for _, key := range append([]llm.Secret{l.Key}, l.More...) {
				keys = append(keys, config.ProviderKey{Key: key})
			}
			f.credentials = credentialsOf(keys, own.Limits)
		}
		if moved = l.BaseURL != ""; moved {
			f.BaseURL = l.BaseURL
			if f.Source == "" {
				f.Source = config.BaseURLVariable(row.ID)
			}
		}
	}
	if named {
		f.overlay(own, cfg)
	} else if len(f.credentials) == 0 && f.Advice == "" && !(moved && row.Auth == catalog.NoAuth) {
		return f, false
	}
	f.settle(cfg)
	return f, true
}

// inFile gives what the file says of a provider, under its id or an alias.
func inFile(row *catalog.Provider, cfg *config.Config) (config.Provider, bool) {
	for _, id := range append([]string{row.ID}, row.Aliases...) {
		if p, ok := cfg.Providers[id]; ok {
			return p, true
		}
	}
	return config.Provider{}, false
}

// overlay lays what the file says over what the environment said.
func (f *Found) overlay(own config.Provider, cfg *config.Config) {
	f.Source, f.Disabled = cfg.File(), own.Disabled
	keys := own.APIKeys
	if own.APIKey != "" {
		keys = []config.ProviderKey{{Key: own.APIKey}}
	}
	switch {
	case len(keys) == 0 && len(f.credentials) == 0 && f.Row.Auth == catalog.NoAuth:
		f.credentials = credentialsOf(make([]config.ProviderKey, 1), own.Limits)
	case len(keys) == 0:
	case slices.ContainsFunc(keys, func(k config.ProviderKey) bool { return config.Ours(k.Key) }):
		f.credentials, f.Advice = nil, "its api_key is a key of Headrace itself: give it the key that "+f.Row.ID+" gave you"
	default:
		f.credentials, f.Advice = credentialsOf(keys, own.Limits), ""
	}
	if own.BaseURL != "" {
		f.BaseURL = own.BaseURL
	}
	for name, v := range own.Headers {
		if f.header == nil {
			f.header = map[string]string{}
		}
		f.header[name] = v.Reveal()
	}
	if c := own.Connect; c != nil {
		f.connect = limited(*c)
	}
}

// settle decides whether the provider can be called.
func (f *Found) settle(cfg *config.Config) {
	switch {
	case f.Disabled:
	case len(f.credentials) == 0 && f.Row.Auth != catalog.NoAuth:
		if f.Advice == "" {
			f.Advice = "it has no key"
			if len(f.Row.Env) > 0 {
				f.Advice += ": set " + f.Row.Env[0]
			}
		}
	case f.BaseURL == "":
		f.Advice = fmt.Sprintf("it needs its base URL: set %s", config.BaseURLVariable(f.Row.ID))
	case config.LeadsTo(f.BaseURL, cfg.Listen):
		f.Advice = "its base URL leads back to this gateway"
	default:
		f.Ready = true
	}
}

// made is a provider with what it was made from.
type made struct {
	from     Found
	provider *provider.Provider
	pool     *limit.Pool // nil when nothing is kept of its credentials
}

// callable makes what was found callable, or gives what was made of the same
// before: its connections stay open. a.mu is held.
func (a *App) callable(f *Found) (made, error) {
	if m, ok := a.made[f.Row.ID]; ok && reflect.DeepEqual(m.from, *f) {
		return m, nil
	}
	m := made{from: *f, pool: a.pool(f)}
	var err error
	if m.provider, err = a.makeProvider(*f, m.pool); err == nil {
		if old, ok := a.made[f.Row.ID]; ok {
			old.provider.Rest() // what runs there ends by itself
		}
		if a.made == nil {
			a.made = map[string]made{}
		}
		a.made[f.Row.ID] = m
	}
	return m, err
}

func (a *App) makeProvider(f Found, pool *limit.Pool) (*provider.Provider, error) {
	o := provider.Options{Row: f.Row, BaseURL: f.BaseURL, Header: f.header, Connect: f.connect, Slow: a.o.Slow,
		MaxAnswer: f.answer, MaxEvent: f.event}
	for _, c := range f.credentials {
		o.Keys = append(o.Keys, c.key)
	}
	if pool != nil {
		o.Hear = a.hear(f.Row.ID, pool)
	}
	if f.Row.ID == rehearsalID {
		o.BaseURL, o.Transport, o.Rehearsal = "http://rehearsal.invalid", a.rehearsal, true
	}
	return provider.New(o)
}
