package route_test

import (
	"strings"
	"testing"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/route"
)

func TestScriptOf(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"12 + 30 = ?":               "",
		"What is the capital?":      "latin",
		"Wie heißt die Hauptstadt?": "latin",
		"请问首都是哪里":                   "han",
		"请用 Python 写一个函数 parse(json)":                    "han",
		"首都はどこですか":                                       "kana",
		"수도는 어디입니까":                                      "hangul",
		"Какая столица?":                                 "cyrillic",
		"ما هي العاصمة":                                  "arabic",
		"Explain the word 首都 in a long English sentence": "latin",
		"\xff\xfe": "",
	} {
		if got := route.ScriptOf(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestBreakEven: the figures of a published example, and the ends.
func TestBreakEven(t *testing.T) {
	rates := func(in, out float64) catalog.Rates {
		return catalog.Rates{Input: catalog.Dollars(in), Output: catalog.Dollars(out), CacheRead: catalog.Dollars(in / 10), CacheWrite5m: catalog.Dollars(in * 1.25)}
	}
	for _, c := range []struct {
		name           string
		prompt, output int64
		now, then      catalog.Rates
		want           float64
	}{
		{"$5/25 to $3/15", 100_000, 1000, rates(5, 25), rates(3, 15), 10.83},
		{"$5/25 to $1/5", 100_000, 1000, rates(5, 25), rates(1, 5), 1.25},
		{"so cheap that it pays at once", 100_000, 1000, rates(5, 25), rates(0.1, 0.5), 0},
		{"to a dearer one", 100_000, 1000, rates(1, 5), rates(5, 25), -1},
	} {
		if got := route.BreakEven(c.prompt, c.output, c.now, c.then); got < c.want-0.01 || got > c.want+0.01 {
			t.Errorf("%s: %.3f turns, want %.3f", c.name, got, c.want)
		}
	}
}

// TestNames: an order behind a name, rules of a route, and what stands first.
func TestNames(t *testing.T) {
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	p := &route.Policy{
		Routes: map[string][]string{"list": {"anthropic/claude-opus-5-5", "anthropic/claude-haiku-5-5"}, "odd:floor": {"anthropic/claude-opus-5-5"}},
		Ladders: map[string]*route.Ladder{"up": {
			Rungs: []route.Rung{{Model: "anthropic/claude-haiku-5-5"}, {Model: "anthropic/claude-sonnet-5-5"}, {Model: "anthropic/claude-opus-5-5"}},
			When:  []route.When{{Script: "han", Task: "mail", Use: "anthropic/claude-opus-5-5"}, {Has: "image", Use: "nobody/x"}, {Has: "image", Use: "openai/gpt-5.5"}},
		}},
		Configured: map[string]bool{"anthropic": true, "openai": true},
	}
	speed := func(_, model string) (time.Duration, bool) {
		return map[string]time.Duration{"claude-sonnet-5-5": time.Second}[model], strings.Contains(model, "sonnet")
	}
	for _, w := range []struct {
		name  string
		facts route.Facts
		want  string
		class llm.Class
	}{
		{"as it is written", route.Facts{Model: "up"}, "haiku sonnet opus", ""},
		{"the cheapest", route.Facts{Model: "list:floor"}, "haiku opus", ""},
		{"the fastest", route.Facts{Model: "up:nitro", Speed: speed}, "sonnet haiku opus", ""},
		{"a route that is called so", route.Facts{Model: "odd:floor"}, "opus", ""},
		{"an order of nothing", route.Facts{Model: "nothing:floor"}, "", llm.ModelNotFound},
		{"a rule, half of which holds", route.Facts{Model: "up", Needs: route.Needs{Script: "han"}}, "haiku sonnet opus", ""},
		{"a rule", route.Facts{Model: "up", Needs: route.Needs{Script: "han", Task: "mail"}}, "opus opus sonnet haiku", ""},
		{"the first rule whose model is there", route.Facts{Model: "up", Needs: route.Needs{Has: llm.Vision}}, "gpt-5.5 opus sonnet haiku", ""},
		{"too many tools", route.Facts{Model: "up", Needs: route.Needs{Tokens: 1 << 40}}, "", llm.InvalidRequest},
	} {
		plan, fail := route.Make(w.facts, c, p)
		if fail != nil && fail.Class != w.class || fail == nil && w.class != "" {
			t.Errorf("%s: %v", w.name, fail)
			continue
		}
		var got []string
		for i := range plan.Targets {
			got = append(got, strings.TrimSuffix(strings.TrimPrefix(plan.Targets[i].Model, "claude-"), "-5-5"))
		}
		if s := strings.Join(got, " "); fail == nil && s != w.want {
			t.Errorf("%s: %s, want %s", w.name, s, w.want)
		}
	}
}
