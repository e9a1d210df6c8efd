package app_test

import (
	"context"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// other opens the house's database as another process would.
func other(t *testing.T, data string) *sql.Conn {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "headrace.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// drive makes requests one after another for a while and gives their p99.
func (h *house) drive(d time.Duration) (n int, p99 time.Duration) {
	h.t.Helper()
	var took []time.Duration
	for end := time.Now().Add(d); time.Now().Before(end); {
		began := time.Now()
		if a := h.call("POST", "/v1/chat/completions", chatBody); a.status != 200 {
			h.t.Fatalf("request %d: %d %s", len(took), a.status, a.body)
		}
		took = append(took, time.Since(began))
		time.Sleep(2 * time.Millisecond)
	}
	slices.Sort(took)
	return len(took), took[len(took)*99/100]
}

// outage is how long the store is away: HEADRACE_TEST_OUTAGE, or 3 s.
func outage(t *testing.T) time.Duration {
	if text := os.Getenv("HEADRACE_TEST_OUTAGE"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return 3 * time.Second
}

// Another process holds the file's lock: known keys notice nothing, with a
// budget or without, and every row arrives afterwards.
func TestStoreHeldByAnother(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", answerOf(1)) })
	data := t.TempDir()
	h := startIn(t, data, map[string]string{"OPENAI_API_KEY": openaiKey, "HEADRACE_OPENAI_BASE_URL": u.URL + "/v1"}, dear, nil)
	id := h.budget("key", h.myKey(), "daily", 1_000_000)
	before, calm := h.drive(time.Second)
	c := other(t, data)
	if _, err := c.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	during, held := h.drive(outage(t))
	if _, err := c.ExecContext(context.WithoutCancel(t.Context()), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests before with a p99 of %s; %d while the file was held with %s", before, calm, during, held)
	if held > calm+50*time.Millisecond {
		t.Errorf("p99 went from %s to %s", calm, held)
	}
	if got := h.purse(id).Spent; got != int64(before+during)*1e6 {
		t.Errorf("%d requests cost %d", before+during, got)
	}
	var rows, spent int64
	waitFor(t, func() bool {
		if err := c.QueryRowContext(t.Context(), "SELECT COUNT(*), (SELECT SUM(spent) FROM budget_account) FROM ledger_request").Scan(&rows, &spent); err != nil {
			t.Fatal(err)
		}
		return rows == int64(before+during) && spent == rows*1e6
	}, "all rows")
	if rows != int64(before+during) || spent != rows*1e6 {
		t.Errorf("%d rows and %d spent of %d requests", rows, spent, before+during)
	}
}

// A store that cannot be read at all: known keys go on, an unknown one is told
// to come back, not that it is wrong.
func TestStoreUnreadable(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", answerOf(1)) })
	data := t.TempDir()
	h := startIn(t, data, map[string]string{"OPENAI_API_KEY": openaiKey, "HEADRACE_OPENAI_BASE_URL": u.URL + "/v1"}, dear, nil)
	c := other(t, data)
	rename := func(from, to string) {
		t.Helper()
		if _, err := c.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("access_version", "gone")
	unknown := func() int {
		return h.call("POST", "/v1/chat/completions", chatBody, "Authorization: Bearer "+strings.Repeat("unknown-", 5)).status
	}
	waitFor(t, func() bool { return unknown() == 503 }, "503 for an unknown key")
	if a := h.call("POST", "/v1/chat/completions", chatBody); a.status != 200 {
		t.Errorf("a known key: %d %s", a.status, a.body)
	}
	rename("gone", "access_version")
	waitFor(t, func() bool { return unknown() == 401 }, "401 once it is back")
}
