package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tier is one row of data/tiers.rows: by how much a model costs more or less
// where its provider served an answer at a tier, or in a place.
type Tier struct {
	// Name is the provider's word for the tier in lower case, or "geo:" and the
	// place.
	Name string
	// Factor is in thousandths: 500 is half of the price.
	Factor int64
	// Since is when it came into force (UTC); zero means always.
	Since time.Time
	// Models are the ids that it is for; nil means all.
	Models []string
	// Source says where the row comes from, with a date; Note is for people.
	Source, Note string
}

// standard are the words for what the price itself is for. A batch's factor is
// the price's own.
var standard = []string{"", "default", "standard", "standard_only", "auto", "on_demand", "batch"}

// nowhere are the words of a provider that serves wherever it likes.
var nowhere = []string{"", "global", "not_available", "default"}

// tier reads one row of tiers.
func (b *builder) tier(line string) error {
	id, rest, _ := strings.Cut(line, "\t")
	names, rest, _ := strings.Cut(rest, "\t")
	p := b.providers[id]
	if p == nil {
		return errf("tier of an unknown provider %q", id)
	}
	t := Tier{Source: b.source}
	err := fields(rest, func(k, v string) (err error) {
		switch k {
		case "factor":
			t.Factor, err = factor(v)
		case "from":
			t.Since, err = time.Parse(time.DateOnly, v)
		case "for":
			t.Models = b.list(v)
		case "note":
			t.Note = v
		default:
			return errf("unknown field")
		}
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", id, names, err)
	case t.Factor == 0:
		return errf("%s %s: no factor", id, names)
	}
	for _, name := range b.list(names) {
		if name == "" || name != strings.ToLower(name) || slices.Contains(standard, name) {
			return errf("%s: bad tier %q", id, name)
		}
		t.Name = name
		p.Tiers = append(p.Tiers, t)
	}
	return nil
}

// TierFactor is by how much more or less a model costs at a tier and in a
// place, in thousandths, both as llm.Usage says them. It is false where the
// provider has tiers of other prices and this is none of them that is known.
func (c *Catalog) TierFactor(provider, model, tier, geo string, at time.Time) (factor int64, ok bool) {
	factor = 1000
	usual, anywhere := slices.Contains(standard, tier), slices.Contains(nowhere, geo)
	if usual && anywhere {
		return factor, true
	}
	p, ok := c.byName[provider]
	if !ok || len(p.Tiers) == 0 {
		return factor, true
	}
	if m, ok := c.byKey[key{p.ID, model}]; ok {
		model = m.ID // it may have been asked for by an alias
	}
	if !usual {
		if factor = p.tier(tier, model, at); factor == 0 {
			return 0, false
		}
	}
	if !anywhere {
		more := p.tier("geo:"+geo, model, at)
		if more == 0 {
			return 0, false
		}
		factor = factor * more / 1000
	}
	return factor, true
}

// tier is the factor of the last row that applies; 0 when there is none.
func (p *Provider) tier(name, model string, at time.Time) int64 {
	for i := len(p.Tiers) - 1; i >= 0; i-- {
		t := &p.Tiers[i]
		if t.Name == name && !t.Since.After(at) && (t.Models == nil || slices.Contains(t.Models, model)) {
			return t.Factor
		}
	}
	return 0
}
