package app_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestContinuedSaysAsMuch: what the headers of a request say holds for one that
// goes on from a stored answer, too.
func TestContinuedSaysAsMuch(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent string
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		sent = string(b)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, oneAnswer)
	})
	l := live(t, nil, `providers:
  acme: {dialect: openai, base_url: `+u.URL+`/v1, api_key: k, models: [m]}
routes:
  r: [acme/m]
`)
	a := l.call("POST", "/v1/responses", `{"model":"r","store":true,"input":"first"}`)
	_, id, _ := strings.Cut(a.body, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	if a.status != 200 || id == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a = l.call("POST", "/v1/responses", `{"model":"r","previous_response_id":"`+id+`","input":"second"}`, "x-headrace-thinking: high")
	mu.Lock()
	defer mu.Unlock()
	if a.status != 200 || !strings.Contains(sent, "first") || !strings.Contains(sent, "second") || !strings.Contains(sent, `"reasoning_effort":"high"`) {
		t.Errorf("%d %s; sent %s", a.status, a.body, sent)
	}
}

// TestStreamsAreWarned: the client of a stream is told what the client of a whole
// answer is, and the row says it as well.
func TestStreamsAreWarned(t *testing.T) {
	t.Parallel()
	l := live(t, nil, `guards:
  all: {rules: [{name: people, find: [email], on: input, do: redact}]}
`)
	for _, stream := range []string{"false", "true"} {
		a := l.call("POST", "/v1/chat/completions", `{"model":"rehearsal/quick","stream":`+stream+`,"messages":[{"role":"user","content":"to a@x.org"}]}`, "x-headrace-session: s"+stream, "x-headrace-feedback: success")
		told := a.header.Get("X-Headrace-Warnings")
		for _, want := range []string{"no earlier request of this conversation", "1 email redacted"} {
			if a.status != 200 || !strings.Contains(told, want) {
				t.Errorf("stream %s: %d, warned %q, want %q", stream, a.status, told, want)
			}
			waitFor(t, func() bool {
				row := l.call("GET", "/admin/v1/requests/"+a.header.Get("X-Headrace-Request-Id"), "", "Authorization: Bearer "+adminToken).body
				return strings.Contains(row, want)
			}, "the row with "+want)
		}
	}
}
