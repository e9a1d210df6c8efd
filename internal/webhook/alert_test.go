package webhook_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/internal/webhook"
)

// TestCrier: a notice comes signed to whoever wants to hear of it, again until
// it is taken, and never to an address inside the operator's own network.
func TestCrier(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	type got struct{ path, id, body string }
	heard := make(chan got, 16)
	var mu sync.Mutex
	fails := 2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		at, err := strconv.ParseInt(r.Header.Get("Webhook-Timestamp"), 10, 64)
		id := r.Header.Get("Webhook-Id")
		if err != nil || r.Header.Get("Webhook-Signature") != webhook.Sign(webhook.Key(secret), id, time.Unix(at, 0), body) {
			t.Errorf("not signed rightly: %v %v", r.Header, err)
		}
		mu.Lock()
		fail := r.URL.Path == "/flaky" && fails > 0
		if fail {
			fails--
		}
		mu.Unlock()
		if fail {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		heard <- got{r.URL.Path, id, string(body)}
	}))
	defer server.Close()
	rules, err := webhook.NewRules([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	key := webhook.Key(secret)
	var log strings.Builder
	c := &webhook.Crier{Rules: rules, Log: slog.New(slog.NewTextHandler(&log, nil)), Again: []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond},
		Ears: []webhook.Ear{{URL: server.URL + "/flaky", Key: key}, {URL: server.URL + "/budgets", Key: key, Kinds: []string{"budget"}}, {URL: "http://10.0.0.1/inside", Key: key}}}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	c.Tell(webhook.Notice{Kind: "breaker.opened", At: time.Now(), Text: "one", Data: map[string]any{"provider": "p"}})
	c.Tell(webhook.Notice{Kind: "budget.reached", At: time.Now(), Text: "two"})
	seen := map[string]string{}
	for range 3 {
		select {
		case g := <-heard:
			var body struct{ Type, Timestamp, Text string }
			if err := json.Unmarshal([]byte(g.body), &body); err != nil || body.Timestamp == "" {
				t.Errorf("%v %s", err, g.body)
			}
			seen[g.path+" "+body.Type] = g.id
		case <-time.After(10 * time.Second):
			t.Fatalf("not heard: %v", seen)
		}
	}
	if seen["/flaky breaker.opened"] == "" || seen["/flaky budget.reached"] == "" || seen["/budgets budget.reached"] != seen["/flaky budget.reached"] {
		t.Errorf("%v", seen)
	}
	stop()
	<-done
	if s := log.String(); !strings.Contains(s, "10.0.0.1 is not a public address") || strings.Contains(s, "MfKQ9r") {
		t.Errorf("the log: %s", s)
	}
	var none *webhook.Crier
	none.Tell(webhook.Notice{}) // tells nobody
	if string(webhook.Key("plain text of 24 characters")) != "plain text of 24 characters" {
		t.Error("a plain secret is not taken as it is")
	}
}
