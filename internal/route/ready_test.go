package route_test

import (
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/route"
)

func TestReady(t *testing.T) {
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct{ configured, claude, auto string }{
		{"", "", ""},
		{"rehearsal", "", "rehearsal/quick off, rehearsal/thinker high"},
		{"rehearsal anthropic", "anthropic/claude-haiku-5-5 off, anthropic/claude-sonnet-5-5 low, anthropic/claude-opus-5-5 high",
			"anthropic/claude-haiku-5-5 off, anthropic/claude-sonnet-5-5 low, anthropic/claude-opus-5-5 high"},
		{"rehearsal openai gemini", "", "openai/gpt-5.4-mini low, gemini/gemini-3.5-flash low, openai/gpt-5.5 medium"},
		{"rehearsal openai mistral", "", "openai/gpt-5.4-mini low, openai/gpt-5.5 medium, mistral/..."},
	} {
		p := &route.Policy{Configured: map[string]bool{}}
		for _, id := range strings.Fields(w.configured) {
			p.Configured[id] = true
		}
		p.Ladders = route.Ready(c, p.Configured)
		for name, want := range map[string]string{"claude": w.claude, "auto": w.auto} {
			plan, fail := route.Make(route.Facts{Model: name}, c, p)
			var got []string
			for i := range plan.Targets {
				got = append(got, plan.Targets[i].String()+" "+plan.Targets[i].Think)
			}
			all := strings.Join(got, ", ")
			if start, more := strings.CutSuffix(want, "..."); all != want && !(more && strings.HasPrefix(all, start)) {
				t.Errorf("%s over %q: %q, want %q (%v)", name, w.configured, all, want, fail)
			}
			if want != "" && (plan.Success == nil || len(plan.Left) > 0) {
				t.Errorf("%s over %q: success %v, left %v", name, w.configured, plan.Success, plan.Left)
			}
		}
	}
}
