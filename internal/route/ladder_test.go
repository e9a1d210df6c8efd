package route_test

import (
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/route"
)

func TestLadder(t *testing.T) {
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	p := &route.Policy{
		Ladders: map[string]*route.Ladder{
			"up": {Rungs: []route.Rung{
				{Model: "anthropic/claude-haiku-5-5", Think: "off"},
				{Model: "mistral/x"},
				{Model: "anthropic/claude-opus-5-5", Think: "high"},
			}},
			"lost":     {Rungs: []route.Rung{{Model: "mistral/x"}}},
			"vectors":  {Rungs: []route.Rung{{Model: "openai/text-embedding-3-small"}}},
			"repeated": {Rungs: []route.Rung{{Model: "anthropic/claude-opus-5-5", Think: "low"}, {Model: "anthropic/claude-opus-5-5", Think: "max"}}},
		},
		Configured: map[string]bool{"anthropic": true, "openai": true},
	}
	haiku := c.Capability("anthropic", "claude-haiku-5-5")
	opus := c.Capability("anthropic", "claude-opus-5-5")
	if haiku.Window <= 0 || opus.Window < haiku.Window {
		t.Fatalf("windows %d and %d", haiku.Window, opus.Window)
	}
	for _, w := range []struct {
		name  string
		facts route.Facts
		want  string // targets with how they think
		left  string // the reasons, in order
		class llm.Class
		says  string
	}{
		{name: "in order, with thinking", facts: route.Facts{Model: "up"}, want: "anthropic/claude-haiku-5-5 off, anthropic/claude-opus-5-5 high", left: "not configured"},
		{name: "one model at two levels", facts: route.Facts{Model: "repeated"}, want: "anthropic/claude-opus-5-5 low, anthropic/claude-opus-5-5 max"},
		{name: "what it needs and they have", facts: route.Facts{Model: "up", Needs: route.Needs{Tokens: 100, Has: llm.Tools | llm.Vision}},
			want: "anthropic/claude-haiku-5-5 off, anthropic/claude-opus-5-5 high", left: "not configured"},
		{name: "over every window", facts: route.Facts{Model: "up", Needs: route.Needs{Tokens: opus.Window + 1}}, class: llm.InvalidRequest, says: "do not fit its window"},
		{name: "what none takes", facts: route.Facts{Model: "up", Needs: route.Needs{Has: llm.AudioInput}}, class: llm.InvalidRequest, says: "audio"},
		{name: "what a key may use", facts: route.Facts{Model: "up", Allowed: func(_, model, _ string) bool { return strings.Contains(model, "opus") }},
			want: "anthropic/claude-opus-5-5 high", left: "may not use|not configured"},
		{name: "what a key may not use", facts: route.Facts{Model: "up", Allowed: func(_, _, _ string) bool { return false }}, class: llm.Forbidden, says: "up"},
		{name: "no provider", facts: route.Facts{Model: "lost"}, class: llm.ModelNotFound, says: "none of its providers"},
		{name: "embeddings of chat models", facts: route.Facts{Model: "up", Embed: true}, class: llm.ModelNotFound, says: "embeddings"},
		{name: "embeddings", facts: route.Facts{Model: "vectors", Embed: true}, want: "openai/text-embedding-3-small "},
		{name: "a model that is named is no route", facts: route.Facts{Model: "anthropic/claude-opus-5-5", Needs: route.Needs{Tokens: 1 << 40}}, want: "anthropic/claude-opus-5-5 "},
	} {
		t.Run(w.name, func(t *testing.T) {
			plan, fail := route.Make(w.facts, c, p)
			if fail != nil {
				if fail.Class != w.class || !strings.Contains(fail.Message, w.says) {
					t.Fatalf("refused as %s: %s; want %q saying %q", fail.Class, fail.Message, w.class, w.says)
				}
				return
			}
			if w.class != "" {
				t.Fatalf("planned %v, want a refusal as %s", plan.Targets, w.class)
			}
			var got []string
			for i := range plan.Targets {
				got = append(got, plan.Targets[i].String()+" "+plan.Targets[i].Think)
			}
			if all := strings.Join(got, ", "); all != w.want {
				t.Errorf("targets %q, want %q", all, w.want)
			}
			var left []string
			if w.left != "" {
				left = strings.Split(w.left, "|")
			}
			if len(left) != len(plan.Left) {
				t.Fatalf("left out %v, want %q", plan.Left, left)
			}
			for i := range left {
				if !strings.Contains(plan.Left[i].Why, left[i]) {
					t.Errorf("left out %v, want %q", plan.Left[i], left[i])
				}
			}
		})
	}
}
