package cli

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/internal/admin"
	"headrace/internal/app"
)

// heard is an output that is read while it is written.
type heard struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.String()
}

// eventually waits for what a running program does; it is asked again and again.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// TestDemo: within its first calls there is something of everything to see, and
// nothing is left behind in the end.
func TestDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	env := map[string]string{"HEADRACE_ADMIN_TOKEN": "test-admin-0123456789-0123456789-x", "HOME": t.TempDir(),
		"ANTHROPIC_API_KEY": "sk-ant-a-key-that-no-demo-may-use"}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, errOut heard
	done := make(chan int, 1)
	go func() {
		done <- execute(ctx, nil, []string{"demo", "--listen", "127.0.0.1:0", "--rate", "25", "--calls", "100"}, app.Program{},
			strings.NewReader(""), &out, &errOut, func(name string) string { return env[name] })
	}()
	eventually(t, "the calls have ended", func() bool { return strings.Contains(out.String(), " calls: ") })
	base := regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`).FindString(out.String())
	if strings.Contains(out.String(), "broke off") {
		t.Errorf("%s", out.String())
	}

	c := &client{http: http.DefaultClient, base: base, token: "test-admin-0123456789-0123456789-x"}
	seen := map[string]bool{}
	eventually(t, "the ledger has the batch's items", func() bool {
		var page admin.RequestList
		if _, err := c.call(t.Context(), http.MethodGet, "requests", url.Values{"limit": {"1000"}}, nil, &page); err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Requests {
			seen["key "+r.KeyName], seen["door "+string(r.Dialect)] = true, true
			seen["provider "+r.Provider], seen["class "+string(r.Class)] = true, true
			if r.Stream {
				seen["a stream"] = true
			}
			if r.Cost.Nanodollars > 0 {
				seen["a price"] = true
			}
			if r.KeyName == "demo-reports" && r.Provider == "rehearsal" && r.Model == "quick" { // nothing else of theirs goes there
				seen["a batch's item"] = true
			}
		}
		return seen["a batch's item"]
	})
	var now admin.Status
	if _, err := c.call(t.Context(), http.MethodGet, "status", nil, nil, &now); err != nil {
		t.Fatal(err)
	}
	for _, target := range now.Targets {
		for _, f := range target.Failed {
			seen["a failed attempt"] = seen["a failed attempt"] || f.Count > 0
		}
	}
	for _, want := range []string{"a failed attempt", "key demo-webshop", "key demo-helpdesk", "key demo-reports", "key demo-intern", "key demo-robot",
		"door openai", "door anthropic", "door responses", "door gemini", "door ollama", "provider rehearsal", "provider rehearsal-swift",
		"provider rehearsal-thrift", "provider rehearsal-deep", "class ", "class rate_limited", "class model_not_found", "class quota_exhausted", "class client_gone",
		"class invalid_request", "a stream", "a price"} {
		if !seen[want] {
			t.Errorf("there is nothing of: %s (seen %v)", want, seen)
		}
	}
	if seen["provider anthropic"] {
		t.Error("a demo asked a real provider")
	}

	stop()
	if code := <-done; code != ExitOK {
		t.Errorf("exit code %d: %s", code, errOut.String())
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
