package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/openai"
)

// send writes a Messages request for a provider's model, as its rows say, and
// gives the body that went out.
func send(t *testing.T, c *catalog.Catalog, provider, model string, d *llm.Draft) (map[string]any, *llm.Answer, error) {
	t.Helper()
	row, ok := c.Provider(provider)
	if !ok {
		t.Fatalf("no provider %s", provider)
	}
	u := &upstream{kind: "application/json", answer: `{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`}
	p, err := New(Options{Row: row, Key: "sk-of-the-gateway", BaseURL: "https://x.test", Transport: u})
	if err != nil {
		t.Fatal(err)
	}
	capability := c.Capability(provider, model)
	ans, err := p.Send(context.Background(), model, &capability, d)
	if err != nil {
		return nil, nil, err
	}
	return plain(t, u.body).(map[string]any), ans, nil
}

// talk is a conversation as an agent has it: a tool loop with thinking, with
// tool names and call ids of Anthropic's rules.
func talk(extra string, tools int) string {
	var list []string
	for i := range tools {
		list = append(list, fmt.Sprintf(`{"name":"%d.look/%s","description":"d","input_schema":{"type":"object","properties":{"a":{"type":"string","anyOf":[{"minLength":1},{"const":"x"}]},"pair":{"type":"array","items":[{"type":"number"},{"type":"string"}]}}}}`, i, strings.Repeat("x", 70)))
	}
	name := "0.look/" + strings.Repeat("x", 70)
	return `{"model":"m","max_tokens":64000,"stream":true,"top_k":4,"metadata":{"user_id":"u"},"service_tier":"standard_only"` + extra + `,
		"system":"Be short.","tools":[` + strings.Join(list, ",") + `],"messages":[
		{"role":"user","content":"one"},{"role":"user","content":"two"},
		{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"tool_use","id":"toolu_01ABCDEFGHIJKLMNOPQRSTUV","name":"` + name + `","input":{"a":"b"}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_01ABCDEFGHIJKLMNOPQRSTUV","content":"r"}]}]}`
}

// TestManners: a request of an agent goes out to each provider in the form
// that it takes.
func TestManners(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	models := map[string]string{"mistral": "mistral-large-latest", "groq": "openai/gpt-oss-120b", "deepseek": "deepseek-v4-pro",
		"moonshot": "kimi-x", "zai": "glm-x", "qwen": "qwen-x", "cerebras": "x", "openai": "gpt-4.1", "together": "x", "nvidia": "x"}
	for provider, model := range models {
		t.Run(provider, func(t *testing.T) {
			body, _, err := send(t, c, provider, model, draft(t, llm.Anthropic, talk("", 1)))
			if err != nil {
				t.Fatal(err)
			}
			row, _ := c.Provider(provider)
			for name := range body {
				if row.Accepts != nil && !slices.Contains(row.Accepts, name) {
					t.Errorf("it takes no %s", name)
				}
			}
			messages := body["messages"].([]any)
			tool := body["tools"].([]any)[0].(map[string]any)["function"].(map[string]any)
			name := tool["name"].(string)
			if len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || row.ToolNameLetter && name[0] >= '0' && name[0] <= '9' {
				t.Errorf("tool name %q", name)
			}
			for _, m := range messages {
				m := m.(map[string]any)
				if m["role"] == "developer" && !row.DeveloperRole {
					t.Error("a developer message")
				}
				if m["role"] != "assistant" {
					continue
				}
				call := m["tool_calls"].([]any)[0].(map[string]any)
				if id := call["id"].(string); row.ToolIDLength > 0 && len(id) != row.ToolIDLength {
					t.Errorf("call id %q", id)
				}
				if got := call["function"].(map[string]any)["name"]; got != name {
					t.Errorf("the call names %v, the tool %s", got, name)
				}
				for _, field := range []string{"reasoning", "reasoning_content", "reasoning_details"} {
					if _, ok := m[field]; ok != (field == row.ReasoningField) {
						t.Errorf("%s: %v, the row says %q", field, m[field], row.ReasoningField)
					}
				}
			}
			if last := messages[len(messages)-1].(map[string]any); row.ToolIDLength > 0 && len(last["tool_call_id"].(string)) != row.ToolIDLength {
				t.Errorf("%v", last)
			}
			most := body[row.MaxTokensField].(float64)
			if want := row.OutputReserve; want > 0 && most != float64(want) {
				t.Errorf("%v tokens asked for", most)
			}
			schema, _ := json.Marshal(tool["parameters"])
			if typed := strings.Contains(string(schema), `"anyOf":[{"minLength":1,"type":"string"},{"const":"x","type":"string"}]`); typed != (row.Schema == llm.SchemaTyped) {
				t.Errorf("schema %s", schema)
			}
		})
	}
}

// TestMannersBySwitch: what only some requests say.
func TestMannersBySwitch(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ name, provider, model, extra, want, lacks string }{
		{"Mistral's word for a forced call", "mistral", "mistral-large-latest", `,"tool_choice":{"type":"any"}`, `"tool_choice":"any"`, ""},
		{"everyone else's", "groq", "openai/gpt-oss-120b", `,"tool_choice":{"type":"any"}`, `"tool_choice":"required"`, ""},
		{"thinking off, DeepSeek", "deepseek", "deepseek-v4-pro", `,"thinking":{"type":"disabled"}`, `"thinking":{"type":"disabled"}`, "reasoning_effort"},
		{"a forced call quiets DeepSeek", "deepseek", "deepseek-v4-pro", `,"tool_choice":{"type":"any"}`, `"thinking":{"type":"disabled"}`, ""},
		{"effort, DeepSeek", "deepseek", "deepseek-v4-pro", `,"output_config":{"effort":"xhigh"}`, `"reasoning_effort":"high"`, `"thinking"`},
		{"thinking off, Qwen", "qwen", "qwen-x", `,"thinking":{"type":"disabled"}`, `"enable_thinking":false`, ""},
		{"thinking on, Qwen", "qwen", "qwen-x", `,"thinking":{"type":"enabled","budget_tokens":5000}`, `"thinking_budget":5000`, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			body, _, err := send(t, c, x.provider, x.model, draft(t, llm.Anthropic, talk(x.extra, 1)))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := json.Marshal(body)
			if !strings.Contains(string(b), x.want) || x.lacks != "" && strings.Contains(string(b), x.lacks) {
				t.Errorf("%s", b)
			}
		})
	}
	// A client of Chat that names a route: the same by splices.
	d := draft(t, llm.OpenAI, `{"model":"m","seed":7,"user":"u","logit_bias":{"1":2},"store":true,"n":1,"tool_choice":"required","stream":true,"stream_options":{"include_usage":true},"tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"user","content":"a"}]}`)
	body, ans, err := send(t, c, "mistral", "mistral-large-latest", ptr(d.With(llm.Edit{Kind: llm.EditReshape})))
	if err != nil {
		t.Fatal(err)
	}
	row, _ := c.Provider("mistral")
	for name := range body {
		if !slices.Contains(row.Accepts, name) {
			t.Errorf("it takes no %s", name)
		}
	}
	if body["random_seed"] != 7.0 || body["tool_choice"] != "any" {
		t.Errorf("%v", body)
	}
	var told []string
	for _, l := range ans.Losses {
		told = append(told, l.Path)
	}
	if slices.Sort(told); !slices.Equal(told, []string{"logit_bias", "user"}) {
		t.Errorf("told of %v", told)
	}
	quiet := draft(t, llm.OpenAI, `{"model":"m","reasoning_effort":"high","tool_choice":{"type":"function","function":{"name":"f"}},"tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"user","content":"a"}]}`)
	if body, _, err = send(t, c, "deepseek", "deepseek-v4-pro", ptr(quiet.With(llm.Edit{Kind: llm.EditReshape}))); err != nil {
		t.Fatal(err)
	}
	if s, _ := json.Marshal(body["thinking"]); string(s) != `{"type":"disabled"}` || body["reasoning_effort"] != nil || body["tool_choice"] == nil {
		t.Errorf("%v", body)
	}
	for provider, stops := range map[string]int{"groq": 5, "deepseek": 17} {
		d := draft(t, llm.OpenAI, `{"model":"m","stop":["a"`+strings.Repeat(`,"b"`, stops-1)+`],"messages":[{"role":"user","content":"a"}]}`)
		if _, _, err := send(t, c, provider, "x", ptr(d.With(llm.Edit{Kind: llm.EditReshape}))); err == nil {
			t.Errorf("%s took %d stop sequences", provider, stops)
		}
	}
	// One that names the model itself is sent as it is.
	if body, _, err = send(t, c, "mistral", "mistral-large-latest", d); err != nil || body["seed"] != 7.0 || body["user"] != "u" {
		t.Errorf("%v %v", body, err)
	}
}

func ptr[T any](v T) *T { return &v }

// TestToolCaps: 128 tools pass, and a target that takes fewer than are offered
// is skipped with the reason.
func TestToolCaps(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		provider, model string
		tools           int
		fits            bool
	}{
		{"openai", "gpt-4.1", 128, true}, {"openai", "gpt-4.1", 129, false}, {"groq", "openai/gpt-oss-120b", 128, true},
		{"deepseek", "deepseek-v4-pro", 129, false}, {"together", "x", 300, true}, {"mistral", "mistral-large-latest", 128, true},
	} {
		body, _, err := send(t, c, x.provider, x.model, draft(t, llm.Anthropic, talk("", x.tools)))
		if !x.fits {
			e, ok := errors.AsType[*llm.Error](err)
			if !ok || e.Class != llm.Unsupported || !strings.Contains(e.Message, "at most 128 tools") {
				t.Errorf("%s with %d: %v", x.provider, x.tools, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s with %d: %v", x.provider, x.tools, err)
			continue
		}
		seen := map[any]bool{}
		for _, tool := range body["tools"].([]any) {
			seen[tool.(map[string]any)["function"].(map[string]any)["name"]] = true
		}
		if len(seen) != x.tools {
			t.Errorf("%s: %d names for %d tools", x.provider, len(seen), x.tools)
		}
	}
}

// TestManyInputs: more inputs than one embeddings request may hold are not sent.
func TestManyInputs(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	qwen := c.Capability("qwen", "text-embedding-v4")
	for n, fits := range map[int]bool{10: true, 11: false} {
		r := &llm.EmbedRequest{From: llm.Gemini, Inputs: make([]llm.EmbedInput, n)}
		enc, err := openai.Codec{}.EncodeEmbed(r, "text-embedding-v4", &qwen)
		if err != nil || (llm.Refusal(enc.Losses) == nil) != fits {
			t.Errorf("%d inputs: %v %v", n, enc.Losses, err)
		}
	}
}

// TestAlternation: Perplexity wants user and assistant to take turns.
func TestAlternation(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for name, messages := range map[string]string{
		"two of one side":          `{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"},{"role":"assistant","content":"d"},{"role":"user","content":"e"}`,
		"the assistant begins":     `{"role":"assistant","content":"c"},{"role":"user","content":"e"}`,
		"a system message between": `{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"user","content":"b"}`,
	} {
		body, _, err := send(t, c, "perplexity", "sonar", draft(t, llm.Anthropic, `{"model":"m","max_tokens":9,"system":"S","messages":[`+messages+`]}`))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := "system"
		for i, m := range body["messages"].([]any) {
			m := m.(map[string]any)
			if m["role"] != want {
				t.Errorf("%s: message %d is of %v: %v", name, i, m["role"], body["messages"])
				break
			}
			if want = "user"; m["role"] == "user" {
				want = "assistant"
			}
		}
	}
	if _, _, err := send(t, c, "perplexity", "sonar", draft(t, llm.Anthropic, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`)); err == nil {
		t.Error("a begun answer was sent")
	}
	// Those that mark it are sent it.
	body, _, err := send(t, c, "mistral", "codestral-latest", draft(t, llm.Anthropic, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if m := body["messages"].([]any)[1].(map[string]any); m["prefix"] != true {
		t.Errorf("%v", m)
	}
}
