package catalog

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

const openrouterList = `
 {"data":[
  {"id":"anthropic/claude-opus-5.5","name":"Anthropic: Claude Opus 5.5","created":1790000000,"context_length":1000000,
   "architecture":{"input_modalities":["text","image","file"],"output_modalities":["text"]},
   "pricing":{"prompt":"0.000004","completion":"0.00002","input_cache_read":"0.0000002","input_cache_write":"0.000005","request":"0"},
   "top_provider":{"max_completion_tokens":128000,"is_moderated":false},
   "supported_parameters":["tools","reasoning","max_tokens","structured_outputs"],
   "reasoning":{"supported_efforts":["max","low","high"]},"expiration_date":"2027-01-31"},
  {"id":"openrouter/auto","pricing":{"prompt":"-1","completion":"-1"},"created":"soon","context_length":"big"},
  {"id":"tiny/price","pricing":{"prompt":"0.00000000000000049","completion":"0"}},
  {"id":"openrouter/auto"},{"name":""}
 ]}`

const anthropicList = `{"data":[{"type":"model","id":"claude-opus-5-5","display_name":"Claude Opus 5.5","created_at":"2026-09-22T00:00:00Z",
 "line":"opus","lifecycle":"deprecated","deprecated_at":"2026-12-01","retires_at":"2027-06-01T00:00:00Z","max_input_tokens":900000,"max_tokens":64000,
 "capabilities":{"batch":{"supported":true},"image_input":{"supported":true},"pdf_input":{"supported":false},"structured_outputs":{"supported":true},
  "effort":{"supported":true,"low":{"supported":true},"medium":{"supported":true},"max":{"supported":false}},
  "thinking":{"supported":true,"types":{"adaptive":{"supported":true},"disabled":{"supported":true},"enabled":{"supported":false}}}}},
 {"type":"model","id":"claude-next","display_name":"Claude Next","created_at":"2026-11-22T00:00:00Z"}],
 "has_more":false,"first_id":"claude-opus-5-5","last_id":"claude-next"}`

func TestParseModelList(t *testing.T) {
	t.Parallel()
	ids := func(ds []Discovered) (out []string) {
		for _, d := range ds {
			out = append(out, d.ID)
		}
		return out
	}
	ds, err := ParseModelList(llm.OpenAI, []byte(openrouterList))
	if err != nil || !slices.Equal(ids(ds), []string{"anthropic/claude-opus-5.5", "openrouter/auto", "tiny/price"}) {
		t.Fatalf("%v %v", ids(ds), err)
	}
	d := ds[0]
	if d.Window != 1_000_000 || d.MaxOutput != 128_000 || d.Created != 1790000000 || d.Name == "" || d.Retires.Year() != 2027 ||
		!slices.Equal(d.Efforts, []string{"low", "high", "max"}) {
		t.Errorf("%+v", d)
	}
	if d.Has&(llm.Tools|llm.Vision|llm.PDF|llm.JSONSchema|llm.Thinking) != llm.Tools|llm.Vision|llm.PDF|llm.JSONSchema|llm.Thinking || d.Has&(llm.ForcedTool|llm.SamplingParams) != 0 || d.Says&llm.ForcedTool == 0 {
		t.Errorf("has %v of %v", NamesOf(d.Has), NamesOf(d.Says))
	}
	if p := d.Price; p == nil || p.Input.USD() != 4 || p.Output.USD() != 20 || p.CacheRead.USD() != 0.2 || p.CacheWrite5m.USD() != 5 || p.CacheWrite1h.Known {
		t.Errorf("%v", d.Price)
	}
	if ds[1].Price != nil || ds[1].Created != 0 || ds[1].Window != 0 {
		t.Errorf("a price that varies is none: %+v", ds[1])
	}
	if p := ds[2].Price; p == nil || p.Input.PerMillion != 1 || !p.Output.Known || p.Output.PerMillion != 0 {
		t.Errorf("rounded up: %v", p)
	}

	ds, err = ParseModelList(llm.Anthropic, []byte(anthropicList))
	if err != nil || len(ds) != 2 {
		t.Fatal(ds, err)
	}
	d = ds[0]
	if d.Window != 900_000 || d.MaxOutput != 64_000 || d.Status != Deprecated || !slices.Equal(d.ThinkTypes, []string{"adaptive", "disabled"}) ||
		!slices.Equal(d.Efforts, []string{"low", "medium"}) || d.Says&llm.PDF == 0 || d.Has&llm.PDF != 0 || d.Retires.Month() != time.June {
		t.Errorf("%+v", d)
	}

	for name, body := range map[string]string{
		"openai":      `{"object":"list","data":[{"id":"a","object":"model","created":1,"owned_by":"system"}]}`,
		"ollama":      `{"object":"list","data":[{"id":"a","object":"model","created":1,"owned_by":"library"}]}`,
		"bare array":  `[{"id":"a","type":"chat","context_length":8192,"pricing":{"input":0.2,"output":0.2}}]`,
		"groq":        `{"data":[{"id":"a","active":true,"context_window":131072,"max_completion_tokens":8192}]}`,
		"mistral":     `{"data":[{"id":"a","capabilities":{"function_calling":true,"vision":false},"max_context_length":32768,"deprecation":null}]}`,
		"vllm":        `{"data":[{"id":"a","max_model_len":4096}]}`,
		"ollama tags": `{"models":[{"name":"a","model":"a","size":1}]}`,
		"doubled key": `{"data":[{"id":"a","id":"a"}]}`,
	} {
		ds, err := ParseModelList(llm.OpenAI, []byte(body))
		if err != nil || !slices.Equal(ids(ds), []string{"a"}) {
			t.Errorf("%s: %v %v", name, ds, err)
		}
	}
	for _, body := range []string{"", "null", "{}", "<html>", `{"error":{"message":"no"}}`, `{"data":[1]}`, `{"data":{}}`, `[{"id":`} {
		if ds, err := ParseModelList(llm.OpenAI, []byte(body)); err == nil {
			t.Errorf("%q: %v", body, ds)
		}
	}
}

func TestWithDiscovered(t *testing.T) {
	t.Parallel()
	c := load(t, Overrides{})
	ds, err := ParseModelList(llm.Anthropic, []byte(anthropicList))
	if err != nil {
		t.Fatal(err)
	}
	n := c.WithDiscovered("anthropic", append(ds, Discovered{ID: "claude-opus-4-5"}))
	m, _ := n.Model("anthropic", "claude-opus-5-5")
	k := n.Capability("anthropic", "claude-opus-5-5")
	if m.Listed != Present || k.Window != 900_000 || k.Can(llm.PDF) || !k.Can(llm.MidSystem) || !k.CanThink("disabled") || m.Status != Deprecated {
		t.Errorf("%+v\n%+v", m, k)
	}
	if p, ok := n.PriceAt("anthropic", "claude-opus-5-5", day); !ok || p.CacheWrite1h.USD() != 8 {
		t.Error("the price went away")
	}
	if m, _ := n.Model("anthropic", "claude-next"); m == nil || m.Listed != Present || m.Known {
		t.Errorf("%+v", m)
	}
	if _, priced := n.Cost("anthropic", "claude-next", llm.Usage{Input: 1}, day); priced {
		t.Error("a new model has no price")
	}
	if m, _ := n.Model("anthropic", "claude-opus-4-5-20251101"); m.Listed != Present {
		t.Error("listed by its alias")
	}
	if m, _ := n.Model("anthropic", "claude-haiku-5-5"); m.Listed != Absent {
		t.Error("what is not listed is absent")
	}
	if m, _ := n.Model("openai", "gpt-5.5"); m.Listed != Unsaid {
		t.Error("another provider's model")
	}
	if m, _ := c.Model("anthropic", "claude-opus-5-5"); m.Listed != Unsaid || m.Window != 1_000_000 {
		t.Error("the old catalogue changed")
	}
	if c.WithDiscovered("nobody", ds) != c {
		t.Error("an unknown provider changed the catalogue")
	}
	// What the provider no longer lists comes last among the offers.
	gone := c.WithDiscovered("openai", []Discovered{{ID: "gpt-4o"}})
	if o := gone.Offers("gpt-5.5"); o[0].Provider == "openai" || o[len(o)-1].Provider != "openai" {
		t.Errorf("%v first", o[0].Provider)
	}

	ds, err = ParseModelList(llm.OpenAI, []byte(openrouterList))
	if err != nil {
		t.Fatal(err)
	}
	r := c.WithDiscovered("openrouter", ds)
	if cost, ok := r.Cost("openrouter", "anthropic/claude-opus-5.5", llm.Usage{Input: 1000, CacheRead: 10}, day); !ok || cost != 4_000_000+2_000 {
		t.Error(cost, ok)
	}
	if o := r.Offers("claude-opus-5-5"); len(o) < 2 || o[0].Provider != "anthropic" {
		t.Errorf("%v", o)
	}
}

func FuzzParseModelList(f *testing.F) {
	f.Add([]byte(openrouterList), true)
	f.Add([]byte(anthropicList), false)
	f.Add([]byte(`[{"id":"a","pricing":{"prompt":"9e99","completion":1e300},"created":-1e400,"context_length":1e30}]`), true)
	b := small(f)
	if err := b.lines("newer.rows", newerRows, b.model); err != nil {
		f.Fatal(err)
	}
	c, err := build(b.providers, b.order)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, openai bool) {
		d, p := llm.Anthropic, "anthropic"
		if openai {
			d, p = llm.OpenAI, "openrouter"
		}
		found, err := ParseModelList(d, body)
		if err != nil {
			return
		}
		n := c.WithDiscovered(p, found)
		for _, d := range found {
			m, ok := n.Model(p, d.ID)
			if !ok || m.Listed != Present || m.Window < 0 || m.MaxOutput < 0 {
				t.Fatalf("%+v", m)
			}
			if cost, _ := n.Cost(p, d.ID, llm.Usage{Input: 1 << 40, Output: 1 << 40}, day); cost < 0 {
				t.Fatal("negative money")
			}
		}
	})
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	list := `{
	 "anthropic":{"id":"anthropic","models":{
	  "claude-opus-5-5":{"name":"X","tool_call":false,"temperature":true,"cost":{"input":4,"output":20},"limit":{"context":1,"output":2}},
	  "claude-opus-4-5":{"name":"Opus 4.5 (latest)"},
	  "claude-opus-5":{"cost":{"input":3,"output":15,"cache_read":0.3,"cache_write":3.75},"family":"claude-opus"}}},
	 "google":{"models":{"gemini-9":{"name":"Gemini 9","tool_call":true,"reasoning":true,"reasoning_options":[{"type":"effort","values":["high","low","turbo"]},{"type":"budget_tokens","min":1}],
	  "modalities":{"input":["text","image"],"output":["text"]},"cost":{"input":1,"output":2,"tiers":[{"tier":{"type":"context","size":200000},"input":3,"output":4}]},"limit":{"context":10,"output":5},"release_date":"2026-11"}}},
	 "zzz":{"models":{}},"aaa":{"models":{"x":{}}}}`
	r, err := ParseRefresh([]byte(list), day)
	if err != nil {
		t.Fatal(err)
	}
	if r.Form != "models.dev" || r.Models != 4 || !slices.Equal(r.Skipped, []string{"aaa", "zzz"}) {
		t.Errorf("%+v", r)
	}
	path := filepath.Join(t.TempDir(), "models.rows")
	if err := r.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, Overrides{Refresh: kept})
	if k := c.Capability("anthropic", "claude-opus-5-5"); !k.Can(llm.Tools) || k.Can(llm.SamplingParams) || k.Window != 1 {
		t.Errorf("a list must not change checked capabilities, but limits: %+v", k)
	}
	if p, _ := c.PriceAt("anthropic", "claude-opus-5-5", day); p.CacheWrite1h.USD() != 8 {
		t.Errorf("a price that agrees stays as it was: %v", p)
	}
	if m, _ := c.Model("anthropic", "claude-opus-4-5"); m.Name != "Claude Opus 4.5" {
		t.Errorf("an alias in a list changed its model: %s", m.Name)
	}
	before, _ := c.PriceAt("anthropic", "claude-opus-5", day.AddDate(0, 0, -1))
	after, _ := c.PriceAt("anthropic", "claude-opus-5", day)
	if before.Input.USD() != 5 || after.Input.USD() != 3 || after.CacheWrite1h.USD() != 6 {
		t.Errorf("a new price counts from the list's date: %v, %v", before, after)
	}
	m, ok := c.Model("gemini", "gemini-9")
	if !ok || m.Window != 10 || !slices.Equal(m.Efforts, []string{"low", "high"}) || m.Released.Month() != time.November || !m.ThinksByDefault {
		t.Fatalf("%+v", m)
	}
	if cost, ok := c.Cost("gemini", "gemini-9", llm.Usage{Input: 200_001}, day); !ok || cost != 600_003_000 {
		t.Error(cost, ok)
	}

	// Our own form goes through unchanged.
	again, err := ParseRefresh(kept, day)
	if err != nil || again.Form != "rows" || again.Models != r.Models || string(again.Bytes()) != string(kept) {
		t.Errorf("%v %v", again, err)
	}
	for body, want := range map[string]string{
		"":                      "empty",
		"[]":                    "neither rows",
		"openai\tx":             "neither rows",
		"{}":                    "no model",
		`{"openai":{"models":{`: "refresh",
		`{"openai":{"models":{"x":{"cost":{"input":"much"}}}}}`:         "openai.models.x: cost.input",
		header + "openai\tx\thas=wings\n":                               "refresh:2",
		header + "openai\tx\talias=gpt-5.5\nopenai\ty\talias=gpt-5.5\n": "alias",
	} {
		if _, err := ParseRefresh([]byte(body), day); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", body, err, want)
		}
	}
	if err := r.WriteFile(filepath.Join(t.TempDir(), "no", "such", "dir")); err == nil {
		t.Error("written to nowhere")
	}
}

// TestOtherLists reads the lists of Gemini and Ollama.
func TestOtherLists(t *testing.T) {
	t.Parallel()
	got, err := ParseModelList(llm.Gemini, []byte(`{"models":[
		{"name":"models/gemini-x","displayName":"Gemini X","inputTokenLimit":1048576,"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"],"thinking":true},
		{"name":"models/gemini-embedding-x","displayName":"Embedding X","inputTokenLimit":2048,"outputTokenLimit":1,"supportedGenerationMethods":["embedContent"]}],"nextPageToken":"a"}`))
	want := []Discovered{
		{ID: "gemini-x", Name: "Gemini X", Window: 1048576, MaxOutput: 65536, Known: true, Says: llm.Thinking, Has: llm.Thinking},
		{ID: "gemini-embedding-x", Name: "Embedding X", Window: 2048, MaxOutput: 1, Gives: []string{"embedding"}},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	got, err = ParseModelList(llm.Ollama, []byte(`{"models":[
		{"name":"qwen3:8b","model":"qwen3:8b","size":1,"details":{"family":"qwen3","context_length":40960},"capabilities":["completion","tools","thinking"]},
		{"name":"nomic-embed-text:latest","model":"nomic-embed-text:latest","details":{},"capabilities":["embedding"]}]}`))
	says := llm.Tools | llm.Vision | llm.Thinking | llm.AudioInput
	want = []Discovered{
		{ID: "qwen3:8b", Window: 40960, Known: true, Says: says, Has: llm.Tools | llm.Thinking},
		{ID: "nomic-embed-text:latest", Known: true, Says: says, Gives: []string{"embedding"}},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}
