package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"headrace/internal/app"
	"headrace/internal/config"
)

// explanation is a part of what the admin API explains.
type explanation struct {
	Route, Task, Rule, Why, Fault string
	Chance, Success               float64
	Candidates                    []struct {
		Rung         int
		Target, Left string
		First, Asked bool
		Chance       float64
		Cost         int64 `json:"expected_cost_nanodollars"`
	}
	Feedback []struct {
		Explicit bool
		Signal   string
		Score    float64
	}
	Request struct {
		Class    string
		Cost     struct{ Nanodollars int64 }
		Attempts []struct{ Provider, Model, Why, Message string }
	}
}

const bearerAdmin = "Authorization: Bearer " + adminToken

func (l *life) explain(id string) (x explanation) {
	l.t.Helper()
	a := l.call("GET", "/admin/v1/requests/"+id+"/explain", "", bearerAdmin)
	if a.status != 200 {
		l.t.Fatalf("explain %s: %d %s", id, a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &x); err != nil {
		l.t.Fatal(err)
	}
	return x
}

const asking = `,"messages":[{"role":"user","content":"Tell me of the sea"}]`

// TestFeedback: the key that made a request, and no other, says how its answer
// was; the same key says it beside its next call of the conversation.
func TestFeedback(t *testing.T) {
	t.Parallel()
	l := live(t, nil, `routes: {up: {ladder: [{model: rehearsal/quick}, {model: rehearsal/thinker, thinking: off}], aim: {explore: 0}}}
`)
	ask := func(model string, headers ...string) string {
		t.Helper()
		a := l.call("POST", "/v1/chat/completions", `{"model":"`+model+`"`+asking+`}`, headers...)
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return a.header.Get("X-Headrace-Request-Id")
	}
	id := ask("up", "x-headrace-task: sea")
	made := l.call("POST", "/admin/v1/keys", `{"name":"other"}`, bearerAdmin, "Content-Type: application/json")
	var other struct{ Token string }
	if err := json.Unmarshal([]byte(made.body), &other); err != nil || other.Token == "" {
		t.Fatalf("%v in %s", err, made.body)
	}
	for _, c := range []struct {
		name, body string
		headers    []string
		status     int
	}{
		{"another key", `{"request_id":"` + id + `","success":true}`, []string{"Authorization: Bearer " + other.Token}, 404},
		{"no key", `{"request_id":"` + id + `","success":true}`, []string{"Authorization: Bearer x"}, 401},
		{"no such request", `{"request_id":"req_38g88rv00vheg","success":true}`, nil, 404},
		{"no id", `{"success":true}`, nil, 404},
		{"nothing said", `{"request_id":"` + id + `"}`, nil, 400},
		{"both said", `{"request_id":"` + id + `","success":true,"score":1}`, nil, 400},
		{"too good", `{"request_id":"` + id + `","score":1.1}`, nil, 400},
		{"another member", `{"request_id":"` + id + `","sucess":true}`, nil, 400},
		{"a score", `{"request_id":"` + id + `","score":0.25,"value":0.5}`, nil, 200},
		{"a verdict in its place", `{"request_id":"` + id + `","success":false}`, nil, 200},
	} {
		if a := l.call("POST", "/v1/feedback", c.body, c.headers...); a.status != c.status {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
	}
	waitFor(t, func() bool { x := l.explain(id); return len(x.Feedback) == 1 && x.Feedback[0].Score == 0 }, "the feedback")
	if x := l.explain(id); x.Success != 0 || x.Task != "sea" || x.Route != "up" || !x.Feedback[0].Explicit {
		t.Errorf("%+v", x)
	}
	// The header of the next call.
	first := ask("up", "x-headrace-session: s")
	named := ask("rehearsal/quick", "x-headrace-session: s", "x-headrace-feedback: failure")
	ask("up", "x-headrace-session: s", "x-headrace-feedback: 0.5")
	waitFor(t, func() bool { return len(l.explain(first).Feedback) == 1 && len(l.explain(named).Feedback) == 1 }, "the feedback of the headers")
	if a, b := l.explain(first).Feedback[0], l.explain(named).Feedback[0]; a.Score != 0 || b.Score != 0.5 || !a.Explicit || !b.Explicit {
		t.Errorf("%+v, %+v", a, b)
	}
	for _, bad := range []string{"x-headrace-feedback: good", "x-headrace-feedback: 2", "x-headrace-feedback: 1"} {
		session := []string{"x-headrace-session: s", bad}
		if strings.HasSuffix(bad, " 1") {
			session = session[1:] // of which conversation?
		}
		if a := l.call("POST", "/v1/chat/completions", `{"model":"up"`+asking+`}`, session...); a.status != 400 {
			t.Errorf("%v: %d %s", session, a.status, a.body)
		}
	}
	waitFor(t, func() bool {
		a := l.call("GET", "/admin/v1/success?by=task", "", bearerAdmin)
		return strings.Contains(a.body, `"task":"sea"`) && strings.Contains(a.body, `"explicit":1`)
	}, "the successes")
	figures := l.call("GET", "/metrics", "").body
	for _, line := range []string{
		`headrace_route_requests{model="rehearsal/quick",route="up",task="sea"} 1`,
		`headrace_route_feedback{kind="explicit",model="rehearsal/quick",route="up",task="sea"} 1`,
		`headrace_route_successes{model="rehearsal/quick",route="up",task="sea"} 0`,
	} {
		if !strings.Contains(figures, line) {
			t.Errorf("the figures do not say %s", line)
		}
	}
}

// TestExplained: every request is explained, from its row.
func TestExplained(t *testing.T) {
	t.Parallel()
	l := live(t, nil, `routes:
  up:
    ladder: [{model: rehearsal/steady}, {model: mistral/none}, {model: rehearsal/thinker, thinking: off}]
    success: {not: [truncated]}
    when: [{script: han, use: rehearsal/quick}, {task: deep, use: rehearsal/thinker}]
  list: [rehearsal/quick, rehearsal/steady]
`)
	for _, c := range []struct {
		name, model, more, content string
		headers                    []string
		rule, first, why           string
		left                       int
	}{
		{"a ladder", "up", `,"max_tokens":3000`, "hi", nil, "first", "rehearsal/steady", "too little is known", 1},
		{"a rung up", "up", `,"max_tokens":30`, "hi", nil, "first", "rehearsal/steady", "too little is known", 1},
		{"a script", "up", "", "请告诉我大海的故事", nil, "when", "rehearsal/quick", "rule script: han", 1},
		{"a task", "up", "", "hi", []string{"x-headrace-task: deep"}, "when", "rehearsal/thinker", "rule task: deep", 1},
		{"the cheapest", "up:floor", `,"max_tokens":3000`, "hi", nil, "sorted", "rehearsal/steady", "cheapest", 1},
		{"a list", "list", "", "hi", nil, "", "rehearsal/quick", "route list", 0},
		{"a model", "rehearsal/quick", "", "hi", nil, "", "rehearsal/quick", "named by the client", 0},
	} {
		a := l.call("POST", "/v1/chat/completions", `{"model":"`+c.model+`"`+c.more+`,"messages":[{"role":"user","content":"`+c.content+`"}]}`, c.headers...)
		if a.status != 200 {
			t.Fatalf("%s: %d %s", c.name, a.status, a.body)
		}
		x := l.explain(a.header.Get("X-Headrace-Request-Id"))
		first, left := "", 0
		for _, k := range x.Candidates {
			if k.First {
				first = k.Target
			}
			if k.Left != "" {
				left++
			}
		}
		if x.Rule != c.rule || first != c.first || !strings.Contains(x.Why, c.why) || left != c.left || x.Chance != 1 || len(x.Request.Attempts) == 0 {
			t.Errorf("%s: %+v", c.name, x)
		}
	}
}

// TestSecondOpinion: where an answer can be compared, a second model is asked the
// same; where the two differ the next rung answers. All of it is paid for.
func TestSecondOpinion(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	says := map[string]string{}
	asked := map[string]int{}
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		for _, model := range []string{"cheap", "other", "dear"} {
			if !strings.Contains(string(b), `"`+model+`"`) {
				continue
			}
			asked[model]++
			if says[model] == "" {
				w.WriteHeader(500)
				return
			}
			finish := "stop"
			if says[model] == "filtered" {
				finish = "content_filter"
			}
			io.WriteString(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":`+quoted(says[model])+`},"finish_reason":"`+finish+`"}],"usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}}`)
			return
		}
	})
	l := live(t, nil, `providers: {acme: {dialect: openai, base_url: `+u.URL+`/v1, api_key: k}}
retries: {failures: 0, classes: {server_error: {repeat: 0}}}
models:
  acme/cheap: {price: {input: 1, output: 10}}
  acme/other: {price: {input: 2, output: 20}}
  acme/dear: {price: {input: 10, output: 100}}
routes:
  up:
    ladder: [{model: acme/cheap}, {model: acme/dear}]
    success: {schema: true, second_opinion: acme/other}
    aim: {explore: 0}
`)
	const object = `,"response_format":{"type":"json_object"}`
	for _, c := range []struct {
		name, more         string
		cheap, other, dear string
		answer             string
		asks               string
		cost               string
	}{
		{"they agree", object, `{"a":1,"b":[2]}`, "{ \"b\": [2.0], \"a\":1}", "{}", `{"a":1,"b":[2]}`, "110", "0.0006"},
		{"they differ", object, `{"a":1}`, `{"a":2}`, `{"a":3}`, `{"a":3}`, "111", "0.0026"},
		{"the checks say enough", object, `no`, `{"a":2}`, `{"a":3}`, `{"a":3}`, "101", "0.0022"},
		{"nobody else answers", object, `{"a":1}`, ``, `{}`, `{"a":1}`, "110", "0.0002"},
		{"an opinion that is refused", object, `{"a":1}`, `filtered`, `{}`, `{"a":1}`, "110", "0.0006"},
		{"an answer that cannot be compared", "", `words`, `others`, `{}`, `words`, "100", "0.0002"},
	} {
		mu.Lock()
		says = map[string]string{"cheap": c.cheap, "other": c.other, "dear": c.dear}
		clear(asked)
		mu.Unlock()
		a := l.call("POST", "/v1/chat/completions", `{"model":"up"`+c.more+asking+`}`)
		mu.Lock()
		asks := ""
		for _, model := range []string{"cheap", "other", "dear"} {
			asks += string('0' + rune(asked[model]))
		}
		mu.Unlock()
		if a.status != 200 || !strings.Contains(a.body, `"content":`+quoted(c.answer)) || asks != c.asks || a.header.Get("X-Headrace-Cost") != c.cost {
			t.Errorf("%s: %d for %s, asked %s: %s", c.name, a.status, a.header.Get("X-Headrace-Cost"), asks, a.body)
		}
		x := l.explain(a.header.Get("X-Headrace-Request-Id"))
		if x.Request.Class != "" {
			t.Errorf("%s: it ended as %q", c.name, x.Request.Class)
		}
		opinions := 0
		for _, one := range x.Request.Attempts {
			if strings.HasPrefix(one.Why, "a second opinion") {
				opinions++
			}
		}
		if opinions != strings.Count(c.asks[1:2], "1") {
			t.Errorf("%s: %d second opinions in %+v", c.name, opinions, x.Request.Attempts)
		}
	}
}

// TestThinkingConfig: the member says how hard to think, as the header does, and
// no provider is sent it.
func TestThinkingConfig(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var last string
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		last = string(b)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, oneAnswer)
	})
	l := live(t, nil, `providers: {acme: {dialect: openai, base_url: `+u.URL+`/v1, api_key: k}}
routes: {up: {ladder: [{model: acme/m, thinking: high}]}}
`)
	for _, c := range []struct{ body, want string }{
		{`{"thinking_config":"low","model":"acme/m","messages":[{"role":"user","content":"hi"}]}`, `"reasoning_effort":"low"`},
		{`{"model":"acme/m","thinking_config":{"level":"max"},"messages":[{"role":"user","content":"hi"}]}`, `"reasoning_effort":"max"`},
		{`{"model":"up","messages":[{"role":"user","content":"hi"}], "thinking_config" : {"budget_tokens": 4000} }`, `"reasoning_effort":"medium"`},
		{`{"model":"up","messages":[{"role":"user","content":"hi"}],"thinking_config":"off"}`, `"reasoning_effort":"none"`},
	} {
		a := l.call("POST", "/v1/chat/completions", c.body)
		mu.Lock()
		sent := last
		mu.Unlock()
		if a.status != 200 || !strings.Contains(sent, c.want) || strings.Contains(sent, "thinking_config") || !json.Valid([]byte(sent)) {
			t.Errorf("%s: %d %s; sent %s", c.body, a.status, a.body, sent)
		}
	}
	for _, bad := range []string{`"hard"`, `{"level":"low","effort":"high"}`, `{"depth":3}`, `-1`, `true`, `{}`} {
		if a := l.call("POST", "/v1/chat/completions", `{"model":"up","thinking_config":`+bad+asking+`}`); a.status != 400 {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
}

// TestImpossibleAims: a route that no rung can hold to is told at load, with its
// place.
func TestImpossibleAims(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	for _, c := range []struct{ aim, says string }{
		{"{max_cost: 0.02, value_of_success: $0.10, p95_first_token: 2s}", ""},
		{"{max_cost: 0.0000001}", "f.yaml:4:21: routes.up.aim.max_cost: no rung answers even a short request (200 tokens, 50 back) for $0.0000001: the cheapest asks $0."},
		{"{value_of_success: 0.0000001}", "routes.up.aim.value_of_success: no rung answers"},
		{"{p95_first_token: 1ms}", "routes.up.aim.p95_first_token: no model begins an answer within 1ms"},
	} {
		cfg, err := config.Parse("f.yaml", []byte("routes:\n  up:\n    ladder: [{model: anthropic/claude-haiku-5-5}, {model: anthropic/claude-opus-5-5}]\n    aim: "+c.aim+"\n"), none)
		if err != nil {
			t.Fatal(err)
		}
		err = app.Program{}.Check(cfg, config.FromEnv(none))
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", c.aim, err)
		}
	}
}
