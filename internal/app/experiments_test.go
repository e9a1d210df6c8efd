package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"headrace/internal/app"
	"headrace/internal/config"
)

// rowOf waits for the row of a request as operators see it.
func (h *house) experimentRow(a answer) (row struct {
	Experiment, Arm string
	Copy            string `json:"copy_of"`
	Class           string
	Provider, Model string
	Warnings        []string
	Attempts        []struct{ Provider, Model, Why, Class string }
}) {
	h.t.Helper()
	waitFor(h.t, func() bool {
		got := h.call("GET", "/admin/v1/requests/"+a.header.Get("X-Headrace-Request-Id"), "", "Authorization: Bearer "+adminToken)
		var body struct{ Request json.RawMessage }
		return got.status == 200 && json.Unmarshal([]byte(got.body), &body) == nil && json.Unmarshal(body.Request, &row) == nil
	}, "the row")
	return row
}

type shownArm struct {
	Name                     string
	Units, Counted, Requests int64
	Succeeded                float64
	Judged, Failed           int64
	Share                    float64
	Stopped                  string
	Value, Difference        *struct{ Value, Low, High float64 }
	Guardrails               []struct{ Name, Verdict string }
}

type shown struct {
	Name, Phase, Winner, Decision string
	SampleRatio                   struct {
		Broken   bool
		Evidence float64
	} `json:"sample_ratio"`
	Arms   []shownArm
	Shadow *struct {
		Copies int64
		Spent  int64 `json:"spent_nanodollars"`
		Pairs  []struct {
			A, B          string
			N             int64
			Success, Cost *struct{ Value, Low, High float64 }
		}
	}
	History []struct{ Arms []struct{ N int64 } }
}

func (h *house) experiment(name string) (s shown) {
	h.t.Helper()
	a := h.call("GET", "/admin/v1/experiments/"+name, "", "Authorization: Bearer "+adminToken)
	var body struct{ Experiment shown }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != 200 {
		h.t.Fatalf("%d %s %v", a.status, a.body, err)
	}
	return body.Experiment
}

// TestArms: a session gets one arm and keeps it, whatever it asks through which
// door; what the arm says reaches the provider; the row says what was meant, also
// when another target answered or none did.
func TestArms(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "broken") {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, oneAnswer)
	})
	h := start(t, nil2env(), `providers:
  acme: {dialect: openai, base_url: `+u.URL+`/v1, api_key: k}
  down: {dialect: openai, base_url: `+u.URL+`/broken/v1, api_key: k}
routes:
  support: [acme/old]
  other: [acme/other]
experiments:
  which:
    on: support
    arms:
      - {name: now}
      - {name: new, model: acme/new, thinking: high, set: {temperature: 0.25, max_tokens: 77}}
  whole:
    on: other
    unit: user
    arms: [{name: a}, {name: b, model: support}, {name: lost, model: down/x}]
  params:
    on: acme/explicit
    unit: key
    arms: [{name: a, weight: 0.000001}, {name: b, weight: 1000000, set: {top_p: 0.5}}]
`, nil)
	ask := func(path, model, more string, header ...string) (answer, string) {
		chats := func() (list []seen) { // beside what is asked for lists of models
			for _, one := range u.asked() {
				if one.method == "POST" {
					list = append(list, one)
				}
			}
			return list
		}
		n := len(chats())
		a := h.call("POST", path, `{"model":"`+model+`"`+more+`,"messages":[{"role":"user","content":"hi"}]}`, header...)
		if all := chats(); len(all) > n {
			return a, all[len(all)-1].body
		}
		return a, ""
	}
	arms := map[string]int{}
	for i := range 40 {
		session := fmt.Sprintf("x-headrace-session: s%d", i)
		var arm string
		for turn, c := range []struct{ path, more string }{{"/v1/chat/completions", `,"temperature":1`}, {"/v1/messages", `,"max_tokens":500`}, {"/v1/chat/completions", ""}} {
			a, sent := ask(c.path, "support", c.more, session)
			row := h.experimentRow(a)
			if a.status != 200 || row.Experiment != "which" {
				t.Fatalf("%d %s: %+v", a.status, a.body, row)
			}
			if turn == 0 {
				arm = row.Arm
				arms[arm]++
			}
			if row.Arm != arm {
				t.Errorf("session %d: %s, then %s", i, arm, row.Arm)
			}
			if is := strings.Contains(sent, `"model":"new"`) && strings.Contains(sent, `"temperature":0.25`) && strings.Contains(sent, `"reasoning_effort":"high"`) && strings.Contains(sent, ":77"); is != (arm == "new") {
				t.Errorf("arm %s was sent as %s", arm, sent)
			}
			if !strings.Contains(row.Attempts[0].Why, "experiment which, arm "+arm) {
				t.Errorf("why: %+v", row.Attempts)
			}
		}
	}
	if arms["now"] < 8 || arms["new"] < 8 {
		t.Errorf("arms of 40 sessions: %v", arms)
	}

	// Without a word of the client the conversation's beginning says which it is.
	first := `,"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"one"}`
	talk := func(more string) string {
		return h.experimentRow(h.call("POST", "/v1/chat/completions", `{"model":"support"`+first+more+`]}`)).Arm
	}
	if a, b := talk(""), talk(`,{"role":"assistant","content":"x"},{"role":"user","content":"two"}`); a != b || a == "" {
		t.Errorf("a conversation went from %q to %q", a, b)
	}

	// By user, over whole routes; an arm that fails has the route behind it, and
	// its requests are still its own.
	seen := map[string]string{}
	for i := range 30 {
		a, sent := ask("/v1/chat/completions", "other", fmt.Sprintf(`,"user":"u%d"`, i))
		row := h.experimentRow(a)
		want := map[string]string{"a": "other", "b": "old", "lost": "other"}[row.Arm]
		if a.status != 200 || want == "" || !strings.Contains(sent, `"model":"`+want+`"`) {
			t.Errorf("user %d: %d, %+v, sent %s", i, a.status, row, sent)
		}
		if row.Arm == "lost" && (len(row.Attempts) < 2 || row.Attempts[0].Provider != "down") {
			t.Errorf("the lost arm: %+v", row.Attempts)
		}
		seen[row.Arm] = sent
	}
	if len(seen) != 3 {
		t.Errorf("arms of 30 users: %v", seen)
	}
	if row := h.experimentRow(first2(ask("/v1/chat/completions", "other", ""))); row.Experiment != "" {
		t.Errorf("without a user it took part: %+v", row)
	}

	// An explicit model stays; its parameters do not.
	a, sent := ask("/v1/chat/completions", "acme/explicit", "")
	if row := h.experimentRow(a); row.Arm != "b" || !strings.Contains(sent, `"model":"explicit"`) || !strings.Contains(sent, `"top_p":0.5`) {
		t.Errorf("%+v, sent %s", row, sent)
	}
	if row := h.experimentRow(first2(ask("/v1/chat/completions", "acme/apart", ""))); row.Experiment != "" {
		t.Errorf("a model without an experiment: %+v", row)
	}

	waitFor(t, func() bool {
		s := h.experiment("which")
		return s.Phase == "running" && len(s.Arms) == 2 && s.Arms[0].Units+s.Arms[1].Units == 41 && s.Arms[0].Requests+s.Arms[1].Requests == 122
	}, "the roll-up of 41 sessions")
	if s := h.experiment("which"); s.Arms[0].Succeeded != float64(s.Arms[0].Requests) || !strings.Contains(s.Decision, "Too early") || s.SampleRatio.Broken {
		t.Errorf("%+v", s)
	}
}

func nil2env() map[string]string { return map[string]string{} }

func first2(a answer, _ string) answer { return a }

// TestExperimentConfig: what is wrong with an experiment is told with its place.
func TestExperimentConfig(t *testing.T) {
	t.Parallel()
	const head = "routes:\n  r: [openai/gpt-5.5]\nexperiments:\n  x:\n"
	for _, c := range []struct{ yaml, at, says string }{
		{"    on: r\n    arms: [{name: a}]\n", "6:11: experiments.x.arms", "2 to 8 arms"},
		{"    on: nothing\n    arms: [{name: a}, {name: b, thinking: low}]\n", "5:9: experiments.x.on", "neither a route nor a model"},
		{"    on: r\n    arms: [{name: a}, {name: b}]\n", "6:23: experiments.x.arms.1", "same as a"},
		{"    on: r\n    arms: [{name: a}, {name: a, thinking: low}]\n", "6:30: experiments.x.arms.1.name", "already"},
		{"    on: openai/gpt-5.5\n    arms: [{name: a}, {name: b, model: openai/gpt-5.4}]\n", "6:40: experiments.x.arms.1.model", "never replaced"},
		{"    on: r\n    arms: [{name: a}, {name: b, set: {temprature: 1}}]\n", "6:39: experiments.x.arms.1.set.temprature", `did you mean "temperature"`},
		{"    on: r\n    arms: [{name: a}, {name: b, set: {temperature: 3}}]\n", "6:52: experiments.x.arms.1.set.temperature", "at most 2"},
		{"    on: r\n    unit: turn\n    arms: [{name: a}, {name: b, thinking: low}]\n", "6:11: experiments.x.unit", "session, user, key"},
		{"    on: r\n    arms: [{name: a}, {name: b, model: nobody/x}]\n", "6:40: experiments.x.arms.1.model", "no provider"},
		{"    on: r\n    arms: [{name: a}, {name: b, thinking: low}]\n    start: soon\n", "7:12: experiments.x.start", "neither a day"},
		{"    on: r\n    arms: [{name: a}, {name: b, thinking: low}]\n    start: 2026-12-02\n    stop: 2026-12-01\n", "8:11: experiments.x.stop", "before it starts"},
		{"    on: r\n    arms: [{name: a}, {name: b, thinking: low}]\n    metric: cost_per_success\n    allocation: bandit\n", "8:17: experiments.x.allocation", "not by a ratio"},
		{"    on: r\n    arms: [{name: a}, {name: b, thinking: low}]\n    shadow: {share: 0.1}\n", "7:13: experiments.x.shadow", "no budget"},
		{"    on: r\n    arms: [{name: a}, {name: b, thinking: low}]\n  y:\n    on: r\n    arms: [{name: a}, {name: b, thinking: low}]\n", "8:9: experiments.y.on", "at the same time"},
	} {
		cfg, err := config.Parse("f.yaml", []byte(head+c.yaml), os.Getenv)
		if err == nil {
			err = app.Program{}.Check(cfg, config.Env{})
		}
		if err == nil || !strings.Contains(err.Error(), "f.yaml:"+c.at+":") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s\n%v\nwant %s ... %s", c.yaml, err, c.at, c.says)
		}
	}
}

// TestShadow: copies of whole requests go to another arm after the client has its
// answer, until the experiment's budget is spent; the caller is not charged.
func TestShadow(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000}}`)
	})
	// A request costs $0.002, one that is held for at most $0.004 + a little.
	yaml := `providers:
  acme: {dialect: openai, base_url: ` + u.URL + `/v1, api_key: k}
models:
  acme/old: {price: {input: 1, output: 1}, window: 100000, max_output: 2000}
  acme/new: {price: {input: 1, output: 1}, window: 100000, max_output: 2000}
  acme/unpriced: {window: 100000}
routes:
  support: [acme/old]
  blind: [acme/old]
experiments:
  x:
    on: support
    arms: [{name: now}, {name: new, model: acme/new, set: {temperature: 0.5}}]
    shadow: {share: 1, budget: 0.0125}
  y:
    on: blind
    arms: [{name: now, weight: 1000000}, {name: new, weight: 0.000001, model: acme/unpriced}]
    shadow: {share: 1, budget: 5}
`
	data := t.TempDir()
	h := startIn(t, data, map[string]string{}, yaml, nil)
	type row struct {
		ID, Experiment, Arm, Key, Class string
		Copy                            string `json:"copy_of"`
		Cost                            struct{ Nanodollars int64 }
	}
	rows := func() (list []row) {
		var all struct{ Requests []row }
		if err := json.Unmarshal([]byte(h.call("GET", "/admin/v1/requests?limit=1000", "", "Authorization: Bearer "+adminToken).body), &all); err != nil {
			t.Fatal(err)
		}
		return all.Requests
	}
	ids := map[string]string{}
	for i := range 12 {
		a := h.call("POST", "/v1/chat/completions", `{"model":"support","user":"someone","messages":[{"role":"user","content":"hi"}]}`, fmt.Sprintf("x-headrace-session: s%d", i))
		row := h.experimentRow(a)
		ids[a.header.Get("X-Headrace-Request-Id")] = row.Arm
		waitFor(t, func() bool { return len(rows()) == 2*(i+1) }, "the row of the copy")
	}
	h.call("POST", "/v1/chat/completions", `{"model":"support","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
	h.call("POST", "/v1/chat/completions", `{"model":"blind","messages":[{"role":"user","content":"hi"}]}`)
	waitFor(t, func() bool { return len(rows()) == 12+12+2+1 }, "a row of each request and of each copy")
	copies, cost, blind := 0, int64(0), 0
	for _, r := range rows() {
		switch {
		case r.Copy == "":
			if strings.HasPrefix(r.Key, "experiment/") {
				t.Errorf("%+v", r)
			}
			continue
		case r.Experiment == "y":
			blind++
			if r.Class != "forbidden" || r.Cost.Nanodollars != 0 {
				t.Errorf("a copy without a known price: %+v", r)
			}
		case r.Class == "":
			copies++
			cost += r.Cost.Nanodollars
			if ids[r.Copy] == "" || ids[r.Copy] == r.Arm || r.Key != "experiment/x" {
				t.Errorf("%+v is a copy of arm %q", r, ids[r.Copy])
			}
		}
	}
	if copies == 0 || cost > 12_500_000 || copies != 6 || blind != 1 {
		t.Errorf("%d copies for %d nanodollars, %d without a price", copies, cost, blind)
	}
	waitFor(t, func() bool { return h.experiment("x").Shadow.Spent == cost }, "what was spent")
	usage := h.call("GET", "/admin/v1/usage?by=key", "", "Authorization: Bearer "+adminToken).body
	if !strings.Contains(usage, `"experiment/x"`) {
		t.Errorf("usage by key: %s", usage)
	}
	// What was spent is known after a restart.
	h.stop()
	h = startIn(t, data, map[string]string{}, yaml, nil)
	h.call("POST", "/v1/chat/completions", `{"model":"support","messages":[{"role":"user","content":"hi"}]}`)
	waitFor(t, func() bool { return len(rows()) == 12+12+2+1+2 }, "the row of another copy")
	if s := h.experiment("x"); s.Shadow.Spent != cost || len(s.Shadow.Pairs) != 1 || s.Shadow.Pairs[0].N != 6 {
		t.Errorf("%+v", s.Shadow)
	}
}

// TestExperimentLife: a guardrail stops an arm that fails, and operators start,
// stop and decide; the rehearsal provider answers.
func TestExperimentLife(t *testing.T) {
	t.Parallel()
	broken := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, `{"error":{"message":"no","type":"invalid_request_error","code":"content_filter"}}`, http.StatusBadRequest)
	})
	l := live(t, map[string]string{}, `providers:
  down: {dialect: openai, base_url: `+broken.URL+`/v1, api_key: k}
routes:
  support: [rehearsal/quick]
  refusing: [down/x]
experiments:
  x:
    on: support
    least: 20
    winner: auto
    arms: [{name: now}, {name: worse, model: refusing}, {name: same, model: rehearsal/quick, set: {max_tokens: 3}}]
    guardrails: {refusals: 0.05}
`)
	n := 0
	ask := func(times int) (arms map[string]int) {
		arms = map[string]int{}
		for range times {
			n++
			a := l.call("POST", "/v1/messages", `{"model":"support","max_tokens":400,"messages":[{"role":"user","content":"Hello"}]}`, fmt.Sprintf("x-headrace-session: s%d", n))
			switch {
			case strings.Contains(a.body, "max_tokens"):
				arms["same"]++
			case a.status == 200:
				arms["now"]++
			default:
				arms["worse"]++
			}
		}
		return arms
	}
	order := func(what, body string, want int) {
		t.Helper()
		var more []string
		if body != "" {
			more = append(more, "Content-Type: application/json")
		}
		if a := l.call("POST", "/admin/v1/experiments/"+what, body, append(more, "Authorization: Bearer "+adminToken)...); a.status != want {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if arms := ask(150); arms["now"] < 20 || arms["worse"] < 20 || arms["same"] < 20 {
		t.Fatalf("%v", arms)
	}
	waitFor(t, func() bool { return l.experiment("x").Arms[1].Stopped == "refusals" }, "the guardrail")
	if arms := ask(40); arms["worse"] > 0 {
		t.Errorf("after it was stopped: %v", arms)
	}
	// Cut answers are no success: the control wins by itself.
	waitFor(t, func() bool { return l.experiment("x").Phase == "decided" }, "the winner")
	if s := l.experiment("x"); s.Winner != "now" || s.SampleRatio.Broken || !strings.Contains(s.Decision, "at most 0.05") {
		t.Errorf("%+v", s)
	}
	if arms := ask(20); arms["now"] != 20 {
		t.Errorf("after the decision: %v", arms)
	}
	order("x/decide", `{"arm":"none"}`, 400)
	order("y/stop", "", 404)
	order("x/decide", `{"arm":"same"}`, 202)
	waitFor(t, func() bool { return l.experiment("x").Winner == "same" }, "another decision")
	if arms := ask(20); arms["same"] != 20 {
		t.Errorf("after another decision: %v", arms)
	}
	order("x/stop", "", 202)
	waitFor(t, func() bool { return l.experiment("x").Phase == "stopped" }, "the stop")
	if arms := ask(20); arms["now"] != 20 {
		t.Errorf("after the stop: %v", arms)
	}
}

// TestExperimentsPage: what the page shows can be served.
func TestExperimentsPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/experiments.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	yaml, _, ok := strings.Cut(rest, "```")
	if !ok || !strings.Contains(yaml, "experiments:") {
		t.Fatal("the page has no example")
	}
	cfg, err := config.Parse("lab.yaml", []byte(yaml), os.Getenv)
	if err == nil {
		err = app.Program{}.Check(cfg, config.Env{})
	}
	if err != nil {
		t.Error(err)
	}
	h := start(t, map[string]string{}, yaml, nil)
	for i := range 12 {
		a := h.call("POST", "/v1/chat/completions", `{"model":"support","messages":[{"role":"user","content":"Hello"}]}`, fmt.Sprintf("x-headrace-session: s%d", i))
		if a.status != 200 || h.experimentRow(a).Experiment != "shorter" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestExperimentFeedback: what a client says of an answer wins over how it looked.
func TestExperimentFeedback(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{}, `routes: {support: [rehearsal/quick]}
experiments:
  x: {on: support, arms: [{name: now}, {name: new, set: {top_p: 0.5}}]}
`, nil)
	good := func() (sum float64) {
		for _, a := range h.experiment("x").Arms {
			sum += a.Succeeded
		}
		return sum
	}
	ids := map[string]string{}
	for i := range 6 {
		a := h.call("POST", "/v1/chat/completions", `{"model":"support","messages":[{"role":"user","content":"Hello"}]}`, fmt.Sprintf("x-headrace-session: s%d", i))
		ids[fmt.Sprint(i)] = a.header.Get("X-Headrace-Request-Id")
	}
	waitFor(t, func() bool { return good() == 6 }, "six successes")
	for i, body := range map[string]string{"2": `"success":false`, "4": `"score":0.5`} {
		if a := h.call("POST", "/v1/feedback", `{"request_id":"`+ids[i]+`",`+body+`}`, "Content-Type: application/json"); a.status/100 != 2 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	waitFor(t, func() bool { return good() == 4.5 }, "what was said of two of them")
}
