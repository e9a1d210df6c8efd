package cli

import (
	"strings"
	"testing"
	"time"

	"headrace/internal/admin"
	"headrace/internal/llm"
)

func TestTopText(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	cost := int64(500_000_000)
	v := &top{rows: 1, today: 3e9, unpriced: 2, status: admin.Status{Version: "v", Ready: true, Listen: "127.0.0.1:8080", Started: now.Add(-time.Hour), Streams: 4,
		Targets: []admin.TargetHealth{
			{Provider: "p", Model: "busy", Breaker: "closed", Attempts: 100, SuccessRate: 1, CostPerSuccess: &cost},
			{Provider: "p", Model: "broken\x1b[2J", Breaker: "open", Attempts: 3},
		}},
		recent: []admin.Request{
			{ID: "req_1", Start: now.Add(-30 * time.Second), KeyName: "a", FirstByte: 100, Usage: admin.Tokens{Input: 600, Output: 60}, Cost: admin.Cost{Nanodollars: 6e9, Priced: true}},
			{ID: "req_2", Start: now.Add(-20 * time.Second), KeyName: "a", Status: 503, Class: llm.Overloaded, Provider: "p", Model: "broken", Cost: admin.Cost{}},
			{ID: "req_3", Start: now.Add(-10 * time.Second), Key: "key_2", FirstByte: 900, Usage: admin.Tokens{CacheRead: 600}, Cost: admin.Cost{Priced: true}},
		}}
	got := v.text(now)
	for _, want := range []string{"Headrace v  ready  127.0.0.1:8080  up 1h0m0s", "0.1/s, 4 running, 0 waiting, 33.3 % failed   First byte p50 100ms, p99 100ms",
		"20 in/s, 1 out/s   Spend $6.0000 a minute, $3.0000 today + 2 unpriced", "p/broken?[2J", "and 1 more",
		"a                   2       1        600   60  $6.0000 + 1 unpriced", "req_2", "overloaded"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") || strings.Contains(got, "p/busy") || strings.Contains(got, "key_2") {
		t.Errorf("what is set aside and who asks most come first, and nothing drives the terminal:\n%s", got)
	}
}
