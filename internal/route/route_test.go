package route_test

import (
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/route"
)

func TestMake(t *testing.T) {
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	p := &route.Policy{
		Routes: map[string][]string{
			"smart": {"anthropic/claude-opus-5-5", "mistral/x", "openai/gpt-5.5", "rehearsal/steady"},
			"lost":  {"mistral/x"},
		},
		Configured: map[string]bool{"anthropic": true, "openai": true, "openrouter": true, "rehearsal": true, "nvidia": true},
	}
	only := func(want string) func(provider, model, asked string) bool {
		return func(provider, model, asked string) bool { return provider+"/"+model == want }
	}
	for _, c2 := range []struct {
		name    string
		facts   route.Facts
		want    string // the targets; "..." at the end allows more
		reshape bool
		class   llm.Class
		says    string
	}{
		{name: "a route keeps its order and skips what is not configured", facts: route.Facts{Model: "smart"}, want: "anthropic/claude-opus-5-5 openai/gpt-5.5 rehearsal/steady", reshape: true},
		{name: "a route without a provider", facts: route.Facts{Model: "lost"}, class: llm.ModelNotFound, says: "route"},
		{name: "a pinned model", facts: route.Facts{Model: "openai/gpt-5.5"}, want: "openai/gpt-5.5"},
		{name: "a pinned model that the catalogue does not know", facts: route.Facts{Model: "openai/brand-new"}, want: "openai/brand-new"},
		{name: "an alias of a model stays as the client wrote it", facts: route.Facts{Model: "anthropic/claude-haiku-4-5"}, want: "anthropic/claude-haiku-4-5"},
		{name: "a model with a slash", facts: route.Facts{Model: "openrouter/anthropic/claude-x"}, want: "openrouter/anthropic/claude-x"},
		{name: "a bare id goes to its vendor first", facts: route.Facts{Model: "claude-opus-5-5"}, want: "anthropic/claude-opus-5-5..."},
		{name: "a bare alias", facts: route.Facts{Model: "claude-haiku-4-5"}, want: "anthropic/claude-haiku-4-5..."},
		{name: "an unknown bare id goes to the door's vendor", facts: route.Facts{Model: "brand-new", Vendor: "openai"}, want: "openai/brand-new"},
		{name: "an unknown bare id without a vendor", facts: route.Facts{Model: "brand-new", Vendor: "gemini"}, class: llm.ModelNotFound, says: "brand-new"},
		{name: "a provider that is not configured", facts: route.Facts{Model: "mistral/mistral-large"}, class: llm.ModelNotFound, says: "MISTRAL_API_KEY"},
		{name: "a provider that does not exist", facts: route.Facts{Model: "nobody/x"}, class: llm.ModelNotFound, says: `"nobody"`},
		{name: "a provider that does not exist, with the name of a built-in model", facts: route.Facts{Model: "nobody/quick"}, class: llm.ModelNotFound, says: `"nobody"`},
		{name: "a misspelt provider", facts: route.Facts{Model: "anthropc/claude-opus-5-5"}, class: llm.ModelNotFound, says: `no provider or route "anthropc" (did you mean "anthropic"?)`},
		{name: "a misspelt provider at its own door", facts: route.Facts{Model: "anthropc/claude-opus-5-5", Vendor: "anthropic"}, class: llm.ModelNotFound, says: `did you mean "anthropic"?`},
		{name: "a misspelt provider that is not configured", facts: route.Facts{Model: "mistrall/mistral-large"}, class: llm.ModelNotFound, says: `did you mean "mistral"?`},
		{name: "a provider near to none", facts: route.Facts{Model: "wxyzwxyz/claude-opus-5-5"}, class: llm.ModelNotFound, says: `no provider or route "wxyzwxyz"`},
		{name: "what a provider itself calls vendor/model", facts: route.Facts{Model: "x-ai/grok-4.3"}, want: "openrouter/x-ai/grok-4.3..."},
		{name: "the same in another spelling", facts: route.Facts{Model: "X-AI/Grok-4.3"}, want: "openrouter/x-ai/grok-4.3..."},
		{name: "a built-in model by its bare name", facts: route.Facts{Model: "quick"}, want: "rehearsal/quick"},
		{name: "a provider without a model", facts: route.Facts{Model: "openai/"}, class: llm.ModelNotFound},
		{name: "what the caller may not use is left out", facts: route.Facts{Model: "smart", Allowed: only("openai/gpt-5.5")}, want: "openai/gpt-5.5", reshape: true},
		{name: "embeddings of a model that chats", facts: route.Facts{Model: "openai/gpt-5.5", Embed: true}, class: llm.ModelNotFound, says: "no embeddings"},
		{name: "embeddings of a model that makes them", facts: route.Facts{Model: "openai/text-embedding-3-small", Embed: true}, want: "openai/text-embedding-3-small"},
		{name: "embeddings of a model that nobody knows", facts: route.Facts{Model: "openai/brand-new", Embed: true}, want: "openai/brand-new"},
		{name: "embeddings of a model whose row does not say", facts: route.Facts{Model: "nvidia/baai/bge-m3", Embed: true}, want: "nvidia/baai/bge-m3"},
		{name: "nothing that the caller may use", facts: route.Facts{Model: "smart", Allowed: only("")}, class: llm.Forbidden, says: "smart"},
	} {
		t.Run(c2.name, func(t *testing.T) {
			plan, fail := route.Make(c2.facts, c, p)
			if fail == nil && c2.class != "" {
				t.Fatalf("planned %v, want a refusal as %s", plan.Targets, c2.class)
			}
			if fail != nil {
				if fail.Class != c2.class || !strings.Contains(fail.Message, c2.says) {
					t.Fatalf("refused as %s: %s; want %q saying %q", fail.Class, fail.Message, c2.class, c2.says)
				}
				return
			}
			var got []string
			for i := range plan.Targets {
				tg := &plan.Targets[i]
				got = append(got, tg.String())
				if tg.Reshape != c2.reshape || tg.Why == "" {
					t.Errorf("%s: reshape %v, why %q", tg, tg.Reshape, tg.Why)
				}
			}
			all := strings.Join(got, " ")
			if want, more := strings.CutSuffix(c2.want, "..."); all != c2.want && !(more && strings.HasPrefix(all, want)) {
				t.Errorf("targets %q, want %q", all, c2.want)
			}
			if plan.Asked != c2.facts.Model {
				t.Errorf("asked %q", plan.Asked)
			}
		})
	}
}

// OpenRouter has a model that it calls auto.
func TestAutoIsNobodysModel(t *testing.T) {
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	_, fail := route.Make(route.Facts{Model: "auto"}, c, &route.Policy{Configured: map[string]bool{"rehearsal": true}})
	if fail == nil || !strings.Contains(fail.Message, "auto has no provider") {
		t.Errorf("refused as %v", fail)
	}
}
