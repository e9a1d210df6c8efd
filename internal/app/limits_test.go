package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestTeamAndModelLimits: a team's limit holds its keys together and nobody
// else; a model's limit holds each key apart, by whatever name the model is
// asked for.
func TestTeamAndModelLimits(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
	})
	l := live(t, nil, `providers: {acme: {dialect: openai, base_url: `+u.URL+`/v1, api_key: k}}
routes: {short: [acme/m]}
teams: {red: {limits: {requests_per_minute: 3}}}
limits: {models: {acme/m: {requests_per_minute: 2}, short: {requests_per_minute: 1}}}
`)
	issue := func(team string) string {
		a := l.call("POST", "/admin/v1/keys", `{"name":"k","team":"`+team+`"}`, "Authorization: Bearer "+adminToken, "Content-Type: application/json")
		var made struct{ Token string }
		if err := json.Unmarshal([]byte(a.body), &made); err != nil || made.Token == "" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return "Authorization: Bearer " + made.Token
	}
	ask := func(token, model string) answer {
		return l.call("POST", "/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"hi"}]}`, token)
	}
	want := func(a answer, status int, says string) {
		t.Helper()
		if a.status != status || !strings.Contains(a.body, says) {
			t.Errorf("%d %s, want %d and %q", a.status, a.body, status, says)
		}
		if status == 429 && a.header.Get("Retry-After") == "" {
			t.Error("no word on when to come back")
		}
	}
	first, second, blue := issue("red"), issue("red"), issue("blue")
	want(ask(first, "acme/other"), 200, "ok")
	want(ask(second, "acme/other"), 200, "ok")
	want(ask(first, "acme/other"), 200, "ok")
	want(ask(second, "acme/other"), 429, "the team red")
	want(ask(first, "acme/other"), 429, "the team red")
	want(ask(blue, "acme/other"), 200, "ok")
	// A refusal takes nothing of the other limits: two are left at the model.
	want(ask(blue, "acme/m"), 200, "ok")
	want(ask(blue, "short"), 200, "ok")
	want(ask(blue, "short"), 429, "this key at ")
	want(ask(blue, "acme/m"), 429, "this key at acme/m")
	want(ask(blue, "acme/other"), 200, "ok")
	other := issue("blue")
	want(ask(other, "short"), 200, "ok")
	want(ask(other, "short"), 429, "this key at short")
	want(ask(other, "acme/m"), 200, "ok")
	want(ask(other, "acme/m"), 429, "this key at acme/m")
}
