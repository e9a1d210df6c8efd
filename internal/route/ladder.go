package route

import (
	"fmt"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// Ladder is a route of rungs, cheapest first.
type Ladder struct {
	Rungs []Rung
	// Success is what a whole answer must be; nil checks nothing.
	Success *Success
}

// Rung is one way to answer: a model, written provider/model, and how hard it
// thinks (off, low, medium, high, max; empty leaves it to the request).
type Rung struct{ Model, Think string }

// Success says what a whole answer must be for no further rung to be asked.
type Success struct {
	// Schema: its text fits the schema that was asked for. ToolsValid: calls name
	// tools that were offered, with arguments that fit.
	Schema, ToolsValid bool
	// Refusal, Truncated and Empty say that it must not be that.
	Refusal, Truncated, Empty bool
}

// Needs is what a request needs of a model.
type Needs struct {
	// Tokens is about how long the prompt is.
	Tokens int64
	// Has are the features without which the model cannot answer.
	Has llm.Feature
}

// Left is a rung that was left out, and why.
type Left struct{ Target, Why string }

// Is reports whether a name is that of a route.
func (p *Policy) Is(name string) bool {
	_, list := p.Routes[name]
	_, ladder := p.Ladders[name]
	return list || ladder
}

// featureNames are how the features are called that a rung may lack.
var featureNames = []struct {
	has  llm.Feature
	name string
}{{llm.Tools, "tools"}, {llm.Vision, "images"}, {llm.PDF, "documents"}, {llm.AudioInput, "audio"}, {llm.JSONSchema, "a JSON Schema"}}

// plan gives the rungs that a request can use, in their order.
func (l *Ladder) plan(f Facts, c *catalog.Catalog, p *Policy) (Plan, *llm.Error) {
	plan := Plan{Asked: f.Model, Success: l.Success}
	configured, allowed := 0, 0
	for i, r := range l.Rungs {
		t, ok := pinned(r.Model, c, p)
		if !ok {
			plan.Left = append(plan.Left, Left{r.Model, "its provider is not configured"})
			continue
		}
		configured++
		if f.Embed && chats(c, &t) {
			plan.Left = append(plan.Left, Left{r.Model, "it makes no embeddings"})
			continue
		}
		if f.Allowed != nil && !f.Allowed(t.Provider, t.Model, f.Model) {
			plan.Left = append(plan.Left, Left{r.Model, "this key may not use it"})
			continue
		}
		allowed++
		if why := f.Needs.lacks(&t.Capability); why != "" {
			plan.Left = append(plan.Left, Left{r.Model, why})
			continue
		}
		t.Reshape, t.Think = true, r.Think
		t.Why = fmt.Sprintf("route %s, rung %d", f.Model, i+1)
		if r.Think != "" {
			t.Why += ", thinking " + r.Think
		}
		plan.Targets = append(plan.Targets, t)
	}
	switch {
	case len(plan.Targets) > 0:
		return plan, nil
	case configured == 0:
		return plan, notFound(f, c, p)
	case allowed == 0 && f.Embed:
		return plan, llm.Errorf(llm.ModelNotFound, "model: %s has no rung that makes embeddings and that this key may use", f.Model)
	case allowed == 0:
		return plan, llm.Errorf(llm.Forbidden, "this key may not use model %q", f.Model)
	}
	last := plan.Left[len(plan.Left)-1]
	return plan, llm.Errorf(llm.InvalidRequest, "model: no rung of %s can take this request: %s: %s", f.Model, last.Target, last.Why)
}

// lacks says why a model cannot take a request, or "".
func (n *Needs) lacks(c *llm.Capability) string {
	if c.Window > 0 && n.Tokens > c.Window {
		return fmt.Sprintf("about %d tokens do not fit its window of %d", n.Tokens, c.Window)
	}
	for _, f := range featureNames {
		if n.Has&f.has != 0 && !c.Can(f.has) {
			return "it does not take " + f.name
		}
	}
	return ""
}
