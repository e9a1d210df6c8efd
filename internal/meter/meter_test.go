package meter_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"headrace/internal/admission"
	"headrace/internal/guard"
	"headrace/internal/health"
	"headrace/internal/limit"
	"headrace/internal/llm"
	"headrace/internal/meter"
)

func scrape(t *testing.T, table *health.Table) string {
	t.Helper()
	h := meter.Handler(meter.Options{Health: table, Requests: func() int { return 3 }, Rows: func() (int64, int64) { return 7, 2 },
		Credentials: func() []meter.Credentials {
			return []meter.Credentials{{Provider: "openai", States: []limit.State{
				{Name: "1", Running: 2, Pauses: []limit.Pause{{For: time.Second}}, Limits: []limit.Level{{Kind: limit.Tokens, Full: 750}, {Kind: limit.Tokens, Class: "m"}, {Kind: limit.Requests}}},
				{Name: "2", Off: []limit.Aside{{Op: llm.OpChat, Class: llm.Auth}, {Op: llm.OpEmbed, Class: llm.Auth}}},
			}}}
		},
		Guards: func() []guard.Total {
			return []guard.Total{{Side: guard.Input, Rule: "people", Kind: "email", Do: guard.Redact, N: 11}}
		},
		Successes: func() []meter.Success {
			return []meter.Success{{Route: "up", Task: "mail", Model: "p/m", Requests: 4, EndedWell: 3, Explicit: 2, Implicit: 1, Successes: 2.5, Dollars: 0.05, PerSuccess: 0.02, HasPerSuccess: true}}
		},
		Load: func() admission.Reading {
			r := admission.Reading{Running: 5, Waiting: 4, Bytes: 6, Limit: 8}
			r.Queued[admission.Batch], r.Shed[admission.NoTurn] = 4, 9
			return r
		}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	table := health.New(health.Options{})
	for _, r := range []health.Result{
		{FirstByte: 100 * time.Millisecond, Total: time.Second, Output: 9, Cost: 2e9, Priced: true},
		{Class: llm.ServerError, Total: time.Second, Cost: 1e9, Priced: true},
	} {
		p, _, _ := table.Allow(health.Target{Provider: "anthropic", Model: `odd"model`}, false)
		p.Done(r)
	}
	got := scrape(t, table)
	for _, line := range []string{
		`headrace_attempts_total{class="ok",model="odd\"model",provider="anthropic"} 1`,
		`headrace_attempts_total{class="server_error",model="odd\"model",provider="anthropic"} 1`,
		`headrace_output_tokens_total{model="odd\"model",provider="anthropic"} 9`,
		`headrace_cost_dollars_total{model="odd\"model",provider="anthropic"} 3`,
		`headrace_cost_per_success_dollars{model="odd\"model",provider="anthropic"} 3`,
		`headrace_success_ratio{model="odd\"model",provider="anthropic"} 0.5`,
		`headrace_breaker_open{model="odd\"model",provider="anthropic"} 0`,
		`headrace_requests_running 3`,
		`headrace_ledger_rows_waiting 7`,
		`headrace_ledger_rows_lost_total 2`,
		`headrace_credential_set_aside{credential="1",provider="openai"} 0`,
		`headrace_credential_set_aside{credential="2",provider="openai"} 1`,
		`headrace_credential_rate_limited{credential="1",provider="openai"} 1`,
		`headrace_credential_attempts_running{credential="1",provider="openai"} 2`,
		`headrace_credential_limit_left_ratio{credential="1",kind="tokens_minute",provider="openai"} 0.25`,
		`headrace_credential_limit_left_ratio{credential="1",kind="requests_minute",provider="openai"} 1`,
		`headrace_guard_findings_total{action="redact",kind="email",rule="people",side="input"} 11`,
		`headrace_admission_running 5`,
		`headrace_admission_waiting{priority="batch"} 4`,
		`headrace_admission_waiting{priority="interactive"} 0`,
		`headrace_admission_limit 8`,
		`headrace_admission_body_bytes 6`,
		`headrace_admission_shed_total{reason="no_turn"} 9`,
		`headrace_admission_shed_total{reason="queue_full"} 0`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	if n := strings.Count(got, "headrace_latency_seconds{"); n != 9 {
		t.Errorf("%d quantiles, want 9", n)
	}
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "headrace_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestSeriesAreBounded: names without number make no series without number.
func TestSeriesAreBounded(t *testing.T) {
	table := health.New(health.Options{})
	for i := range 5000 {
		p, _, _ := table.Allow(health.Target{Provider: "p", Model: strings.Repeat("m", i%200) + string(rune('a'+i/200))}, false)
		p.Done(health.Result{FirstByte: 1, Total: 2, Output: 3})
	}
	if n := strings.Count(scrape(t, table), "\nheadrace_"); n > 1024*20 {
		t.Errorf("%d series", n)
	}
}
