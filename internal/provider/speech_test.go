package provider

import (
	"context"
	"errors"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/openai"
)

// TestPick: which wire a request goes over.
func TestPick(t *testing.T) {
	t.Parallel()
	both := []llm.Dialect{llm.OpenAI, llm.Responses}
	one := []llm.Dialect{llm.OpenAI}
	for _, c := range []struct {
		name  string
		has   []llm.Dialect
		from  llm.Dialect
		wire  llm.Dialect
		tools bool
		want  llm.Dialect
	}{
		{"the client's own", both, llm.OpenAI, "", false, llm.OpenAI},
		{"the client's own, that is not the row's", both, llm.Responses, "", false, llm.Responses},
		{"neither: the row's", both, llm.Anthropic, "", false, llm.OpenAI},
		{"tools with thinking leave Chat", both, llm.OpenAI, "", true, llm.Responses},
		{"and another client goes there at once", both, llm.Anthropic, "", true, llm.Responses},
		{"a model of one wire", both, llm.OpenAI, llm.Responses, false, llm.Responses},
		{"a model of one wire, the client's own", both, llm.Responses, llm.Responses, false, llm.Responses},
		{"a model of a wire that is not there", one, llm.OpenAI, llm.Responses, false, llm.OpenAI},
		{"no Responses there", one, llm.OpenAI, "", true, llm.OpenAI},
		{"nobody has it", nil, llm.OpenAI, "", true, ""},
	} {
		if got := pick(c.has, c.from, &llm.Capability{Wire: c.wire}, c.tools); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestToolsWithThinking: what Chat Completions refuses from GPT-5.4 on.
func TestToolsWithThinking(t *testing.T) {
	t.Parallel()
	const tool = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],`
	const called = `{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"x"}`
	efforts := []string{"none", "low", "medium", "high"}
	for _, c := range []struct {
		name, members, messages string
		capability              llm.Capability
		want                    bool
	}{
		{"no tools", "", "", llm.Capability{DefaultEffort: "medium"}, false},
		{"no tools, but their name", `"user":"tool function",`, "", llm.Capability{DefaultEffort: "medium"}, false},
		{"thinks unasked", tool, "", llm.Capability{DefaultEffort: "medium"}, true},
		{"thinks unasked, at what is not said", tool, "", llm.Capability{ThinksByDefault: true}, true},
		{"thinks only when asked", tool, "", llm.Capability{DefaultEffort: "none"}, false},
		{"is asked", tool + `"reasoning_effort":"high",`, "", llm.Capability{DefaultEffort: "none"}, true},
		{"is asked not to", tool + `"reasoning_effort":"none",`, "", llm.Capability{Known: true, Efforts: efforts, DefaultEffort: "medium"}, false},
		{"cannot but think", tool + `"reasoning_effort":"none",`, "", llm.Capability{Known: true, Efforts: efforts[1:], DefaultEffort: "medium"}, true},
		{"calls in the history", "", called, llm.Capability{DefaultEffort: "medium"}, true},
	} {
		d := draft(t, llm.OpenAI, `{"model":"m",`+c.members+`"messages":[{"role":"user","content":"x"}`+strings.TrimSuffix(","+c.messages, ",")+`]}`)
		if got := toolsWithThinking(d, &c.capability); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestRows: every row of the table can do what it says.
func TestRows(t *testing.T) {
	t.Parallel()
	for d, s := range codecs {
		seen := map[string]bool{}
		for i := range s.ways {
			w := &s.ways[i]
			id := string(w.op) + " " + w.form
			if seen[id] {
				t.Errorf("%s: two ways of %s", d, id)
			}
			seen[id] = true
			if (w.path == "") != (w.op == llm.OpRaw) || w.path != "" && w.path[0] != '/' {
				t.Errorf("%s: the path of %s is %q", d, id, w.path)
			}
			_, embeds := s.of(w).(embedder)
			_, counts := s.of(w).(counter)
			if w.op == llm.OpEmbed && !embeds || w.op == llm.OpCountTokens && !counts {
				t.Errorf("%s: the codec of %s lacks its methods", d, id)
			}
		}
		for _, op := range []llm.Op{llm.OpChat, llm.OpModels, llm.OpRaw} {
			if s.first(op) == nil {
				t.Errorf("%s has no %s", d, op)
			}
		}
	}
}

// TestPaths: templates hold any model name, and a version stands there once.
func TestPaths(t *testing.T) {
	t.Parallel()
	w := way{path: "/v1beta/models/{model}:generateContent", streamed: "/v1beta/models/{model}:streamGenerateContent"}
	if got := w.fill("a/b c?", false); got != "/v1beta/models/a%2Fb%20c%3F:generateContent" {
		t.Errorf("%s", got)
	}
	if got := w.fill("../x", true); got != "/v1beta/models/..%2Fx:streamGenerateContent" {
		t.Errorf("%s", got)
	}
	for _, c := range []struct{ base, path, want string }{
		{"", "/v1/messages", "/v1/messages"},
		{"/v1", "/v1/files/a", "/files/a"},
		{"/v1", "/v1beta/x", "/v1beta/x"},
		{"/v1beta", "/v1beta/models", "/models"},
		{"/p/v1", "/v1", ""},
		{"/v1", "/chat/completions", "/chat/completions"},
	} {
		if got := behind(c.base, c.path); got != c.want {
			t.Errorf("%s behind %s: %q, want %q", c.path, c.base, got, c.want)
		}
	}
}

// TestSecondWire: a provider that speaks two dialects is reached in the
// client's own, at the path of that one, and in the row's by everybody else.
func TestSecondWire(t *testing.T) {
	t.Parallel()
	u := &upstream{kind: "application/json", answer: message}
	p, err := New(Options{Row: &catalog.Provider{ID: "x", Dialect: llm.OpenAI, Also: []llm.Dialect{llm.Anthropic}, Auth: catalog.NoAuth, BaseURL: "https://x.test/v1"}, Transport: u})
	if err != nil {
		t.Fatal(err)
	}
	ans, err := p.Send(context.Background(), "m", &llm.Capability{}, draft(t, llm.Anthropic, `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`))
	if err != nil || !ans.Native || u.request.URL.Path != "/v1/messages" {
		t.Errorf("%v %v", u.request.URL, err)
	}
	ans, err = p.Send(context.Background(), "m", &llm.Capability{Wire: llm.Anthropic}, draft(t, llm.OpenAI, `{"model":"m","messages":[{"role":"user","content":"x"}]}`))
	if err != nil || ans.Native || ans.Response == nil || u.request.URL.Path != "/v1/messages" {
		t.Errorf("a model of one wire: %v %v", u.request.URL, err)
	}
	u.answer = `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}`
	ans, err = p.Send(context.Background(), "m", &llm.Capability{}, draft(t, llm.OpenAI, `{"model":"m","messages":[{"role":"user","content":"x"}]}`))
	if err != nil || !ans.Native || u.request.URL.Path != "/v1/chat/completions" {
		t.Errorf("%v %v", u.request.URL, err)
	}
	if _, err := New(Options{Row: &catalog.Provider{ID: "x", Dialect: llm.OpenAI, Also: []llm.Dialect{"nothing"}, Auth: catalog.NoAuth, BaseURL: "https://x.test"}}); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("an unknown dialect: %v", err)
	}
}

// TestCountThroughTheWords: a client of one dialect has its request counted by
// a provider of another, and what only concerns the answer is left out.
func TestCountThroughTheWords(t *testing.T) {
	t.Parallel()
	u := &upstream{kind: "application/json", answer: `{"input_tokens":42}`}
	p := at(t, llm.Anthropic, u, false)
	body := []byte(`{"model":"m","temperature":0.5,"messages":[{"role":"system","content":"s"},{"role":"user","content":"x"}],"max_tokens":5}`)
	head, err := openai.Codec{}.Head(llm.OpCountTokens, body)
	if err != nil {
		t.Fatal(err)
	}
	d := llm.NewDraft(llm.OpenAI, llm.OpCountTokens, body, head, openai.Codec{}.DecodeRequest)
	ans, err := p.Send(context.Background(), "claude", &llm.Capability{}, &d)
	if err != nil || ans.Native || ans.Count != 42 || u.request.URL.Path != "/v1/messages/count_tokens" {
		t.Fatalf("%+v %v", ans, err)
	}
	sent := plain(t, u.body).(map[string]any)
	if sent["model"] != "claude" || sent["system"] == nil || sent["messages"] == nil || sent["max_tokens"] != nil || sent["temperature"] != nil || sent["stream"] != nil {
		t.Errorf("sent %s", u.body)
	}
	u.answer = `{"tokens":42}`
	_, err = p.Send(context.Background(), "claude", &llm.Capability{}, &d)
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != llm.MalformedUpstream {
		t.Errorf("%v", err)
	}
}

// TestOpsThatAreNotThere: what a provider does not have is refused before it is
// asked.
func TestOpsThatAreNotThere(t *testing.T) {
	t.Parallel()
	for _, op := range []llm.Op{llm.OpEmbed, llm.OpModerate} {
		u := &upstream{}
		d := llm.NewDraft(llm.OpenAI, op, []byte(`{"model":"m","input":"x"}`), llm.Head{Model: "m"}, nil)
		_, err := at(t, llm.Anthropic, u, false).Send(context.Background(), "m", &llm.Capability{}, &d)
		if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != llm.Unsupported || u.request != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	if Does(llm.OpenAI, nil, llm.Anthropic, llm.OpCountTokens) || !Does(llm.Anthropic, nil, llm.OpenAI, llm.OpCountTokens) || Does(llm.Anthropic, nil, llm.OpenAI, llm.OpEmbed) ||
		!Does(llm.OpenAI, nil, llm.Gemini, llm.OpEmbed) || Does(llm.OpenAI, nil, llm.Anthropic, llm.OpModerate) || !Does(llm.OpenAI, []llm.Dialect{llm.Anthropic}, llm.Anthropic, llm.OpCountTokens) {
		t.Error("what is done is not told rightly")
	}
}

// TestHighEffort: an effort that the model takes over Responses only goes there
// as it is, from every client; a model without it is asked over Chat for the
// nearest that it takes.
func TestHighEffort(t *testing.T) {
	t.Parallel()
	all, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	row, _ := all.Provider("openai")
	for _, c := range []struct {
		from                          llm.Dialect
		model, effort, path, received string
	}{
		{llm.OpenAI, "gpt-6.1-sol", "max", "/v1/responses", "max"},
		{llm.Anthropic, "gpt-6.1-sol", "max", "/v1/responses", "max"},
		{llm.OpenAI, "gpt-6.1-sol", "xhigh", "/v1/chat/completions", "xhigh"},
		{llm.OpenAI, "gpt-6-sol", "max", "/v1/chat/completions", "xhigh"},
	} {
		u := &upstream{kind: "application/json", answer: `{}`}
		p, err := New(Options{Row: row, Key: "k", Transport: u})
		if err != nil {
			t.Fatal(err)
		}
		effort := `"reasoning_effort":"` + c.effort + `"`
		if c.from == llm.Anthropic {
			effort = `"max_tokens":9000,"thinking":{"type":"adaptive"},"output_config":{"effort":"` + c.effort + `"}`
		}
		d := draft(t, c.from, `{"model":"m",`+effort+`,"messages":[{"role":"user","content":"x"}]}`)
		reshaped := d.With(llm.Edit{Kind: llm.EditReshape})
		capability := all.Capability("openai", c.model)
		p.Send(t.Context(), c.model, &capability, &reshaped) // the answer is not the point
		if u.request == nil || u.request.URL.Path != c.path || !strings.Contains(string(u.body), `"`+c.received+`"`) {
			t.Errorf("%+v: sent %s", c, u.body)
		}
	}
}
