package app_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"headrace/internal/app"
	"headrace/internal/config"
)

// TestGuards: what rules forbid is refused in each dialect, what they redact
// reaches no provider and comes back to the client, whole and streamed, natively
// and across dialects; routes that no rule is for pass as ever.
func TestGuards(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent string
	say := "I will write to [EMAIL_1] today."
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		sent = string(b)
		say := say
		mu.Unlock()
		if strings.Contains(sent, `"stream":true`) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`+"\n\n")
			for _, c := range say {
				io.WriteString(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":`+quoted(string(c))+`},"finish_reason":null}]}`+"\n\n")
			}
			io.WriteString(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":`+quoted(say)+`},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
	})
	hook := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(string(b), "broken"):
			w.WriteHeader(500)
		case strings.Contains(string(b), "unwanted"):
			io.WriteString(w, `{"action":"block"}`)
		default:
			io.WriteString(w, `{"action":"allow"}`)
		}
	})
	l := live(t, nil, `providers:
  acme: {dialect: openai, base_url: `+u.URL+`/v1, api_key: k, models: [m]}
routes:
  free: [acme/m]
  safe: [acme/m]
  asked: [acme/m]
  lax: [acme/m]
  shaped: [acme/m]
guards:
  private:
    asked: [safe]
    rules:
      - {name: people, find: [pii], on: input, do: redact}
      - {name: keys, find: [secret], do: block}
      - {name: plans, words: [project falcon], on: output}
      - {name: own, pattern: 'secret-[0-9]+', on: output, do: redact}
  vendor: {asked: [acme/*], rules: [{name: vendor, words: [zebra]}]}
  outside: {asked: [asked], rules: [{name: service, webhook: {url: `+hook.URL+`}}]}
  mild: {asked: [lax], rules: [{name: service, webhook: {url: `+hook.URL+`, fail: open}}]}
  form: {asked: [shaped], rules: [{name: form, on: output, schema: '{"type":"object","required":["a"]}'}]}
`)
	answers := func(text string) { mu.Lock(); say = text; mu.Unlock() }
	doors := []struct{ path, body, stream string }{
		{"/v1/chat/completions", `{"model":"MODEL","messages":[{"role":"user","content":"TEXT"}]STREAM}`, `,"stream":true`},
		{"/v1/messages", `{"model":"MODEL","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"TEXT"}]}]STREAM}`, `,"stream":true`},
		{"/v1/responses", `{"model":"MODEL","store":false,"input":"TEXT"STREAM}`, `,"stream":true`},
		{"/v1beta/models/MODEL:VERB", `{"contents":[{"role":"user","parts":[{"text":"TEXT"}]}]}`, "-"},
		{"/api/chat", `{"model":"MODEL","messages":[{"role":"user","content":"TEXT"}]STREAM}`, `,"stream":true`},
	}
	for _, d := range doors {
		for _, streamed := range []bool{false, true} {
			ask := func(model, text string) answer {
				stream, verb := "", "generateContent"
				if streamed {
					stream, verb = d.stream, "streamGenerateContent?alt=sse"
				} else if d.path == "/api/chat" {
					stream = `,"stream":false`
				}
				fill := strings.NewReplacer("MODEL", model, "TEXT", text, "STREAM", strings.TrimPrefix(stream, "-"), "VERB", verb)
				return l.call("POST", fill.Replace(d.path), fill.Replace(d.body))
			}
			name := d.path
			if streamed {
				name += ", streamed"
			}
			answers("I will write to [EMAIL_1] today.")
			a := ask("safe", "Write to ada@x.org, not to bob@x.org")
			mu.Lock()
			got := sent
			mu.Unlock()
			if !strings.Contains(got, "Write to [EMAIL_1], not to [EMAIL_2]") || strings.Contains(got, "x.org") {
				t.Errorf("%s: sent %s", name, got)
			}
			if a.status != 200 || !strings.Contains(flat(a.body), "I will write to ada@x.org today.") || strings.Contains(a.body, "EMAIL") {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			if w := a.header.Get("X-Headrace-Warnings"); !strings.Contains(w, "rule people: 2 email redacted in the request") {
				t.Errorf("%s: warned %q", name, w)
			}
			if a = ask("free", "Write to ada@x.org"); a.status != 200 || !strings.Contains(flat(a.body), "to [EMAIL_1] today") {
				t.Errorf("%s: no rule is for it: %d %s", name, a.status, a.body)
			}
			if a = ask("safe", "my key is AKIAIOSFODNN7EXAMPLE"); a.status != 400 || !strings.Contains(a.body, `\"keys\"`) {
				t.Errorf("%s: a secret passed: %d %s", name, a.status, a.body)
			}
			answers("so: secret-42 is it")
			if a = ask("safe", "hi"); a.status != 200 || !strings.Contains(flat(a.body), "so: [PATTERN] is it") {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			answers("Of course. Project Falcon begins in May.")
			a = ask("safe", "hi")
			if strings.Contains(flat(a.body), "alcon") || !strings.Contains(a.body, `\"plans\"`) || !streamed && a.status != 400 {
				t.Errorf("%s: an answer passed: %d %s", name, a.status, a.body)
			}
			answers("fine")
			if a = ask("asked", "hi"); a.status != 200 || !strings.Contains(a.body, "fine") {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			for _, text := range []string{"unwanted", "broken"} {
				if a = ask("asked", text); a.status != 400 || !strings.Contains(a.body, `\"service\"`) {
					t.Errorf("%s: %s: %d %s", name, text, a.status, a.body)
				}
			}
			if a = ask("lax", "broken"); a.status != 200 {
				t.Errorf("%s: an open rule closed: %d %s", name, a.status, a.body)
			}
			answers("an unwanted text")
			if a = ask("asked", "hi"); strings.Contains(flat(a.body), "unwanted") || !strings.Contains(a.body, `\"service\"`) {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			answers(`{"a":1}`)
			if a = ask("shaped", "hi"); a.status != 200 {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			answers(`{"b":1}`)
			if a = ask("shaped", "hi"); !strings.Contains(a.body, `\"form\"`) {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
	answers("x")
	// However a request is asked for, the rules are those of what it leads to.
	for model, rule := range map[string]string{"safe:floor": "keys", "safe:latest": "keys", "free": "vendor", "free:nitro": "vendor", "acme/m": "vendor", "m": "vendor"} {
		text := map[string]string{"keys": "AKIAIOSFODNN7EXAMPLE", "vendor": "a zebra"}[rule]
		if a := l.call("POST", "/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"`+text+`"}]}`); a.status != 400 || !strings.Contains(a.body, `\"`+rule+`\"`) {
			t.Errorf("%s passed: %d %s", model, a.status, a.body)
		}
	}
	if a := l.call("POST", "/v1/messages", `{"model":"safe","max_tokens":9,"messages":[{"role":"user","content":"AKIAIOSFODNN7EXAMPLE"}]}`); !strings.Contains(a.body, `"type":"policy_blocked"`) || a.header.Get("X-Should-Retry") != "false" {
		t.Errorf("Claude Code shows a policy_blocked: %s %v", a.body, a.header)
	}
	figures := l.call("GET", "/metrics", "").body
	for _, line := range []string{`{action="redact",kind="email",rule="people",side="input"} 20`, `{action="block",kind="api_key",rule="keys",side="input"} 13`, `rule="plans",side="output"} 10`} {
		if !strings.Contains(figures, "headrace_guard_findings_total") || !strings.Contains(figures, line) {
			t.Errorf("the figures have no %s", line)
		}
	}
}

// flat joins the texts of a stream of any dialect, in a rough way: what stands
// between the pieces is taken out.
func flat(body string) string {
	var b strings.Builder
	for _, line := range strings.Split(body, "\n") {
		line = strings.TrimPrefix(line, "data: ")
		for _, mark := range []string{`"content":"`, `"text":"`, `"delta":"`} {
			if _, rest, ok := strings.Cut(line, mark); ok {
				rest, _, _ = strings.Cut(rest, `"`)
				b.WriteString(rest)
				break
			}
		}
	}
	return b.String() + body
}

func TestGuardsConfig(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		"guards:\n  a: {rules: [{pattern: '('}]}":                           "2:",
		"guards:\n  a: {rules: [{pattern: 'a*'}]}":                          "empty text",
		"guards:\n  a: {rules: [{find: [shoe]}]}":                           "shoe",
		"guards:\n  a: {rules: [{find: [pii], words: [x]}]}":                "one of find",
		"guards:\n  a: {rules: []}":                                         "no rules",
		"guards:\n  a: {rules: [{schema: '{', on: output}]}":                "schema",
		"guards:\n  a: {rules: [{webhook: {url: 'ftp://x'}}]}":              "url",
		"guards:\n  a: {rules: [{webhook: {url: 'http://x'}, do: redact}]}": "only block",
		"guards:\n  a: {rules: [{schema: '{}'}]}":                           "on: output",
	} {
		file := filepath.Join(t.TempDir(), "headrace.yaml")
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		none := func(string) string { return "" }
		c, err := config.Load(file, none)
		if err == nil {
			err = app.Program{}.Check(c, config.FromEnv(none))
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
}
