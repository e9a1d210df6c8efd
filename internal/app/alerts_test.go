package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAlerts: a breaker that opens, a threshold that is reached and a model
// without a price are told once each, without a word of what was said.
func TestAlerts(t *testing.T) {
	t.Parallel()
	var bad atomic.Bool
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if bad.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, `{"error":{"message":"broken"}}`)
			return
		}
		io.WriteString(w, `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"the-secret-answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000}}`)
	})
	heard := make(chan string, 64)
	ear := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Webhook-Signature") == "" {
			t.Errorf("%v %v", r.Header, err)
		}
		heard <- string(body)
	}))
	defer ear.Close()
	h := open(t, u, fmt.Sprintf(`alerts: [{url: %q, secret: twenty-four-characters-of-it, events: [budget, breaker, unpriced]}]
webhooks: {allow: [127.0.0.1]}
retries: {classes: {server_error: {repeat: 0}}}
budgets: {teams: {}}
`, ear.URL))
	ask := func(model string) {
		q, err := http.NewRequest(http.MethodPost, h.base+"/v1/chat/completions", strings.NewReader(`{"model":"`+model+`","max_tokens":1000,"messages":[{"role":"user","content":"the-secret-question"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+key)
		q.Header.Set("X-Headrace-Tags", "alerting")
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	ask("openai/nobody-knows-its-price")
	ask("openai/nobody-knows-its-price")
	setBudget(t, h, `{"scope":"tag","subject":"alerting","window":"daily","limit_nanodollars":100000000,"alerts":[5]}`)
	ask("openai/gpt-4o") // 1,000 tokens in and out cost 1.25 cents of 10
	bad.Store(true)
	for range 6 {
		ask("openai/gpt-4o")
	}
	kinds := map[string]int{}
	for deadline := time.After(15 * time.Second); kinds["unpriced.used"] == 0 || kinds["budget.reached"] == 0 || kinds["breaker.opened"] == 0; {
		select {
		case body := <-heard:
			var one struct {
				Type, Text string
				Data       map[string]any
			}
			if err := json.Unmarshal([]byte(body), &one); err != nil || !strings.HasPrefix(one.Text, "Headrace: ") || len(one.Data) == 0 {
				t.Errorf("%v %s", err, body)
			}
			if strings.Contains(body, "the-secret") || strings.Contains(body, key) || strings.Contains(body, openaiKey) {
				t.Errorf("an alert tells too much: %s", body)
			}
			kinds[one.Type]++
		case <-deadline:
			t.Fatalf("heard only %v\n%s", kinds, h.log)
		}
	}
	for kind, n := range kinds {
		if n != 1 {
			t.Errorf("%s was told %d times", kind, n)
		}
	}
}

func setBudget(t *testing.T, h *house, body string) {
	t.Helper()
	q, err := http.NewRequest(http.MethodPost, h.base+"/admin/v1/budgets", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+adminToken)
	q.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if text, err := io.ReadAll(r.Body); err != nil || r.StatusCode/100 != 2 {
		t.Fatalf("%d %s %v", r.StatusCode, text, err)
	}
}
