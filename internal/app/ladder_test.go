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
