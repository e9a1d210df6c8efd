package app

import (
	"hash/maphash"
	"net/http"
	"strconv"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/limit"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/tokens"
)

// credential is one key of a provider.
type credential struct {
	name  string
	key   llm.Secret
	rates limit.Rates
}

// credentialsOf gives the keys of a provider names and the limits that the file says.
func credentialsOf(keys []config.ProviderKey, common config.ProviderLimits) []credential {
	out := make([]credential, 0, len(keys))
	for i, k := range keys {
		c := credential{name: k.Name, key: k.Key, rates: limit.Rates(common)}
		if c.name == "" {
			c.name = strconv.Itoa(i + 1)
		}
		if k.Limits != nil {
			c.rates = limit.Rates(*k.Limits)
		}
		out = append(out, c)
	}
	return out
}

// pool makes the pool of a provider's credentials; nil when nothing is to be
// kept of them.
func (a *App) pool(f *Found) *limit.Pool {
	limited := false
	o := limit.PoolOptions{Provider: f.Row.ID, CacheFree: f.Row.CacheFree,
		Off: func(name string, e *llm.Error, long time.Duration) {
			a.log.Warn("a credential is set aside", "provider", f.Row.ID, "credential", name, "class", e.Class, "status", e.Status, "for", long, "message", e.Message)
		},
		On: func(name string) {
			a.log.Info("a credential works again", "provider", f.Row.ID, "credential", name)
		},
	}
	for _, c := range f.credentials {
		limited = limited || c.rates != (limit.Rates{})
		o.Credentials = append(o.Credentials, limit.Credential{Name: c.name, Rates: c.rates})
	}
	learn := f.learn && f.Row.Auth != catalog.NoAuth
	if f.Row.ID == rehearsalID || len(o.Credentials) == 0 || !learn && !limited && len(o.Credentials) == 1 {
		return nil
	}
	if learn {
		o.Headers = f.Row.Rates
	}
	return limit.NewPool(o)
}

// hear gives what the headers of a provider's answers say to its pool.
func (a *App) hear(provider string, p *limit.Pool) func(credential int, op llm.Op, model string, h http.Header) {
	return func(credential int, op llm.Op, model string, h http.Header) {
		class, _ := shared(a.catalogNow(), provider, model)
		p.Hear(credential, op, class, h, time.Now())
	}
}

// shared is the name under which a model's requests are limited, and how many
// of them a provider takes at once.
func shared(c *catalog.Catalog, provider, model string) (class string, parallel int) {
	m, ok := c.Model(provider, model)
	switch {
	case !ok:
		return model, 0
	case m.Pool != "":
		return m.Pool, m.Parallel
	}
	return m.ID, m.Parallel
}

// reserver finds room for an attempt at the credentials of its provider.
type reserver struct {
	pools   map[string]*limit.Pool
	catalog *catalog.Catalog
	seed    maphash.Seed
}

// Reserve takes room for one attempt.
func (r *reserver) Reserve(t *route.Target, d *llm.Draft, tried uint64, most time.Duration) (relay.Hold, time.Duration, *llm.Error) {
	pool := r.pools[t.Provider]
	if pool == nil && tried == 0 {
		return unheld{}, 0, nil
	}
	if pool == nil {
		return nil, 0, llm.Errorf(llm.Unsupported, "%s has no other credential", t.Provider)
	}
	ask := limit.Ask{Op: d.Op, MaxOutput: d.Head.MaxTokens, Tried: tried, Most: most}
	ask.Class, ask.Parallel = shared(r.catalog, t.Provider, t.Model)
	if e, ok := d.Edit(llm.EditMaxTokens); ok {
		ask.MaxOutput = e.Number
	}
	if d.Op != llm.OpRaw && pool.Counts(d.Op, ask.Class) {
		ask.Input = tokens.Rough(d.Raw, tokens.FamilyOf(t.Model))
	}
	if pool.Len() > 1 {
		ask.Affinity = r.affinity(d)
	}
	place, wait, full := pool.Reserve(&ask, time.Now())
	if full != nil {
		return nil, 0, full
	}
	return held{place}, wait, nil
}

// opening is how much of a body tells conversations apart that do not say which
// they are: enough for the instructions and the first turn of most. Shorter ones
// have no prompt cache to return to.
const opening = 4 << 10

// affinity is the same for the requests of one conversation.
func (r *reserver) affinity(d *llm.Draft) uint64 {
	switch {
	case d.Session != "":
		return maphash.String(r.seed, d.Session)
	case d.Head.CacheKey != "":
		return maphash.String(r.seed, d.Head.CacheKey)
	case len(d.Raw) < opening:
		return 0
	}
	return maphash.Bytes(r.seed, d.Raw[:opening])
}

// unheld is the room at a provider that nothing is kept of.
type unheld struct{}

func (unheld) Credential() int                 { return 0 }
func (unheld) Name() string                    { return "" }
func (unheld) Done(*relay.Attempt, *llm.Error) {}

// held is a place in a pool.
type held struct{ limit.Place }

// Done tells the pool how the attempt went.
func (h held) Done(a *relay.Attempt, failed *llm.Error) {
	if failed == nil && a.Class != "" && a.Class != llm.ContentRefused {
		failed = &llm.Error{Class: a.Class}
	}
	h.Place.Done(limit.Result{Sent: a.Sent, Usage: a.Usage, Output: int64(a.OutputBytes+3) / 4, Err: failed}, time.Now())
}
