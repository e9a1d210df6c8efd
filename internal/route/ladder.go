package route

import (
	"fmt"
	"strings"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// Ladder is a route of rungs, cheapest first.
type Ladder struct {
	// Name is that of its route.
	Name  string
	Rungs []Rung
	// Success is what a whole answer must be; nil checks nothing.
	Success *Success
	// Aim is what is wanted of the answers.
	Aim Aim
	// When are the rules that name a model; the first that holds wins.
	When []When
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
	// Opinion is a model, written provider/model, that is asked the same where the
	// answer has a canonical form; empty asks none.
	Opinion string
}

// Needs is what a request needs of a model.
type Needs struct {
	// Tokens is about how long the prompt is.
	Tokens int64
	// Has are the features without which the model cannot answer.
	Has llm.Feature
	// Tools is how many tools it offers.
	Tools int
	// Script is what most of its prompt is written in (ScriptOf), Task what the
	// client calls it; both may be empty.
	Script, Task string
}

// Left is a rung that was left out, and why.
type Left struct {
	Target, Why string
	// Rung is its place in the ladder, from 1, Think how hard it would have
	// thought.
	Rung  int
	Think string
}

// Is reports whether a name is that of a route.
func (p *Policy) Is(name string) bool {
	_, list := p.Routes[name]
	_, ladder := p.Ladders[name]
	return list || ladder
}

// Climbs reports whether a name is that of a ladder, with an order behind it or
// without.
func (p *Policy) Climbs(name string) bool {
	for _, suffix := range [...]string{"", ":floor", ":nitro"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && p.Ladders[base] != nil {
			return true
		}
	}
	return false
}

// featureNames are how the features are called that a rung may lack.
var featureNames = []struct {
	has  llm.Feature
	name string
}{{llm.Tools, "tools"}, {llm.Vision, "images"}, {llm.PDF, "documents"}, {llm.AudioInput, "audio"}, {llm.JSONSchema, "a JSON Schema"}}

// plan gives the rungs that a request can use, in their order.
func (l *Ladder) plan(f Facts, c *catalog.Catalog, p *Policy) (Plan, *llm.Error) {
	plan := Plan{Asked: f.Model, Name: f.Model, Ladder: l, Success: l.Success}
	configured, allowed := 0, 0
	for i, r := range l.Rungs {
		leave := func(why string) { plan.Left = append(plan.Left, Left{r.Model, why, i + 1, r.Think}) }
		t, ok := pinned(r.Model, c, p)
		if !ok {
			leave("its provider is not configured")
			continue
		}
		configured++
		if f.Embed && chats(c, &t) {
			leave("it makes no embeddings")
			continue
		}
		if f.Allowed != nil && !f.Allowed(t.Provider, t.Model, f.Model) {
			leave("this key may not use it")
			continue
		}
		allowed++
		if why := f.Needs.lacks(&t.Capability, r.Think); why != "" {
			leave(why)
			continue
		}
		t.Reshape, t.Think, t.Rung = true, r.Think, i+1
		t.Why = fmt.Sprintf("route %s, rung %d", f.Model, i+1)
		if r.Think != "" {
			t.Why += ", thinking " + r.Think
		}
		plan.Targets = append(plan.Targets, t)
	}
	if l.Success != nil && l.Success.Opinion != "" && !f.Embed {
		if t, ok := pinned(l.Success.Opinion, c, p); ok && (f.Allowed == nil || f.Allowed(t.Provider, t.Model, f.Model)) && f.Needs.lacks(&t.Capability, "") == "" {
			t.Reshape = true
			plan.Opinion = &t
		}
	}
	l.when(&plan, f, c, p)
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

// lacks says why a model that thinks so hard cannot take a request, or "".
func (n *Needs) lacks(c *llm.Capability, think string) string {
	thoughts := int64(0)
	if c.Can(llm.Thinking) {
		thoughts = thinkTokens[think]
	}
	switch {
	case c.Window > 0 && n.Tokens > c.Window:
		return fmt.Sprintf("about %d tokens do not fit its window of %d", n.Tokens, c.Window)
	case c.Window > 0 && n.Tokens+min(thoughts, c.Window/4) > c.Window:
		return fmt.Sprintf("about %d tokens and %d of thinking do not fit its window of %d", n.Tokens, thoughts, c.Window)
	case c.MaxTools > 0 && n.Tools > c.MaxTools:
		return fmt.Sprintf("it takes %d tools, not %d", c.MaxTools, n.Tools)
	}
	for _, f := range featureNames {
		if n.Has&f.has != 0 && !c.Can(f.has) {
			return "it does not take " + f.name
		}
	}
	return ""
}

// thinkTokens is about how many tokens a model thinks at a level.
var thinkTokens = map[string]int64{"low": 1 << 10, "medium": 4 << 10, "high": 16 << 10, "max": 32 << 10}
