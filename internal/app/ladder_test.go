package app_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestThinking: how hard a rung thinks, and what a client says of it, reaches
// the provider in its own words, whatever the dialect of the client.
func TestThinking(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var last string
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		last = string(b)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/messages") {
			io.WriteString(w, `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"ok"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`)
			return
		}
		io.WriteString(w, oneAnswer)
	})
	l := live(t, map[string]string{"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, `providers:
  anthropic: {base_url: `+u.URL+`}
  acme: {dialect: openai, base_url: `+u.URL+`/v1, api_key: k}
routes:
  quiet: {ladder: [{model: anthropic/claude-haiku-5-5, thinking: off}]}
  sonnet: {ladder: [{model: anthropic/claude-sonnet-5-5, thinking: off}]}
  hard: {ladder: [{model: anthropic/claude-opus-5-5, thinking: max}]}
  old: {ladder: [{model: anthropic/claude-haiku-4-5, thinking: medium}]}
  other: {ladder: [{model: acme/m, thinking: high}]}
  unsaid: {ladder: [{model: acme/m}]}
`)
	const messages = `,"max_tokens":20000,"messages":[{"role":"user","content":"hi"}]`
	for _, c := range []struct{ path, model, more, header, want, not string }{
		{"/v1/messages", "quiet", "", "", `"thinking":{"type":"disabled"}`, ""},
		{"/v1/messages", "sonnet", "", "", `"thinking":{"type":"between_tools"}`, "disabled"},
		{"/v1/messages", "hard", `,"output_config":{"effort":"low"}`, "", `"output_config":{"effort":"max"}`, `"low"`},
		{"/v1/messages", "old", "", "", `"budget_tokens":`, "effort"},
		{"/v1/messages", "other", "", "", `"reasoning_effort":"high"`, "thinking"},
		{"/v1/messages", "quiet", "", "high", `"effort":"high"`, "disabled"},
		{"/v1/chat/completions", "quiet", `,"reasoning_effort":"high"`, "", `"thinking":{"type":"disabled"}`, `"high"`},
		{"/v1/chat/completions", "hard", "", "", `"effort":"max"`, "reasoning_effort"},
		{"/v1/chat/completions", "other", "", "", `"reasoning_effort":"high"`, ""},
		{"/v1/chat/completions", "other", `,"reasoning_effort":"low"`, "off", `"reasoning_effort":"none"`, `"low"`},
		{"/v1/chat/completions", "unsaid", `,"reasoning_effort":"low"`, "", `"reasoning_effort":"low"`, ""},
		{"/v1/chat/completions", "acme/m", "", "medium", `"reasoning_effort":"medium"`, ""},
		{"/v1/chat/completions", "acme/m", "", "", `"messages"`, "effort"},
	} {
		var headers []string
		if c.header != "" {
			headers = append(headers, "x-headrace-thinking: "+c.header)
		}
		a := l.call("POST", c.path, `{"model":"`+c.model+`"`+c.more+messages+`}`, headers...)
		mu.Lock()
		sent := last
		mu.Unlock()
		if a.status != 200 || !strings.Contains(sent, c.want) || c.not != "" && strings.Contains(sent, c.not) {
			t.Errorf("%+v: %d %s; sent %s", c, a.status, a.body, sent)
		}
		said := c.header != "" || c.model != "unsaid" && c.model != "acme/m"
		if told := strings.Contains(a.header.Get("X-Headrace-Warnings"), "thinking: set to "); told != said {
			t.Errorf("%+v: warned %q", c, a.header.Get("X-Headrace-Warnings"))
		}
	}
	if a := l.call("POST", "/v1/messages", `{"model":"quiet"`+messages+`}`, "x-headrace-thinking: very"); a.status != 400 || !strings.Contains(a.body, "off, low, medium, high, max") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestEscalation: a whole answer that is not what the route says is kept from
// the client and the next rung is asked; all attempts are in the request's row.
// The rehearsal provider's steady model says more than 30 tokens, quick less.
func TestEscalation(t *testing.T) {
	t.Parallel()
	l := live(t, nil, `routes:
  up:
    ladder: [{model: rehearsal/steady}, {model: rehearsal/thinker, thinking: off}, {model: rehearsal/quick, thinking: off}]
    success: {not: [refusal, truncated, empty]}
  unchecked: {ladder: [{model: rehearsal/steady}, {model: rehearsal/quick}]}
`)
	for _, c := range []struct {
		name, path, model, more, rehearse string
		answered, attempts, says          string
	}{
		{"cut, and then not", "/v1/chat/completions", "up", `,"max_tokens":30`, "", "rehearsal/quick", "3", `"finish_reason":"stop"`},
		{"the same through another door", "/v1/messages", "up", `,"max_tokens":30`, "", "rehearsal/quick", "3", `"stop_reason":"end_turn"`},
		{"good at once", "/v1/chat/completions", "up", `,"max_tokens":3000`, "", "rehearsal/steady", "1", `"finish_reason":"stop"`},
		{"refused by all", "/v1/messages", "up", `,"max_tokens":3000`, "content_refused", "rehearsal/quick", "3", `"refusal"`},
		{"nothing is said of success", "/v1/chat/completions", "unchecked", `,"max_tokens":30`, "", "rehearsal/steady", "1", `"finish_reason":"length"`},
		{"a named model", "/v1/chat/completions", "rehearsal/steady", `,"max_tokens":30`, "", "rehearsal/steady", "1", `"finish_reason":"length"`},
		{"a stream", "/v1/chat/completions", "up", `,"max_tokens":30,"stream":true`, "", "rehearsal/steady", "1", `"finish_reason":"length"`},
	} {
		var headers []string
		if c.rehearse != "" {
			headers = append(headers, "x-headrace-rehearse: "+c.rehearse)
		}
		a := l.call("POST", c.path, `{"model":"`+c.model+`"`+c.more+`,"messages":[{"role":"user","content":"Tell me of the sea"}]}`, headers...)
		if a.status != 200 || a.header.Get("X-Headrace-Model") != c.answered || a.header.Get("X-Headrace-Attempts") != c.attempts && c.attempts != "1" || !strings.Contains(a.body, c.says) {
			t.Errorf("%s: %d from %s after %s: %s", c.name, a.status, a.header.Get("X-Headrace-Model"), a.header.Get("X-Headrace-Attempts"), a.body)
		}
		if told := strings.Count(a.header.Get("X-Headrace-Warnings"), "route: "); c.attempts == "3" && told != 2 || c.attempts == "1" && told != 0 {
			t.Errorf("%s: warned %q", c.name, a.header.Get("X-Headrace-Warnings"))
		}
		var row string
		waitFor(t, func() bool {
			row = l.call("GET", "/admin/v1/requests/"+a.header.Get("X-Headrace-Request-Id"), "", "Authorization: Bearer "+adminToken).body
			return strings.Contains(row, `"attempts"`)
		}, "the row")
		if n := strings.Count(row, "not passed on: "); n != strings.Count(a.header.Get("X-Headrace-Warnings"), "route: ") {
			t.Errorf("%s: %d attempts were not passed on: %s", c.name, n, row)
		}
	}
}

// TestChecks: each check of success finds its fault at the first rung, and the
// second one's answer is passed on; and when that fails the first one's is.
func TestChecks(t *testing.T) {
	t.Parallel()
	completion := func(message, finish string) string {
		return `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":` + message + `,"finish_reason":"` + finish + `"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
	}
	call := func(name, arguments string) string {
		return completion(`{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"`+name+`","arguments":`+quoted(arguments)+`}}]}`, "tool_calls")
	}
	text := func(s string) string {
		return completion(`{"role":"assistant","content":`+quoted(s)+`}`, "stop")
	}
	var mu sync.Mutex
	var first string
	broken := false
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(string(b), `"cheap"`):
			io.WriteString(w, first)
		case broken:
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}`)
		default:
			io.WriteString(w, text("from the dear one"))
		}
	})
	l := live(t, nil, `providers: {acme: {dialect: openai, base_url: `+u.URL+`/v1, api_key: k}}
routes:
  up:
    ladder: [{model: acme/cheap}, {model: acme/dear}]
    success: {schema: true, tools_valid: true, not: [refusal, truncated, empty]}
`)
	const (
		tools  = `,"tools":[{"type":"function","function":{"name":"get","parameters":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}}}]`
		schema = `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}}`
	)
	for _, c := range []struct {
		name, more, first string
		escalates         bool
	}{
		{"fits the schema", schema, text(`{"a":"b"}`), false},
		{"does not fit the schema", schema, text(`{"a":1}`), true},
		{"no JSON", schema, text("Sure! Here it is"), true},
		{"an object", `,"response_format":{"type":"json_object"}`, text("{}"), false},
		{"no object", `,"response_format":{"type":"json_object"}`, text("[]"), true},
		{"a good call", tools, call("get", `{"n":1}`), false},
		{"a call with wrong arguments", tools, call("get", `{"n":"one"}`), true},
		{"a call with cut arguments", tools, call("get", `{"n":`), true},
		{"a call of nothing that was offered", tools, call("take", `{"n":1}`), true},
		{"a good call beside a schema", tools + schema, call("get", `{"n":1}`), false},
		{"empty", "", text("  "), true},
		{"refused", "", completion(`{"role":"assistant","content":null,"refusal":"I cannot"}`, "stop"), true},
		{"filtered", "", completion(`{"role":"assistant","content":""}`, "content_filter"), true},
		{"cut", "", completion(`{"role":"assistant","content":"and so"}`, "length"), true},
		{"plain text", "", text("fine"), false},
	} {
		for _, fails := range []bool{false, true} {
			mu.Lock()
			first, broken = c.first, fails
			mu.Unlock()
			a := l.call("POST", "/v1/chat/completions", `{"model":"up"`+c.more+`,"messages":[{"role":"user","content":"hi"}]}`)
			want := c.first
			if c.escalates && !fails {
				want = text("from the dear one")
			}
			if a.status != 200 || a.body != want {
				t.Errorf("%s, the second one failing %v: %d %s, want %s", c.name, fails, a.status, a.body, want)
			}
			if told := strings.Contains(a.header.Get("X-Headrace-Warnings"), "route: acme/cheap: it"); told != c.escalates {
				t.Errorf("%s: warned %q", c.name, a.header.Get("X-Headrace-Warnings"))
			}
		}
	}
}
