package catalog

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

var day = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) // a Sunday

func load(t testing.TB, o Overrides) *Catalog {
	t.Helper()
	c, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProviderRows(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	for _, id := range strings.Fields(`anthropic openai deepseek mistral groq xai cohere together fireworks perplexity
		cerebras moonshot moonshot-cn zai minimax qwen alibaba dashscope openrouter tokenmix huggingface nvidia deepinfra
		novita sambanova hyperbolic siliconflow vllm sglang llamacpp lmstudio ollama ollama-cloud gemini google azure
		kimi-coding rehearsal`) {
		if _, ok := c.Provider(id); !ok {
			t.Errorf("no provider %s", id)
		}
	}
	owner := map[string]string{}
	for _, p := range c.Providers() {
		if p.Name == "" || p.Source == "" {
			t.Errorf("%s: no name or no source", p.ID)
		}
		if p.Kind != Builtin && p.ID != "tokenmix" && p.Doc == "" {
			t.Errorf("%s: no documentation", p.ID)
		}
		if p.BaseURL != "" {
			u, err := url.Parse(p.BaseURL)
			if err != nil || u.Host == "" || strings.HasSuffix(p.BaseURL, "/") {
				t.Errorf("%s: bad base URL %q", p.ID, p.BaseURL)
			} else if u.Scheme == "http" != p.Local {
				t.Errorf("%s: %s and local=%v", p.ID, p.BaseURL, p.Local)
			}
			if p.Dialect == llm.Anthropic && strings.HasSuffix(p.BaseURL, "/v1") {
				t.Errorf("%s: an Anthropic base URL does not end in /v1: the path adds it", p.ID)
			}
		}
		if p.Local != (p.Auth == NoAuth) {
			t.Errorf("%s: local=%v with auth %s", p.ID, p.Local, p.Auth)
		}
		if !p.Local && len(p.Env) == 0 {
			t.Errorf("%s: a key is needed but no variable may hold it", p.ID)
		}
		for _, e := range p.Env {
			if p.Explicit {
				continue
			}
			if o := owner[e]; o != "" {
				t.Errorf("%s belongs to %s and to %s", e, o, p.ID)
			}
			owner[e] = p.ID
		}
	}
	for env, id := range map[string]string{
		"ANTHROPIC_API_KEY": "anthropic", "OPENAI_API_KEY": "openai", "GEMINI_API_KEY": "gemini", "MISTRAL_API_KEY": "mistral",
		"DEEPSEEK_API_KEY": "deepseek", "DASHSCOPE_API_KEY": "qwen", "GROQ_API_KEY": "groq", "XAI_API_KEY": "xai",
		"OPENROUTER_API_KEY": "openrouter", "TOKENMIX_API_KEY": "tokenmix",
	} {
		if owner[env] != id {
			t.Errorf("%s finds %q, want %s", env, owner[env], id)
		}
	}
}

func TestFound(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	env := map[string]string{"GOOGLE_API_KEY": " k ", "DASHSCOPE_API_KEY": "d"}
	p, _ := c.Provider("google")
	if n, v, ok := p.Found(func(k string) string { return env[k] }); !ok || n != "GOOGLE_API_KEY" || v.Reveal() != "k" {
		t.Errorf("gemini: %s %v", n, ok)
	}
	cn, _ := c.Provider("alibaba-cn")
	if _, _, ok := cn.Found(func(k string) string { return env[k] }); ok {
		t.Error("qwen-cn was found in the environment: the variable belongs to qwen")
	}
	if got := cn.BaseURLEnv(); got != "HEADRACE_QWEN_CN_BASE_URL" {
		t.Error(got)
	}
}

// TestClaudePrices holds every row of Anthropic's price list of 2026-11-22:
// input, output, cache read, cache write of five minutes and of an hour.
func TestClaudePrices(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	for id, want := range map[string][5]float64{
		"claude-fable-5-2": {8, 40, 0.2, 10, 16}, "claude-mythos-5-2": {8, 40, 0.2, 10, 16},
		"claude-fable-5-1": {10, 50, 0.25, 12.5, 20}, "claude-mythos-5-1": {10, 50, 0.25, 12.5, 20},
		"claude-fable-5": {10, 50, 1, 12.5, 20}, "claude-mythos-5": {10, 50, 1, 12.5, 20},
		"claude-opus-5-5": {4, 20, 0.2, 5, 8}, "claude-opus-5": {5, 25, 0.5, 6.25, 10},
		"claude-opus-4-8": {5, 25, 0.5, 6.25, 10}, "claude-opus-4-7": {5, 25, 0.5, 6.25, 10}, "claude-opus-4-6": {5, 25, 0.5, 6.25, 10},
		"claude-opus-4-5": {5, 25, 0.5, 6.25, 10}, "claude-opus-4-5-20251101": {5, 25, 0.5, 6.25, 10},
		"claude-sonnet-5-5": {2, 10, 0.1, 2.5, 4}, "claude-sonnet-5": {2, 10, 0.2, 2.5, 4}, "claude-sonnet-4-6": {3, 15, 0.3, 3.75, 6},
		"claude-sonnet-4-5": {3, 15, 0.3, 3.75, 6}, "claude-haiku-4-5": {1, 5, 0.1, 1.25, 2}, "claude-haiku-5-5": {0.1, 0.5, 0.01, 0.125, 0.2},
	} {
		p, ok := c.PriceAt("anthropic", id, day)
		if !ok {
			t.Errorf("%s: unpriced", id)
			continue
		}
		got := [5]float64{p.Input.USD(), p.Output.USD(), p.CacheRead.USD(), p.CacheWrite5m.USD(), p.CacheWrite1h.USD()}
		if got != want || p.Batch != 500 {
			t.Errorf("%s: %v batch %d, want %v batch 500", id, got, p.Batch, want)
		}
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{Models: map[string]ModelOverride{
		"openai/odd":  {Price: &PriceOverride{Input: new(0.0000015), Output: new(0.0)}},
		"openai/half": {Price: &PriceOverride{Input: new(1.0)}},
	}})
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tc := range []struct {
		name, provider, model string
		usage                 llm.Usage
		at                    time.Time
		want                  llm.Nanodollars
		priced                bool
	}{
		{"the lower card of Haiku 5.5 holds up to 100k", "anthropic", "claude-haiku-5-5", llm.Usage{Input: 100_000, Output: 1000}, day, 10_000_000 + 500_000, true},
		{"one token more moves all of the request", "anthropic", "claude-haiku-5-5", llm.Usage{Input: 100_001, Output: 1000}, day, 50_000_500 + 2_500_000, true},
		{"cached tokens count for the card", "anthropic", "claude-haiku-5-5", llm.Usage{Input: 1, CacheRead: 99_999, CacheWrite5m: 1, Output: 1}, day, 500 + 4_999_950 + 625 + 2500, true},
		{"cache writes of an hour", "anthropic", "claude-opus-5-5", llm.Usage{CacheWrite1h: 1000, CacheRead: 1000}, day, 8_000_000 + 200_000, true},
		{"an alias is priced", "anthropic", "claude-sonnet-4-5", llm.Usage{Input: 1}, day, 3000, true},
		{"a cache read of Sonnet 5.5 before the cut", "anthropic", "claude-sonnet-5-5", llm.Usage{CacheRead: 1000}, at("2026-10-06 23:59"), 200_000, true},
		{"and after it", "anthropic", "claude-sonnet-5-5", llm.Usage{CacheRead: 1000}, at("2026-10-07 00:00"), 100_000, true},
		{"Gemini 4 Argon until November", "gemini", "gemini-4-argon", llm.Usage{Input: 1000, Output: 1000}, at("2026-11-30 23:59"), 12_000_000, true},
		{"and from December", "google", "gemini-4-argon", llm.Usage{Input: 1000, Output: 1000}, at("2026-12-01 00:00"), 24_000_000, true},
		{"DeepSeek at its peak: Monday 01:00", "deepseek", "deepseek-v4-pro", llm.Usage{Input: 1000}, at("2026-11-23 01:00"), 1_320_000, true},
		{"the peak ends at 04:00", "deepseek", "deepseek-v4-pro", llm.Usage{Input: 1000}, at("2026-11-23 04:00"), 660_000, true},
		{"no peak on Sunday", "deepseek", "deepseek-v4-pro", llm.Usage{Input: 1000}, at("2026-11-22 01:00"), 660_000, true},
		{"the rise began at 16:00", "deepseek", "deepseek-v4-pro", llm.Usage{Input: 1000}, at("2026-08-16 15:59"), 435_000, true},
		{"over 272k GPT-5.5 costs more", "openai", "gpt-5.5", llm.Usage{Input: 272_001}, day, 2_720_010_000, true},
		{"a price of nothing is a price", "rehearsal", "steady", llm.Usage{Input: 5, Output: 5}, day, 0, true},
		{"an unknown model is unpriced", "anthropic", "claude-nine", llm.Usage{Input: 1}, day, 0, false},
		{"an unknown provider is unpriced", "nobody", "x", llm.Usage{Input: 1}, day, 0, false},
		{"an unlisted price is unpriced", "ollama-cloud", "deepseek-v4-pro", llm.Usage{Input: 1}, day, 0, false},
		{"tokens at an unknown rate are unpriced", "openai", "half", llm.Usage{Input: 1, Output: 1}, day, 0, false},
		{"no tokens at an unknown rate cost nothing", "openai", "half", llm.Usage{Input: 1}, day, 1000, true},
		{"an unknown cache rate is that of the input", "openai", "half", llm.Usage{CacheRead: 1, CacheWrite1h: 1}, day, 2000, true},
		{"a fraction of a nanodollar is rounded up", "openai", "odd", llm.Usage{Input: 1}, day, 1, true},
		{"once, over the sum", "openai", "odd", llm.Usage{Input: 1, CacheRead: 1, CacheWrite5m: 1}, day, 1, true},
		{"what the provider reports wins", "openrouter", "what/ever", llm.Usage{Input: 1, Reported: 42, HasReported: true}, day, 42, true},
		{"a negative report is none", "anthropic", "claude-opus-5", llm.Usage{Input: 1, Reported: -1, HasReported: true}, day, 5000, true},
		{"negative counts are nothing", "anthropic", "claude-opus-5", llm.Usage{Input: -5, Output: 1, CacheRead: -1 << 62}, day, 25_000, true},
		{"huge counts saturate", "anthropic", "claude-opus-5", llm.Usage{Input: 1 << 62, Output: 1 << 62}, day, 1<<63 - 1, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := c.Cost(tc.provider, tc.model, tc.usage, tc.at)
			if got != tc.want || ok != tc.priced {
				t.Errorf("%d %v, want %d %v", got, ok, tc.want, tc.priced)
			}
		})
	}
	p, _ := c.PriceAt("anthropic", "claude-opus-5-5", day)
	if got, ok := p.Cost(llm.Usage{Input: 1, Output: 1001}, day, true); !ok || got != (4000+20_020_000)/2 {
		t.Errorf("batch: %d %v", got, ok)
	}
	p, _ = c.PriceAt("deepseek", "deepseek-flash", day)
	if _, ok := p.Cost(llm.Usage{Input: 1}, day, true); ok {
		t.Error("a batch price of DeepSeek, which has no batch")
	}
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	const all = "low,medium,high,xhigh,max"
	for _, tc := range []struct {
		provider, model        string
		think, efforts, effort string
		thinks                 bool
		has, lacks             llm.Feature
	}{
		{"anthropic", "claude-fable-5-2", "adaptive", all, "high", true, llm.MidSystem | llm.JSONSchema | llm.PDF, llm.ForcedTool | llm.SamplingParams | llm.Prefill},
		{"anthropic", "claude-mythos-5-1", "adaptive", all, "high", true, llm.MidSystem, llm.ForcedTool | llm.SamplingParams},
		{"anthropic", "claude-fable-5", "adaptive", all, "high", true, llm.MidSystem | llm.ForcedTool, llm.SamplingParams},
		{"anthropic", "claude-opus-5-5", "adaptive", all, "medium", true, llm.MidSystem, llm.ForcedTool | llm.SamplingParams | llm.Prefill},
		{"anthropic", "claude-opus-5", "adaptive,disabled", all, "high", true, llm.MidSystem | llm.ForcedTool, llm.SamplingParams},
		{"anthropic", "claude-opus-4-8", "adaptive,disabled", all, "high", false, llm.MidSystem | llm.ForcedTool, llm.SamplingParams},
		{"anthropic", "claude-opus-4-7", "adaptive,disabled", all, "high", false, llm.ForcedTool, llm.SamplingParams | llm.MidSystem},
		{"anthropic", "claude-opus-4-6", "adaptive,enabled,disabled", "low,medium,high,max", "high", false, llm.SamplingParams | llm.ForcedTool, llm.MidSystem | llm.Prefill},
		{"anthropic", "claude-opus-4-5", "enabled,disabled", "low,medium,high", "high", false, llm.SamplingParams | llm.Prefill | llm.JSONSchema, llm.MidSystem},
		{"anthropic", "claude-sonnet-5-5", "adaptive,between_tools", all, "high", true, llm.MidSystem, llm.ForcedTool | llm.SamplingParams},
		{"anthropic", "claude-sonnet-5", "adaptive,disabled", all, "high", true, llm.ForcedTool, llm.MidSystem | llm.SamplingParams},
		{"anthropic", "claude-sonnet-4-6", "adaptive,enabled,disabled", "low,medium,high,max", "high", false, llm.SamplingParams, llm.MidSystem | llm.Prefill},
		{"anthropic", "claude-sonnet-4-5", "enabled,disabled", "", "", false, llm.SamplingParams | llm.Prefill, llm.MidSystem},
		{"anthropic", "claude-haiku-5-5", "adaptive,disabled", all, "medium", true, llm.MidSystem | llm.ForcedTool, llm.SamplingParams},
		{"anthropic", "claude-haiku-4-5", "enabled,disabled", "", "", false, llm.SamplingParams | llm.Prefill, llm.MidSystem},
		{"openai", "gpt-6.1-sol", "", "low,medium,high,xhigh", "medium", true, llm.Tools | llm.DeveloperRole | llm.StrictTools, llm.ToolEffortFree | llm.SamplingParams | llm.Logprobs},
		{"openai", "gpt-6-sol", "", "none,low,medium,high,xhigh", "medium", true, llm.Tools, llm.ToolEffortFree},
		{"openai", "gpt-5.5", "", "none,low,medium,high,xhigh", "medium", true, llm.PDF, llm.ToolEffortFree | llm.SamplingParams},
		{"openai", "gpt-5.4", "", "none,low,medium,high,xhigh", "none", false, llm.SamplingParams, llm.ToolEffortFree},
		{"openai", "gpt-5.2", "", "none,low,medium,high,xhigh", "none", false, llm.SamplingParams | llm.ToolEffortFree, 0},
		{"openai", "gpt-5-mini", "", "minimal,low,medium,high", "medium", true, llm.ToolEffortFree, llm.SamplingParams},
		{"openai", "gpt-4o", "", "", "", false, llm.SamplingParams | llm.Tools | llm.Vision | llm.Logprobs | llm.Seed, llm.Thinking},
		{"deepseek", "deepseek-flash", "", "low,medium,high,max", "high", true, llm.Vision | llm.JSONObject, llm.JSONSchema | llm.DeveloperRole},
		{"gemini", "gemini-4-hydrogen", "", "low,medium,high,xhigh", "high", true, llm.Tools | llm.AudioInput, llm.Prefill},
		{"mistral", "mistral-large-latest", "", "", "", false, llm.Tools | llm.JSONSchema, llm.DeveloperRole},
		{"perplexity", "sonar", "", "", "", false, 0, llm.Tools | llm.ForcedTool | llm.StopSequences},
	} {
		k := c.Capability(tc.provider, tc.model)
		if !k.Known {
			t.Errorf("%s/%s: not known", tc.provider, tc.model)
			continue
		}
		if got := strings.Join(k.ThinkTypes, ","); got != tc.think {
			t.Errorf("%s/%s: thinks %q, want %q", tc.provider, tc.model, got, tc.think)
		}
		if got := strings.Join(k.Efforts, ","); got != tc.efforts || k.DefaultEffort != tc.effort || k.ThinksByDefault != tc.thinks {
			t.Errorf("%s/%s: efforts %q default %q thinks %v", tc.provider, tc.model, got, k.DefaultEffort, k.ThinksByDefault)
		}
		if k.Has&tc.has != tc.has || k.Has&tc.lacks != 0 {
			t.Errorf("%s/%s: lacks %v, has %v too much", tc.provider, tc.model, NamesOf(tc.has&^k.Has), NamesOf(k.Has&tc.lacks))
		}
	}
	m := c.Capability("mistral", "no-such-model")
	if m.Known || m.ToolIDLength != 9 || !m.Closed || m.MaxTokensField != "max_tokens" || !m.Can(llm.Tools) {
		t.Errorf("an unknown model must have its provider's manners: %+v", m)
	}
	if d := c.Capability("deepseek", "x"); d.ReasoningField != "reasoning_content" || !d.ReasoningRequired {
		t.Errorf("deepseek: %+v", d)
	}
	if diff := cmp.Diff(llm.Capability{}, c.Capability("nobody", "x")); diff != "" {
		t.Error(diff)
	}
	if p := c.Capability("anthropic", "claude-mythos-preview"); p.Known {
		t.Error("nothing is known of the preview's capabilities")
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	m, ok := c.Model("anthropic", "claude-opus-4-5")
	if !ok || m.ID != "claude-opus-4-5-20251101" {
		t.Fatalf("alias: %v", m)
	}
	for _, m := range c.Models() {
		if m.Provider == "anthropic" && m.ID == "claude-opus-4-5" {
			t.Error("an alias has a row of its own")
		}
	}
	if m, ok := c.Model("google", "gemini-2.5-pro"); !ok || m.Provider != "gemini" {
		t.Error("a provider's alias does not lead to its models")
	}
	m, _ = c.Model("anthropic", "claude-sonnet-4-5")
	if m.StatusAt(day) != Deprecated || m.StatusAt(day.AddDate(0, 0, 8)) != Retired {
		t.Errorf("Sonnet 4.5: %s, then %s", m.StatusAt(day), m.StatusAt(day.AddDate(0, 0, 8)))
	}
	m, _ = c.Model("anthropic", "claude-opus-4-1")
	if m.Status != Retired || m.Retires.Format(time.DateOnly) != "2026-08-05" {
		t.Errorf("Opus 4.1: %s %s", m.Status, m.Retires)
	}
	if _, ok := c.Model("anthropic", "gpt-5.5"); ok {
		t.Error("a model at a provider that does not have it")
	}
}

func TestOffers(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	names := func(id string) (list []string) {
		for _, m := range c.Offers(id) {
			list = append(list, m.Provider+"/"+m.ID)
		}
		return list
	}
	got := names("claude-opus-4-5")
	if len(got) < 2 || got[0] != "anthropic/claude-opus-4-5-20251101" || !slices.Contains(got, "openrouter/anthropic/claude-opus-4.5") {
		t.Errorf("claude-opus-4-5: %v", got)
	}
	if got := names("gpt-5.5"); len(got) == 0 || got[0] != "openai/gpt-5.5" {
		t.Errorf("gpt-5.5: %v", got)
	}
	if got := names("deepseek-v4-pro"); len(got) == 0 || got[0] != "deepseek/deepseek-v4-pro" || slices.Index(got, "qwen-cn/deepseek-v4-pro") < 2 {
		t.Errorf("deepseek-v4-pro must come from its maker first: %v", got)
	}
	if got := names("gpt-oss-120b"); !slices.Contains(got, "groq/openai/gpt-oss-120b") {
		t.Errorf("gpt-oss-120b: %v", got)
	}
	if got := names("x-ai/grok-4.3"); len(got) < 2 || got[0] != "xai/grok-4.3" || !slices.Contains(got, "openrouter/x-ai/grok-4.3") {
		t.Errorf("x-ai/grok-4.3: %v", got)
	}
	for _, id := range []string{"xai_/grok-4.3", "anthropc/claude-opus-4-5", "acme/steady", "openrouter/anthropic/claude-opus-4.5"} {
		if got := names(id); got != nil {
			t.Errorf("%s: nobody calls a model so, got %v", id, got)
		}
	}
	if got := names("steady"); !slices.Equal(got, []string{"rehearsal/steady"}) {
		t.Errorf("steady: %v", got)
	}
	if got := names("no-such-model"); got != nil {
		t.Errorf("no-such-model: %v", got)
	}
	// What is handed out may be sorted by its receiver.
	a := c.Offers("gpt-5.5")
	slices.Reverse(a)
	if b := c.Offers("gpt-5.5"); b[0].Provider != "openai" {
		t.Error("Offers hands out its own memory")
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	found := c.Find(Query{Provider: "anthropic", Needs: llm.Tools | llm.Vision, Sort: "price", At: day})
	if len(found) < 10 || found[0].ID != "claude-haiku-5-5" {
		t.Fatalf("cheapest Claude: %v", found)
	}
	last := 0.0
	for _, m := range found {
		if p := m.blended(day); p < last {
			t.Errorf("%s costs less than the one before it", m.ID)
		} else {
			last = p
		}
		if m.StatusAt(day) == Retired {
			t.Errorf("%s is retired", m.ID)
		}
	}
	for _, m := range c.Find(Query{Needs: llm.AudioInput}) {
		if k := c.Capability(m.Provider, m.ID); !k.Known || !k.Can(llm.AudioInput) {
			t.Errorf("%s/%s hears nothing", m.Provider, m.ID)
		}
	}
	if got := c.Find(Query{Provider: "nobody"}); got != nil {
		t.Error("models of nobody")
	}
	for _, m := range c.Find(Query{}) {
		if !m.Text() {
			t.Errorf("%s/%s does not answer in text", m.Provider, m.ID)
		}
	}
	if len(c.Find(Query{Any: true, Retired: true})) != len(c.Models()) {
		t.Error("asking for all does not give all")
	}
	if w := c.Find(Query{Sort: "window", Window: 1_000_000}); len(w) == 0 || w[0].Window < w[len(w)-1].Window {
		t.Error("window")
	}
	if r := c.Find(Query{Provider: "openai", Sort: "released"}); r[0].ID != "gpt-6.1-terra" {
		t.Errorf("newest of OpenAI: %s", r[0].ID)
	}
	if n := c.Find(Query{Name: "OPUS", Provider: "anthropic"}); len(n) < 5 {
		t.Errorf("by name: %v", n)
	}
}

func TestFeatureNames(t *testing.T) {
	t.Parallel()
	var all llm.Feature
	for _, n := range FeatureNames() {
		f, ok := FeatureByName(n)
		if !ok || all&f != 0 {
			t.Errorf("%s: %v", n, f)
		}
		all |= f
	}
	if all != llm.AllFeatures {
		t.Errorf("features without a name: %b", llm.AllFeatures&^all)
	}
	if _, err := Features("tools,flying"); err == nil || !strings.Contains(err.Error(), "flying") || !strings.Contains(err.Error(), "vision") {
		t.Errorf("%v", err)
	}
	if f, err := Features("tools, vision"); err != nil || f != llm.Tools|llm.Vision {
		t.Error(f, err)
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	m, _ := c.Model("anthropic", "claude-opus-5-5")
	i := c.Info(m)
	if i.ID != "anthropic/claude-opus-5-5" || i.Name != "Claude Opus 5.5" || i.Window != 1_000_000 || i.MaxOutput != 128_000 ||
		i.Created != time.Date(2026, 9, 22, 0, 0, 0, 0, time.UTC).Unix() || !i.Capability.Known {
		t.Errorf("%+v", i)
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	yes := true
	c := load(t, Overrides{
		Providers: map[string]ProviderOverride{
			"openai": {BaseURL: "http://proxy:1/v1/"},
			"house":  {Like: "vllm", BaseURL: "http://gpu:8000/v1"},
			"other":  {BaseURL: "http://x/v1", Closed: &yes, ReasoningField: "reasoning"},
			"msg":    {Dialect: llm.Anthropic, BaseURL: "http://y"},
		},
		Models: map[string]ModelOverride{
			"google/gemini-2.5-pro":     {Window: 5},
			"anthropic/claude-opus-4-5": {Price: &PriceOverride{Input: new(1.5), Output: new(2.0), Batch: 0.25}},
			"house/llama":               {Window: 8192, Has: []string{"tools"}},
			"openai/gpt-5.5":            {Lacks: []string{"tools"}, Efforts: []string{"low"}},
			"house/blank":               {Name: "Blank"},
		},
	})
	if p, _ := c.Provider("openai"); p.BaseURL != "http://proxy:1/v1" || p.Auth != Bearer {
		t.Errorf("%+v", p)
	}
	if p, _ := c.Provider("house"); p.ReasoningField != "reasoning" || p.Auth != NoAuth || p.ModelsPath != "/models" || !p.Local {
		t.Errorf("%+v", p)
	}
	if p, _ := c.Provider("msg"); p.ModelsPath != "/v1/models" || !p.CacheMarks || p.Usage != "always" || p.ErrorForm != "anthropic" {
		t.Errorf("%+v", p)
	}
	if k := c.Capability("other", "x"); !k.Closed || k.ReasoningField != "reasoning" || k.Known {
		t.Errorf("%+v", k)
	}
	if m, _ := c.Model("gemini", "gemini-2.5-pro"); m.Window != 5 {
		t.Error("window")
	}
	p, ok := c.PriceAt("anthropic", "claude-opus-4-5-20251101", day)
	if !ok || p.Input.USD() != 1.5 || p.CacheRead.Known || p.Batch != 250 {
		t.Errorf("%v", p)
	}
	if k := c.Capability("house", "llama"); !k.Known || !k.Can(llm.Tools) || k.Can(llm.Vision) {
		t.Errorf("%+v", k)
	}
	if k := c.Capability("house", "blank"); k.Known {
		t.Error("nothing is known of a model that was only named")
	}
	if k := c.Capability("openai", "gpt-5.5"); k.Can(llm.Tools) || !k.Can(llm.Vision) || !slices.Equal(k.Efforts, []string{"low"}) {
		t.Errorf("%+v", k)
	}
	if fresh := load(t, Overrides{}); fresh.byName["openai"].BaseURL != "https://api.openai.com/v1" {
		t.Error("an override stayed behind")
	}
	for want, o := range map[string]Overrides{
		"providers.x y.id":              {Providers: map[string]ProviderOverride{"x y": {}}},
		"providers.a.like":              {Providers: map[string]ProviderOverride{"a": {Like: "nobody"}}},
		"providers.openai.auth":         {Providers: map[string]ProviderOverride{"openai": {Auth: "magic"}}},
		"providers.openai.dialect":      {Providers: map[string]ProviderOverride{"openai": {Dialect: "latin"}}},
		"models.gpt":                    {Models: map[string]ModelOverride{"gpt": {}}},
		"models.nobody/x":               {Models: map[string]ModelOverride{"nobody/x": {}}},
		"models.openai/x.has":           {Models: map[string]ModelOverride{"openai/x": {Has: []string{"wings"}}}},
		"models.openai/x.efforts":       {Models: map[string]ModelOverride{"openai/x": {Efforts: []string{"huge"}}}},
		"models.openai/x.price.output":  {Models: map[string]ModelOverride{"openai/x": {Price: &PriceOverride{Output: new(-1.0)}}}},
		"models.openai/x.price.input":   {Models: map[string]ModelOverride{"openai/x": {Price: &PriceOverride{}}}},
		"models.openai/x.price.batch":   {Models: map[string]ModelOverride{"openai/x": {Price: &PriceOverride{Input: new(1.0), Batch: -1}}}},
		"models.openai/x.window":        {Models: map[string]ModelOverride{"openai/x": {Window: -1}}},
		"refresh:2: catalog: no provid": {Refresh: []byte(header + "nobody\tx\n")},
	} {
		if _, err := Load(o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s...", err, want)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(Overrides{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCapability(b *testing.B) {
	c := load(b, Overrides{})
	b.ReportAllocs()
	for b.Loop() {
		c.Capability("anthropic", "claude-opus-5-5")
	}
}

func BenchmarkCost(b *testing.B) {
	c := load(b, Overrides{})
	u := llm.Usage{Input: 1000, CacheRead: 100_000, Output: 500}
	b.ReportAllocs()
	for b.Loop() {
		c.Cost("anthropic", "claude-haiku-5-5", u, day)
	}
}

// TestEmbeddingsArePriced: the models that make embeddings at the vendors of
// the front doors have a price, and their answers cost by their input alone.
func TestEmbeddingsArePriced(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	at := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	for _, provider := range []string{"openai", "gemini", "mistral", "cohere"} {
		n := 0
		for _, m := range c.Models() {
			if m.Provider != provider || !m.Embeds() {
				continue
			}
			n++
			if cost, ok := c.Cost(provider, m.ID, llm.Usage{Input: 1_000_000}, at); !ok || cost < 10_000_000 || cost > 500_000_000 {
				t.Errorf("%s/%s: a million tokens cost %d (priced %v)", provider, m.ID, cost, ok)
			}
		}
		if n == 0 {
			t.Errorf("%s has none", provider)
		}
	}
}

// TestGPTTable: what each GPT takes, by the beginning of its name (profiles
// verified live in 2026-07, documentation of 2026-11).
func TestGPTTable(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	for _, m := range []struct {
		id         string
		reasons    bool // unasked
		none       bool // effort none is taken
		responses  bool // the only wire
		chatTools  bool // tools and reasoning together on Chat Completions
		firstLevel string
	}{
		{"gpt-6-astra", true, false, false, false, "low"},
		{"gpt-6.1-sol", true, false, false, false, "low"},
		{"gpt-6-sol", true, true, false, false, "none"},
		{"gpt-6-luna", true, true, false, false, "none"},
		{"gpt-5.6-sol", true, true, false, false, "none"},
		{"gpt-5.5", true, true, false, false, "none"},
		{"gpt-5.5-pro", true, false, true, false, "medium"},
		{"gpt-5.4", false, true, false, false, "none"},
		{"gpt-5.4-pro", true, false, true, false, "medium"},
		{"gpt-5.3-chat-latest", true, false, false, true, "medium"},
		{"gpt-5.2-chat-latest", true, false, false, true, "medium"},
		{"gpt-5.2-pro", true, false, true, true, "medium"},
		{"gpt-5.2-codex", true, false, true, true, "low"},
		{"gpt-5.1-codex-max", true, false, true, true, "low"},
		{"gpt-5.3-codex", false, true, true, true, "none"},
		{"gpt-5.2", false, true, false, true, "none"},
		{"gpt-5.1", false, true, false, true, "none"},
		{"gpt-5", true, false, false, true, "minimal"},
		{"gpt-5-mini", true, false, false, true, "minimal"},
		{"gpt-5-pro", true, false, true, true, "high"},
		{"o3", true, false, false, true, "low"},
		{"o3-pro", true, false, true, true, "low"},
		{"gpt-5-chat-latest", false, false, false, true, ""},
		{"gpt-4.1", false, false, false, true, ""},
	} {
		k := c.Capability("openai", m.id)
		first := ""
		if len(k.Efforts) > 0 {
			first = k.Efforts[0]
		}
		if !k.Known || k.ThinksByDefault != m.reasons || first != m.firstLevel || (first == "none") != m.none ||
			(k.Wire == llm.Responses) != m.responses || k.Can(llm.ToolEffortFree) != m.chatTools {
			t.Errorf("%s: thinks %v, efforts %v, wire %q, tools with effort %v", m.id, k.ThinksByDefault, k.Efforts, k.Wire, k.Can(llm.ToolEffortFree))
		}
		if m.reasons == k.Can(llm.SamplingParams) {
			t.Errorf("%s: reasons %v, sampling %v", m.id, m.reasons, k.Can(llm.SamplingParams))
		}
	}
}
