package route

import (
	"slices"

	"headrace/internal/catalog"
)

// Lead puts a model, written provider/model, before all else in the plan, with
// how hard it thinks; what the plan has of it besides is left out. It says why
// that cannot be, or "". The terms of the plan stay as they are.
func (p *Plan) Lead(f Facts, model, think, why string, c *catalog.Catalog, policy *Policy) (trouble string) {
	t, ok := pinned(model, c, policy)
	switch {
	case !ok:
		return "its provider is not configured"
	case f.Allowed != nil && !f.Allowed(t.Provider, t.Model, f.Model):
		return "this key may not use it"
	}
	if lacks := f.Needs.lacks(&t.Capability, think); lacks != "" {
		return lacks
	}
	t.Reshape, t.Think, t.Why = true, think, why
	rest := slices.DeleteFunc(slices.Clone(p.Targets), func(o Target) bool {
		return o.Provider == t.Provider && o.Model == t.Model && (o.Think == think || think == "")
	})
	p.Targets = append([]Target{t}, rest...)
	p.Ladder = nil // the order is fixed: nobody puts another rung first
	return ""
}

// Think has every target of the plan think that hard, for a reason.
func (p *Plan) Think(level, why string) {
	p.Targets = slices.Clone(p.Targets)
	for i := range p.Targets {
		p.Targets[i].Think = level
		p.Targets[i].Why += ", " + why
	}
}
