// Package catalog knows what exists: providers, their models, prices,
// capabilities and limits. The facts are embedded rows of text (data/), merged
// at load with a refreshed list, with the operator's overrides and with what a
// provider's own model list says. A Catalog never changes once it is made.
package catalog

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Catalog is an immutable set of providers and models. It is safe for
// concurrent use; everything it returns is shared and must not be written to.
type Catalog struct {
	providers []*Provider          // sorted by id
	byName    map[string]*Provider // id and aliases
	models    []*Model             // sorted by provider, then id
	byKey     map[key]*Model       // id and aliases
	byBare    map[string][]*Model  // exact id and alias
	byPlain   map[string][]*Model  // plain(id) and plain(alias)
}

// key names a model at a provider.
type key struct{ provider, model string }

// Provider returns the provider with this id or alias.
func (c *Catalog) Provider(id string) (*Provider, bool) {
	p, ok := c.byName[id]
	return p, ok
}

// Providers returns every provider, sorted by id.
func (c *Catalog) Providers() []*Provider { return c.providers }

// Models returns every model, sorted by provider, then id.
func (c *Catalog) Models() []*Model { return c.models }

// Model returns the provider's model with this id or alias. The provider may
// be named by an alias too.
func (c *Catalog) Model(provider, id string) (*Model, bool) {
	p, ok := c.byName[provider]
	if !ok {
		return nil, false
	}
	m, ok := c.byKey[key{p.ID, id}]
	return m, ok
}

// Offers returns the models of all providers that a bare model id names, best
// known first: the vendor's own, then clouds, hosts, routers and local servers;
// what is retired, or missing from the provider's own list, comes after what is
// not. A provider's own spelling counts too: "claude-opus-4-8" finds
// OpenRouter's "anthropic/claude-opus-4.8", and "gpt-oss-120b" finds Groq's
// "openai/gpt-oss-120b". Variants with a suffix (":free") are other models. A
// vendor's prefix counts only where some provider puts it before this model:
// "x-ai/grok-4" finds all that have it, "acme/grok-4" none.
func (c *Catalog) Offers(id string) []*Model {
	exact := c.byBare[id]
	loose := c.byPlain[plain(id)]
	if len(loose) == 0 || strings.Contains(id, "/") && !slices.ContainsFunc(loose, func(m *Model) bool { return m.spelt(id) }) {
		return slices.Clone(exact)
	}
	// An alias may lead elsewhere than the spelling does: take both, once.
	offers := slices.Clone(exact)
	for _, m := range loose {
		if !slices.Contains(offers, m) {
			offers = append(offers, m)
		}
	}
	c.rank(offers)
	return offers
}

func (c *Catalog) rank(ms []*Model) {
	slices.SortStableFunc(ms, func(a, b *Model) int {
		return cmp.Or(cmp.Compare(c.rankOf(a), c.rankOf(b)), strings.Compare(a.Provider, b.Provider), strings.Compare(a.ID, b.ID))
	})
}

func (c *Catalog) rankOf(m *Model) int {
	r := c.byName[m.Provider].rank(m)
	if m.Status == Deprecated {
		r += 10
	}
	if m.Listed == Absent {
		r += 20
	}
	if m.Status == Retired {
		r += 40
	}
	return r
}

// Capability returns what the model at the provider accepts: the provider's
// manners and the model's row together. An unknown model has Known unset and
// the provider's manners; an unknown provider gives the zero Capability.
func (c *Catalog) Capability(provider, model string) llm.Capability {
	p, ok := c.byName[provider]
	if !ok {
		return llm.Capability{}
	}
	return p.capability(c.byKey[key{p.ID, model}])
}

// PriceAt returns the price of the model that is in force at a time.
func (c *Catalog) PriceAt(provider, model string, at time.Time) (*Price, bool) {
	m, ok := c.Model(provider, model)
	if !ok {
		return nil, false
	}
	return m.PriceAt(at)
}

// Cost returns what the usage costs at the provider's price in force at the
// given time, in nanodollars rounded up, and whether a price is known at all:
// an unknown price is never 0, while a price listed as 0 is. A cost that the
// provider itself reported wins over the table. The sum saturates at the
// largest int64; it is never negative. See Price.Cost for the rules. What
// the provider says of its tier and place counts (TierFactor).
func (c *Catalog) Cost(provider, model string, u llm.Usage, at time.Time) (cost llm.Nanodollars, priced bool) {
	if u.HasReported && u.Reported >= 0 {
		return u.Reported, true
	}
	p, ok := c.PriceAt(provider, model, at)
	if !ok {
		return 0, false
	}
	times, ok := c.TierFactor(provider, model, u.Tier, u.Geo, at)
	if !ok {
		return 0, false
	}
	return p.cost(u, at, u.Tier == "batch", times)
}

// spelt reports whether an id, with its vendor's prefix, is a spelling of the
// model's own or of one of its aliases.
func (m *Model) spelt(id string) bool {
	id = alike(id)
	return alike(m.ID) == id || slices.ContainsFunc(m.Aliases, func(a string) bool { return alike(a) == id })
}

// plain brings the spellings of one model together: lower case, without the
// vendor's prefix, with one separator.
func plain(id string) string {
	return alike(id[strings.LastIndexByte(id, '/')+1:])
}

// alike is plain with the vendor's prefix.
func alike(id string) string {
	clean := true
	for i := 0; i < len(id); i++ {
		if ch := id[i]; ch == '.' || ch == '_' || ch == '@' || ch >= 'A' && ch <= 'Z' {
			clean = false
			break
		}
	}
	if clean {
		return id
	}
	b := []byte(id)
	for i, ch := range b {
		switch {
		case ch == '.' || ch == '_' || ch == '@':
			b[i] = '-'
		case ch >= 'A' && ch <= 'Z':
			b[i] = ch + 'a' - 'A'
		}
	}
	return string(b)
}

// build indexes providers and models, which it takes over.
func build(providers map[string]*Provider, models []*Model) (*Catalog, error) {
	c := &Catalog{
		byName:  make(map[string]*Provider, 2*len(providers)),
		byKey:   make(map[key]*Model, len(models)+len(models)/8),
		byBare:  make(map[string][]*Model, len(models)),
		byPlain: make(map[string][]*Model, len(models)),
		models:  models,
	}
	for _, p := range providers {
		c.providers = append(c.providers, p)
	}
	slices.SortFunc(c.providers, func(a, b *Provider) int { return strings.Compare(a.ID, b.ID) })
	for _, p := range c.providers {
		for _, n := range append([]string{p.ID}, p.Aliases...) {
			if old, ok := c.byName[n]; ok {
				return nil, errf("provider %s: the name %q is taken by %s", p.ID, n, old.ID)
			}
			c.byName[n] = p
		}
	}
	for _, m := range models {
		c.byKey[key{m.Provider, m.ID}] = m
	}
	// An alias takes the place of a row of its own: price lists of third
	// parties list moving aliases as models.
	gone := 0
	for _, m := range models {
		for _, a := range m.Aliases {
			k := key{m.Provider, a}
			if old, ok := c.byKey[k]; ok && old != m {
				if old.ID != a {
					return nil, errf("model %s/%s: the alias %q is taken by %s", m.Provider, m.ID, a, old.ID)
				}
				gone++
			}
			c.byKey[k] = m
		}
	}
	if gone > 0 {
		c.models = slices.DeleteFunc(slices.Clone(models), func(m *Model) bool { return c.byKey[key{m.Provider, m.ID}] != m })
	}
	slices.SortFunc(c.models, func(a, b *Model) int {
		return cmp.Or(strings.Compare(a.Provider, b.Provider), strings.Compare(a.ID, b.ID))
	})
	for _, m := range c.models {
		c.byBare[m.ID] = append(c.byBare[m.ID], m)
		p := plain(m.ID)
		c.byPlain[p] = append(c.byPlain[p], m)
		for _, a := range m.Aliases {
			c.byBare[a] = append(c.byBare[a], m)
			if q := plain(a); q != p {
				c.byPlain[q] = append(c.byPlain[q], m)
			}
		}
	}
	for _, ms := range c.byBare {
		if len(ms) > 1 {
			c.rank(ms)
		}
	}
	return c, nil
}
