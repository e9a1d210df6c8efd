// Package route turns a model name into a plan: which targets to try, in which
// order, and why. It is pure.
package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// Target is one model at one provider.
type Target struct {
	// Provider is the provider's id, Model the id that the provider knows.
	Provider, Model string
	Capability      llm.Capability
	// Reshape says that the request may be fitted to the target: the client
	// named a route, not this model.
	Reshape bool
	// Think is how hard the rung of a ladder thinks (off to max); empty says
	// nothing.
	Think string
	// Rung is its place in the ladder of its route, from 1; 0 where there is none.
	Rung int
	// Why says how the target came into the plan, Because how it came to be the
	// first, where something was decided.
	Why, Because string
}

// String gives "provider/model".
func (t *Target) String() string { return t.Provider + "/" + t.Model }

// Plan is the ordered list of targets for one request.
type Plan struct {
	// Asked is the model name as the client wrote it, Name what it names: the same
	// without an order behind it.
	Asked, Name string
	Targets     []Target
	// Ladder is that of the route; nil where there is none. Its rungs are in the
	// order of the ladder, and whoever knows more may put them in another one
	// (Begin).
	Ladder *Ladder
	// Sorted is floor or nitro where the name asks for that order; then nobody puts
	// the targets in another one.
	Sorted string
	// Left are the rungs of a ladder that the request cannot use.
	Left []Left
	// Success is what a whole answer must be for the next target not to be asked;
	// nil where nothing is said of it.
	Success *Success
	// Opinion is the model that Success.Opinion names, where the request can be
	// asked of it; nil otherwise.
	Opinion *Target
}

// Prefer puts the targets of a provider first; all else stays in its order, and
// none is added.
func (p *Plan) Prefer(provider, why string) {
	slices.SortStableFunc(p.Targets, func(a, b Target) int {
		switch x, y := a.Provider == provider, b.Provider == provider; {
		case x && !y:
			return -1
		case y && !x:
			return 1
		}
		return 0
	})
	for i := range p.Targets {
		if t := &p.Targets[i]; t.Provider == provider {
			t.Why += ", " + why
		}
	}
}

// Policy is what the operator decided; immutable.
type Policy struct {
	// Routes maps a name to its targets, written "provider/model", best first.
	Routes map[string][]string
	// Ladders maps a name to its ladder; no name is in both.
	Ladders map[string]*Ladder
	// Configured holds the ids of the providers that can be called.
	Configured map[string]bool
}

// Facts is what routing needs to know about a request.
type Facts struct {
	// Model is the name the client asked for.
	Model string
	// Vendor is the provider that owns the door the request came through, such
	// as "openai": an unknown bare model id goes to it.
	Vendor string
	// Allowed says whether the caller may use a target; nil allows all.
	Allowed func(provider, model, asked string) bool
	// Embed says that embeddings are asked for.
	Embed bool
	// Needs is what the request needs of a model; only a ladder asks.
	Needs Needs
	// Speed is how long a target takes to begin an answer, as far as that is
	// known; nil knows nothing. Names that end in :nitro ask.
	Speed func(provider, model string) (time.Duration, bool)
}

// Make gives the plan for a request. The error is of class ModelNotFound when
// the name leads nowhere, or only to what chats where embeddings are asked for;
// Forbidden when the caller may use none of its targets.
func Make(f Facts, c *catalog.Catalog, p *Policy) (Plan, *llm.Error) {
	if name, by := sorted(f.Model, c, p); by != nil {
		asked := f.Model
		f.Model = name
		plan, fail := Make(f, c, p)
		plan.Asked = asked
		if fail == nil {
			by(&plan, f, c)
		}
		return plan, fail
	}
	plan := Plan{Asked: f.Model, Name: f.Model}
	if l, ok := p.Ladders[f.Model]; ok {
		return l.plan(f, c, p)
	}
	plan.Targets = targets(f, c, p)
	if len(plan.Targets) == 0 {
		return plan, notFound(f, c, p)
	}
	if f.Embed {
		plan.Targets = slices.DeleteFunc(plan.Targets, func(t Target) bool { return chats(c, &t) })
		if len(plan.Targets) == 0 {
			return plan, llm.Errorf(llm.ModelNotFound, "model: %s chats and makes no embeddings", f.Model)
		}
	}
	if f.Allowed != nil {
		plan.Targets = slices.DeleteFunc(plan.Targets, func(t Target) bool { return !f.Allowed(t.Provider, t.Model, f.Model) })
		if len(plan.Targets) == 0 {
			return plan, llm.Errorf(llm.Forbidden, "this key may not use model %q", f.Model)
		}
	}
	return plan, nil
}

// chats reports whether a target is known for chats and for no embeddings. Rows
// of embedding models do not always say what they are, so it takes a feature
// that only chats have, and a price of output, which no embedding has; Ollama
// and engines on the operator's own machines embed with any model.
func chats(c *catalog.Catalog, t *Target) bool {
	p, ok := c.Provider(t.Provider)
	if !ok || p.Dialect == llm.Ollama {
		return false
	}
	m, ok := c.Model(t.Provider, t.Model)
	return ok && m.Known && !m.Embeds() && m.Has&(llm.Tools|llm.Thinking|llm.JSONSchema) != 0 &&
		slices.ContainsFunc(m.Prices, func(p catalog.Price) bool { return p.Output.PerMillion > 0 })
}

func targets(f Facts, c *catalog.Catalog, p *Policy) []Target {
	if f.Model == "auto" {
		return nil // a name of ours, never a vendor's model
	}
	if names, ok := p.Routes[f.Model]; ok {
		ts := make([]Target, 0, len(names))
		for _, name := range names {
			if t, ok := pinned(name, c, p); ok {
				t.Reshape, t.Why = true, "route "+f.Model
				ts = append(ts, t)
			}
		}
		return ts
	}
	if t, ok := pinned(f.Model, c, p); ok {
		t.Why = "named by the client"
		return []Target{t}
	}
	if id, _, ok := strings.Cut(f.Model, "/"); ok {
		if _, known := c.Provider(id); known {
			return nil // the client pinned a provider that cannot be called
		}
	}
	var ts []Target
	for _, m := range c.Offers(f.Model) {
		if row, _ := c.Provider(m.Provider); row != nil && row.Kind == catalog.Builtin && m.ID != f.Model {
			continue // a stranger's "acme/quick" is no wish for a rehearsal
		}
		if p.Configured[m.Provider] {
			id := m.ID
			if slices.Contains(m.Aliases, f.Model) {
				id = f.Model // the provider knows the name as the client wrote it
			}
			ts = append(ts, Target{Provider: m.Provider, Model: id, Capability: c.Capability(m.Provider, m.ID), Why: "offers " + f.Model})
		}
	}
	if len(ts) == 0 && !strings.Contains(f.Model, "/") && p.Configured[f.Vendor] {
		ts = append(ts, Target{Provider: f.Vendor, Model: f.Model, Capability: c.Capability(f.Vendor, f.Model), Why: "unknown model, sent to the vendor of this door"})
	}
	return ts
}

// pinned reads "provider/model" when the provider can be called. A provider
// alias is taken; the model may itself hold slashes.
func pinned(name string, c *catalog.Catalog, p *Policy) (Target, bool) {
	id, model, ok := strings.Cut(name, "/")
	if !ok || model == "" {
		return Target{}, false
	}
	if row, ok := c.Provider(id); ok {
		id = row.ID
	}
	if !p.Configured[id] {
		return Target{}, false
	}
	return Target{Provider: id, Model: model, Capability: c.Capability(id, model)}, true
}

// notFound says what to do about a name that leads nowhere.
func notFound(f Facts, c *catalog.Catalog, p *Policy) *llm.Error {
	if p.Is(f.Model) {
		return llm.Errorf(llm.ModelNotFound, "model: %s is a route, but none of its providers is configured", f.Model)
	}
	if id, _, ok := strings.Cut(f.Model, "/"); ok {
		if row, known := c.Provider(id); known {
			hint := ""
			if len(row.Env) > 0 {
				hint = "; set " + row.Env[0]
			}
			return llm.Errorf(llm.ModelNotFound, "model: %s: provider %s is not configured%s", f.Model, row.ID, hint)
		}
		return llm.Errorf(llm.ModelNotFound, "model: %s: there is no provider or route %q%s", f.Model, id, meant(id, c, p))
	}
	if f.Model == "auto" {
		return llm.Errorf(llm.ModelNotFound, "model: auto has no provider to choose from; configure one")
	}
	if ms := c.Offers(f.Model); len(ms) > 0 {
		var at []string
		for _, m := range ms[:min(3, len(ms))] {
			at = append(at, m.Provider)
		}
		return llm.Errorf(llm.ModelNotFound, "model: %s is offered by %s, but no such provider is configured", f.Model, strings.Join(at, ", "))
	}
	return llm.Errorf(llm.ModelNotFound, "model: %s is no route and no model of a configured provider; GET /v1/models lists what there is", f.Model)
}

// meant says which provider a misspelt one may be: of those that can be called
// if one of them is near, else of all.
func meant(id string, c *catalog.Catalog, p *Policy) string {
	var callable, all []string
	for _, row := range c.Providers() {
		for _, name := range append([]string{row.ID}, row.Aliases...) {
			all = append(all, name)
			if p.Configured[row.ID] {
				callable = append(callable, name)
			}
		}
	}
	if best := cmp.Or(llm.Nearest(id, callable), llm.Nearest(id, all)); best != "" {
		return fmt.Sprintf(" (did you mean %q?)", best)
	}
	return ""
}
