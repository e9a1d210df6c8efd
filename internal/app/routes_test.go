package app_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/internal/admin"
	"headrace/internal/app"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// TestTermsOfRoutes: what is done about a failure, and how long an attempt may
// take, can be said for one route and holds for no other.
func TestTermsOfRoutes(t *testing.T) {
	t.Parallel()
	var busy, slow atomic.Int64
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(string(b), `"busy"`):
			busy.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"error":{"message":"overloaded","type":"server_error","param":null,"code":null}}`)
		case strings.Contains(string(b), `"slow"`):
			slow.Add(1)
			select {
			case <-r.Context().Done():
			case <-time.After(700 * time.Millisecond):
				io.WriteString(w, oneAnswer)
			}
		default:
			io.WriteString(w, oneAnswer)
		}
	})
	yaml := `providers: {acme: {dialect: openai, base_url: ` + u.URL + `/v1, api_key: k, timeouts: {first_byte: 20s}}}
routes: {patient: [acme/busy], curt: [acme/busy], stubborn: [acme/busy], hasty: [acme/slow, acme/m], calm: [acme/slow, acme/m]}
retries:
  failures: 0
  classes: {overloaded: {repeat: 1, backoff: 1ms}}
  routes:
    curt: {classes: {overloaded: {repeat: 0}}}
    stubborn: {attempts: 4, classes: {overloaded: {repeat: 3}}}
timeouts: {routes: {hasty: {first_byte: 50ms}}}
`
	l := live(t, nil, yaml)
	ask := func(route string) answer {
		return l.call("POST", "/v1/chat/completions", `{"model":"`+route+`","messages":[{"role":"user","content":"hi"}]}`)
	}
	for route, want := range map[string]int64{"patient": 2, "curt": 1, "stubborn": 4, "acme/busy": 2} {
		busy.Store(0)
		if a := ask(route); a.status != 503 || busy.Load() != want {
			t.Errorf("%s: %d after %d attempts, want %d", route, a.status, busy.Load(), want)
		}
	}
	for route, model := range map[string]string{"hasty": "acme/m", "calm": "acme/slow"} {
		if a := ask(route); a.status != 200 || a.header.Get("X-Headrace-Model") != model {
			t.Errorf("%s: %d from %s, want %s", route, a.status, a.header.Get("X-Headrace-Model"), model)
		}
	}
	// headrace explain errors --route NAME, and the admin API.
	table := func(route string) (o, d admin.ErrorClass) {
		cfg, err := config.Parse("test.yaml", []byte(yaml), func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		classes, err := app.Program{}.Errors(cfg, route)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range classes {
			switch c.Class {
			case llm.Overloaded:
				o = c
			case llm.ServerError:
				d = c
			}
		}
		return o, d
	}
	_, plain := table("")
	for route, repeat := range map[string]int{"": 1, "patient": 1, "curt": 0, "stubborn": 3} {
		o, d := table(route)
		if o.Repeat != repeat || d != plain {
			t.Errorf("the table of %q says %d, and of another class %+v", route, o.Repeat, d)
		}
	}
	admin := "Authorization: Bearer " + adminToken
	if a := l.call("GET", "/admin/v1/errors?route=stubborn", "", admin); a.status != 200 || !strings.Contains(a.body, `"repeat":3`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := l.call("GET", "/admin/v1/errors?route=nobody", "", admin); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	// A reload changes it, and what leads nowhere is refused.
	l.write(strings.Replace(yaml, "curt: {classes: {overloaded: {repeat: 0}}}", "curt: {classes: {overloaded: {repeat: 2}}}", 1))
	l.reload <- struct{}{}
	waitFor(t, func() bool {
		a := l.call("GET", "/admin/v1/errors?route=curt", "", admin)
		return strings.Contains(a.body, `"repeat":2`)
	}, "the reload")
	waitFor(t, func() bool { busy.Store(0); ask("curt"); return busy.Load() == 3 }, "three attempts")
	for _, bad := range []string{"retries: {routes: {nobody: {attempts: 1}}}\n", "timeouts: {routes: {nobody: {total: 1s}}}\n"} {
		if _, err := config.Parse("test.yaml", []byte(bad), func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), `there is no route "nobody"`) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

const oneAnswer = `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
