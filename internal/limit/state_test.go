package limit

import (
	"testing"
	"time"

	"headrace/internal/llm"
)

// TestStates: what is learned and configured, what is left of it, and what is
// set aside until when and why.
func TestStates(t *testing.T) {
	t.Parallel()
	p := two(PoolOptions{Headers: "openai"}, Rates{RequestsPerMinute: 10, Parallel: 4}, Rates{})
	now := time.Now()
	h := must(t, p, Ask{Tried: 2}, now)
	p.Hear(0, llm.OpChat, "m", headers("x-ratelimit-limit-requests", "500", "x-ratelimit-remaining-requests", "499", "x-ratelimit-reset-requests", "120ms",
		"x-ratelimit-limit-tokens", "60000", "x-ratelimit-remaining-tokens", "15000", "x-ratelimit-reset-tokens", "45s"), now)
	s := p.States(now)[0]
	if s.Name != "a" || s.Running != 1 || s.Parallel != 4 || len(s.Off) != 0 || len(s.Pauses) != 0 || len(s.Limits) != 2 {
		t.Fatalf("%+v", s)
	}
	// The operator's requests a minute stand for the learned ones.
	if got, want := s.Limits[0], (Level{Kind: Tokens, Op: llm.OpChat, Class: "m", Learned: true, Limit: 60_000, Left: 15_000, Per: time.Minute, Full: 750}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := s.Limits[1], (Level{Kind: Requests, Limit: 10, Left: 9, Per: time.Minute, Full: 100}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	h.Done(Result{Sent: true, Err: &llm.Error{Class: llm.RateLimited, Status: 429, RetryAfter: 7 * time.Second}}, now)
	must(t, p, Ask{Op: llm.OpEmbed, Class: "e", Tried: 2}, now).
		Done(Result{Sent: true, Err: &llm.Error{Class: llm.QuotaExhausted, Status: 429, RetryAfter: time.Hour, Message: "no money"}}, now)
	now = now.Add(2 * time.Second)
	s = p.States(now)[0]
	if len(s.Pauses) != 1 || s.Pauses[0] != (Pause{llm.OpChat, "m", 5 * time.Second}) {
		t.Errorf("pauses %+v", s.Pauses)
	}
	if len(s.Off) != 1 || s.Off[0] != (Aside{llm.OpEmbed, llm.QuotaExhausted, "no money", time.Hour - 2*time.Second}) {
		t.Errorf("off %+v", s.Off)
	}
	// All of it drains away.
	for _, l := range p.States(now.Add(time.Minute))[0].Limits {
		if l.Left != l.Limit || l.Full != 0 {
			t.Errorf("after a minute %+v", l)
		}
	}
	if other := p.States(now)[1]; other.Name != "b" || len(other.Limits)+len(other.Off)+len(other.Pauses) != 0 {
		t.Errorf("%+v", other)
	}
}
