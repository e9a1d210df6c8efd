package route

import (
	"strings"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// claude and auto are the rungs of the routes that are there without a word of
// configuration, cheapest first.
var (
	claude = []Rung{
		{"anthropic/claude-haiku-5-5", "off"},
		{"anthropic/claude-sonnet-5-5", "low"},
		{"anthropic/claude-opus-5-5", "high"},
	}
	auto = []Rung{
		{"anthropic/claude-haiku-5-5", "off"},
		{"openai/gpt-5.4-mini", "low"},
		{"gemini/gemini-3.5-flash", "low"},
		{"anthropic/claude-sonnet-5-5", "low"},
		{"openai/gpt-5.5", "medium"},
		{"anthropic/claude-opus-5-5", "high"},
	}
	rehearsed = []Rung{{"rehearsal/quick", "off"}, {"rehearsal/thinker", "high"}}
)

// mostReady is how many rungs auto has at most.
const mostReady = 8

// Ready gives the routes that need no configuration: claude where Anthropic is
// configured, and auto over the providers that are. A provider that auto has no
// rung for brings its newest model that takes tools, before the others where it
// costs nothing. The rehearsal provider answers only when there is no other one.
func Ready(c *catalog.Catalog, configured map[string]bool) map[string]*Ladder {
	all := &Success{Schema: true, ToolsValid: true, Refusal: true, Truncated: true, Empty: true}
	there := func(rungs []Rung) (kept []Rung) {
		for _, r := range rungs {
			id, model, _ := strings.Cut(r.Model, "/")
			if _, known := c.Model(id, model); known && configured[id] {
				kept = append(kept, r)
			}
		}
		return kept
	}
	ready := map[string]*Ladder{}
	if rungs := there(claude); len(rungs) > 0 {
		ready["claude"] = &Ladder{Name: "claude", Rungs: rungs, Success: all}
	}
	rungs := there(auto)
	has := map[string]bool{"rehearsal": true}
	for _, r := range rungs {
		id, _, _ := strings.Cut(r.Model, "/")
		has[id] = true
	}
	for _, p := range c.Providers() {
		if !configured[p.ID] || has[p.ID] || len(rungs) == mostReady {
			continue
		}
		if m := newest(c, p.ID); m != nil && free(m) {
			rungs = append([]Rung{{Model: p.ID + "/" + m.ID}}, rungs...)
		} else if m != nil {
			rungs = append(rungs, Rung{Model: p.ID + "/" + m.ID})
		}
	}
	if len(rungs) == 0 {
		rungs = there(rehearsed)
	}
	if len(rungs) > 0 {
		ready["auto"] = &Ladder{Name: "auto", Rungs: rungs, Success: all}
	}
	return ready
}

// newest is the newest model of a provider that is known to take tools.
func newest(c *catalog.Catalog, provider string) (best *catalog.Model) {
	for _, m := range c.Models() {
		if m.Provider != provider || !m.Known || !m.Text() || m.Listed == catalog.Absent || m.Has&llm.Tools == 0 || m.Status == catalog.Retired || m.Status == catalog.Deprecated {
			continue
		}
		if best == nil || m.Released.After(best.Released) {
			best = m
		}
	}
	return best
}

// free reports whether a model is known to cost nothing.
func free(m *catalog.Model) bool {
	return len(m.Prices) > 0 && m.Prices[len(m.Prices)-1].Input.USD() == 0 && m.Prices[len(m.Prices)-1].Output.USD() == 0
}
