package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"headrace/internal/app"
)

// TestWhatIf: what past requests would cost at other models, and what they would
// have come to under another configuration, which is read without its secrets.
func TestWhatIf(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100000,"completion_tokens":1000,"total_tokens":101000}}`)
	})
	const models = `models:
  acme/dear: {price: {input: 10, output: 10}, window: 200000}
  acme/cheap: {price: {input: 1, output: 1}, window: 200000}
  acme/narrow: {price: {input: 0.1, output: 0.1}, window: 50000, capabilities: {vision: false}}
`
	providers := `providers: {acme: {dialect: openai, base_url: ` + u.URL + `/v1, api_key: k}}
`
	h := start(t, map[string]string{}, providers+models+"routes: {support: [acme/dear], other: [acme/cheap]}\n", nil)
	for i := range 8 {
		more := ""
		if i < 3 {
			more = `,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]`
		}
		if a := h.call("POST", "/v1/chat/completions", `{"model":"support"`+more+`,"messages":[{"role":"user","content":"hi"}]}`); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	h.call("POST", "/v1/chat/completions", `{"model":"other","messages":[{"role":"user","content":"hi"}]}`)
	admin := func(method, path, body string, want int) string {
		t.Helper()
		a := h.call(method, "/admin/v1/"+path, body, "Authorization: Bearer "+adminToken, "Content-Type: application/json")
		if a.status != want {
			t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
		return a.body
	}
	type comparison struct {
		Workload struct {
			Requests int64
			Cost     int64 `json:"cost_nanodollars"`
		}
		Models []struct {
			ID      string
			Cost    *int64 `json:"cost_nanodollars"`
			Against *float64
			TooLong int64 `json:"too_long"`
			Usable  bool
		}
	}
	compare := func(query string) (c comparison) {
		if err := json.Unmarshal([]byte(admin("GET", "compare?"+query, "", 200)), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	waitFor(t, func() bool { return compare("asked=support&since=1h").Workload.Requests == 8 }, "the rows")
	c := compare("asked=support&since=7d")
	if c.Workload.Cost != 8*1_010_000_000 {
		t.Errorf("%+v", c.Workload)
	}
	seen := map[string]bool{}
	for _, m := range c.Models {
		seen[m.ID] = true
		switch m.ID {
		case "acme/cheap":
			if m.Cost == nil || *m.Cost != 8*101_000_000 || m.Against == nil || *m.Against > -0.89 || m.TooLong != 0 {
				t.Errorf("%+v", m)
			}
		case "acme/narrow":
			if m.TooLong != 8 {
				t.Errorf("%+v", m)
			}
		}
		if !m.Usable {
			t.Errorf("%s is not configured", m.ID)
		}
	}
	if !seen["acme/dear"] || !seen["rehearsal/quick"] || seen["openai/gpt-5.5"] {
		t.Errorf("%v", seen)
	}
	if all := compare("all=true&since=7d"); len(all.Models) < 500 || all.Workload.Requests != 9 {
		t.Errorf("%d models, %+v", len(all.Models), all.Workload)
	}
	admin("GET", "compare?since=soon", "", 400)

	var r struct {
		Requests, Same, Changed, Refused int64
		Method                           string
		Cost                             *struct{ Value float64 }
		CostWas                          *struct{ Value float64 } `json:"cost_was"`
		Changes                          []struct {
			From, To string
			Cost     *int64 `json:"cost_nanodollars"`
		}
		Notes []string
	}
	body, err := json.Marshal(map[string]string{"config": strings.Replace(providers, "api_key: k", "api_key: '${file:/etc/shadow}'", 1) + models + "routes: {support: [acme/cheap, acme/dear], other: [acme/cheap]}\n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(admin("POST", "replay?since=7d", string(body), 200)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Requests != 9 || r.Same != 1 || r.Changed != 8 || r.Refused != 0 || r.Method != "direct" || len(r.Changes) != 8 || len(r.Notes) == 0 {
		t.Errorf("%+v", r)
	}
	if one := r.Changes[0]; one.From != "acme/dear" || one.To != "acme/cheap" || one.Cost == nil || *one.Cost != 101_000_000 {
		t.Errorf("%+v", one)
	}
	if r.Cost.Value >= r.CostWas.Value/5 {
		t.Errorf("cost %v, was %v", r.Cost, r.CostWas)
	}
	if got := admin("POST", "replay", `{"config":"routes: {x: [nobody/x]}"}`, 400); !strings.Contains(got, "new.yaml:1:") {
		t.Errorf("%s", got)
	}
	admin("POST", "replay", `{"config":""}`, 400)
}

// TestWorkload: requests of a file, in any dialect and in the lines of batches, are
// counted by each kind of tokenizer with what they need.
func TestWorkload(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 200)
	items, err := app.Program{}.Workload([]byte(`{"model":"x","messages":[{"role":"user","content":"`+text+`"}],"max_tokens":50}

{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"x","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}}
{"custom_id":"2","params":{"model":"x","max_tokens":9,"tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"hi"}]}}
{"model":"x","input":"hi","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}}}
{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}
`), 500)
	if err != nil || len(items) != 5 {
		t.Fatalf("%d items: %v", len(items), err)
	}
	if a := items[0]; a.Output != 50 || a.GPT < 1500 || a.Claude5 <= a.Claude4 || a.Needs != "" {
		t.Errorf("%+v", a)
	}
	for i, want := range []string{"", "vision", "tools", "json_schema", ""} {
		if items[i].Needs != want || items[i].Other <= 0 || i == 1 && items[i].Output != 500 || i == 2 && items[i].Output != 9 {
			t.Errorf("item %d: %+v, want %q", i, items[i], want)
		}
	}
	for text, want := range map[string]string{"": "no request", "{}\n": "line 1", "\n{\"messages\":[]}\nno": "line", "[1]": "line 1"} {
		if _, err := (app.Program{}).Workload([]byte(text), 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
