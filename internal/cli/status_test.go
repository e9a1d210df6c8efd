package cli

import (
	"strings"
	"testing"
	"time"

	"headrace/internal/admin"
	"headrace/internal/llm"
)

// TestStatusOfCredentials: which credential is set aside, until when and why,
// and what is left of the limits.
func TestStatusOfCredentials(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	limit := admin.CredentialLimit{Kind: "tokens_minute", Model: "m", Source: "learned", Limit: 60000, Left: 15000}
	var b strings.Builder
	err := credentials(&b, []admin.CredentialState{
		{Provider: "openai", Name: "1", State: "ready", Running: 3, Parallel: 4, Limits: []admin.CredentialLimit{limit, limit, limit}, MoreLimits: 2},
		{Provider: "openai", Name: "2", State: "set_aside", SetAside: []admin.Aside{
			{Op: llm.OpChat, Class: llm.Auth, Message: "no such\x1b[2J key", Until: now.Add(90 * time.Second)},
			{Op: llm.OpEmbed, Class: llm.Auth, Message: "no", Until: now}}},
		{Provider: "groq", Name: "eu", State: "rate_limited", Pauses: []admin.Pause{{Until: now.Add(time.Minute)}}},
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"CREDENTIAL", "openai 1    ready               3  1 of 4 parallel, 15,000 of 60,000 tokens minute m (learned), 15,000 of 60,000 tokens minute m (learned), 3 more",
		"openai 2    set aside           0  -", "chat set aside for 1m30s, auth: no such", "embed set aside until the next request probes it, auth: no",
		"groq eu     rate limited        0  -", "all rate limited for 1m0s",
	}
	for _, w := range want {
		if !strings.Contains(b.String(), w) {
			t.Errorf("%q is not in\n%s", w, &b)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("an escape sequence reaches the terminal")
	}
	got := load(&admin.Load{Running: 2, Waiting: 1, Limit: 8, Most: 9, BodyBytes: 1000,
		Queued: []admin.Count{{Name: "interactive", Count: 0}, {Name: "batch", Count: 1}}, Shed: []admin.Count{{Name: "queue_full", Count: 1200}}})
	if want := "Load: 2 let in (8 may run now, of 9), 1 waiting (1 batch), bodies of 1,000 bytes, 1,200 turned away since the start (1,200 queue_full)"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
