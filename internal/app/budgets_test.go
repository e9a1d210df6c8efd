package app_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// dear are prices at which a thousand tokens of answer cost a dollar and the
// prompt nothing.
const dear = "models:\n" +
	"  openai/gpt-4o-mini: {price: {input: 0, output: 1000, cache_read: 0}}\n" +
	"  anthropic/claude-haiku-4-5: {price: {input: 0, output: 1000, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0}}\n"

type purse struct {
	ID       string `json:"id"`
	Limit    int64  `json:"limit_nanodollars"`
	Spent    int64  `json:"spent_nanodollars"`
	Reserved int64  `json:"reserved_nanodollars"`
	Lease    int64  `json:"lease_nanodollars"`
	Lost     int64  `json:"lost_nanodollars"`
	Left     int64  `json:"left_nanodollars"`
}

func (h *house) admin(method, path, body string) answer {
	h.t.Helper()
	header := []string{"Authorization: Bearer " + adminToken}
	if body != "" {
		header = append(header, "Content-Type: application/json")
	}
	return h.call(method, "/admin/v1/"+path, body, header...)
}

// budget sets a budget and gives its name.
func (h *house) budget(scope, subject, window string, usd float64) string {
	h.t.Helper()
	a := h.admin("POST", "budgets", fmt.Sprintf(`{"scope":%q,"subject":%q,"window":%q,"limit_nanodollars":%d}`, scope, subject, window, int64(usd*1e9)))
	if a.status != 200 {
		h.t.Fatalf("set budget: %d %s", a.status, a.body)
	}
	return scope + "/" + window + "/" + subject
}

func (h *house) purse(id string) purse {
	h.t.Helper()
	var list struct{ Budgets []purse }
	a := h.admin("GET", "budgets", "")
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.status != 200 {
		h.t.Fatalf("budgets: %d %s %v", a.status, a.body, err)
	}
	for _, p := range list.Budgets {
		if p.ID == id {
			return p
		}
	}
	h.t.Fatalf("no budget %s in %s", id, a.body)
	return purse{}
}

// myKey is the id of the key that calls are made with.
func (h *house) myKey() string {
	h.t.Helper()
	var list struct {
		Keys []struct {
			ID    string
			Admin bool
		}
	}
	if err := json.Unmarshal([]byte(h.admin("GET", "keys", "").body), &list); err != nil {
		h.t.Fatal(err)
	}
	for _, k := range list.Keys {
		if !k.Admin {
			return k.ID
		}
	}
	h.t.Fatal("no key")
	return ""
}

func answerOf(tokens int) string {
	return strings.Replace(chatAnswer, `"completion_tokens":2,"total_tokens":7`, fmt.Sprintf(`"completion_tokens":%d,"total_tokens":%d`, tokens, tokens+5), 1)
}

// A thousand requests at once against a budget for ten: ten are sent, and the
// ledger's rows add up to what the budget says.
func TestBudgetRace(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", answerOf(1000)) })
	h := open(t, u, dear)
	id := h.budget("key", h.myKey(), "monthly", 10)
	many := 1000
	if testing.Short() {
		many = 100
	}
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 100, MaxIdleConnsPerHost: 100}}
	defer client.CloseIdleConnections()
	statuses := map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			req, err := http.NewRequest("POST", h.base+"/v1/chat/completions", strings.NewReader(`{"model":"openai/gpt-4o-mini","max_tokens":1000,"messages":[{"role":"user","content":"Hi"}]}`))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+key)
			resp, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode == 429 && !strings.Contains(string(body), "insufficient_quota") {
				t.Errorf("%d %s %v", resp.StatusCode, body, err)
			}
			mu.Lock()
			statuses[resp.StatusCode]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if statuses[200] != 10 || statuses[429] != many-10 || len(u.asked()) != 10 {
		t.Errorf("statuses %v, %d requests sent", statuses, len(u.asked()))
	}
	if p := h.purse(id); p.Spent != 10e9 || p.Reserved != 0 || p.Left != 0 {
		t.Errorf("%+v", p)
	}
}

// What does not fit is cut to what the budget buys; what buys too little is
// refused in the client's own dialect.
func TestBudgetCutsAndRefuses(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/messages" {
			write(w, "application/json", strings.Replace(msgAnswer, `"output_tokens":2`, `"output_tokens":5000`, 1))
			return
		}
		write(w, "application/json", answerOf(10))
	})
	h := open(t, u, dear)
	id := h.budget("tag", "ci", "daily", 5)
	ask := func(max string, tags string) answer {
		return h.call("POST", "/v1/messages", `{"model":"anthropic/claude-haiku-4-5","max_tokens":`+max+`,"messages":[{"role":"user","content":"Hi"}]}`, "X-Headrace-Tags: "+tags)
	}
	if a := ask("64000", "other"); a.status != 200 || !strings.Contains(u.asked()[0].body, `"max_tokens":64000`) {
		t.Errorf("another tag: %d, %s", a.status, u.asked()[0].body)
	}
	a := ask("64000", "x, ci")
	if got := u.asked()[1].body; a.status != 200 || !strings.Contains(got, `"max_tokens":5000`) {
		t.Errorf("%d %s, sent %s", a.status, a.body, got)
	}
	if w := a.header.Get("X-Headrace-Warnings"); !strings.Contains(w, "lowered from 64000 to 5000") {
		t.Errorf("warnings %q", w)
	}
	if row := h.row(a); !strings.Contains(fmt.Sprint(row["warnings"]), "lowered from 64000") {
		t.Errorf("row %v", row)
	}
	a = ask("64", "ci")
	if a.status != 429 || !strings.Contains(a.body, `"type":"billing_error"`) || !strings.Contains(a.body, "the daily budget of tag ci is used up: $5.00 of $5.00 are spent; it resets at ") ||
		a.header.Get("X-Should-Retry") != "false" || a.header.Get("Retry-After") == "" {
		t.Errorf("refused: %d %s %v", a.status, a.body, a.header)
	}
	a = h.call("POST", "/v1/chat/completions", chatBody, "X-Headrace-Tags: ci")
	if a.status != 429 || !strings.Contains(a.body, `"code":"insufficient_quota"`) || len(u.asked()) != 2 {
		t.Errorf("refused: %d %s", a.status, a.body)
	}
	if p := h.purse(id); p.Spent != 5e9 || p.Left != 0 || p.Reserved != 0 {
		t.Errorf("%+v", p)
	}
	if a := ask("64", "not a tag"); a.status != 400 || !strings.Contains(a.body, "x-headrace-tags") {
		t.Errorf("a bad tag: %d %s", a.status, a.body)
	}
	if a := h.admin("DELETE", "budgets/"+id, ""); a.status != 200 {
		t.Errorf("remove: %d %s", a.status, a.body)
	}
	if a := ask("64", "ci"); a.status != 200 {
		t.Errorf("without the budget: %d %s", a.status, a.body)
	}
}

// An unknown price is no price of nothing, and a budget of 0 is one.
func TestBudgetsFailClosed(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", answerOf(10)) })
	h := open(t, u, dear+"budgets: {teams: {none: {total: 0}, some: {monthly: 2.50, alerts: [50]}}}\n")
	if p := h.purse("team/monthly/some"); p.Limit != 2_500_000_000 {
		t.Errorf("%+v", p)
	}
	if a := h.admin("POST", "budgets", `{"scope":"team","subject":"some","window":"monthly","limit_nanodollars":1}`); a.status != 400 || !strings.Contains(a.body, "declared") {
		t.Errorf("a declared budget is changed: %d %s", a.status, a.body)
	}
	if a := h.admin("POST", "budgets", `{"scope":"key","subject":"key_nobody","window":"monthly","limit_nanodollars":1}`); a.status != 404 {
		t.Errorf("a budget of no key: %d %s", a.status, a.body)
	}
	h.budget("key", h.myKey(), "daily", 100)
	unpriced := strings.Replace(chatBody, "gpt-4o-mini", "gpt-never-heard-of", 1)
	for _, c := range []struct{ path, body string }{{"/v1/chat/completions", unpriced}, {"/openai/v1/audio/speech", `{}`}} {
		if a := h.call("POST", c.path, c.body); a.status != 403 || !strings.Contains(a.body, "no known price") || len(u.asked()) != 0 {
			t.Errorf("%s: %d %s, %d sent", c.path, a.status, a.body, len(u.asked()))
		}
	}
	h.budget("tag", "zero", "total", 0)
	if a := h.call("POST", "/v1/chat/completions", chatBody, "X-Headrace-Tags: zero"); a.status != 429 || !strings.Contains(a.body, "its limit is $0.00") {
		t.Errorf("a budget of 0: %d %s", a.status, a.body)
	}
	if a := h.call("POST", "/v1/chat/completions", chatBody); a.status != 200 {
		t.Errorf("with money: %d %s\n%s", a.status, a.body, h.log)
	}
}

// A client that leaves has spent what was written until then, and holds
// nothing any more.
func TestBudgetOfAnAbortedStream(t *testing.T) {
	t.Parallel()
	wrote := make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 8 {
			fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", strings.Repeat("word ", 100))
		}
		w.(http.Flusher).Flush()
		close(wrote)
		<-r.Context().Done()
	})
	h := open(t, u, dear)
	id := h.budget("key", h.myKey(), "total", 50)
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", h.base+"/v1/chat/completions", strings.NewReader(strings.Replace(chatBody, `{"model"`, `{"stream":true,"max_tokens":4000,"model"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-wrote
	if _, err := io.ReadFull(resp.Body, make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	if p := h.purse(id); p.Reserved != 4e9 || p.Spent != 0 {
		t.Errorf("while it runs: %+v", p)
	}
	leave()
	var p purse
	waitFor(t, func() bool { p = h.purse(id); return p.Reserved == 0 }, "the reservation to be given back")
	if p.Spent < 500e6 || p.Spent > 2e9 {
		t.Errorf("after it: %+v", p)
	}
}

// After a clean stop nothing is leased, and what was spent is known to the next
// start.
func TestBudgetOverARestart(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", answerOf(1000)) })
	data := t.TempDir()
	env := func() map[string]string {
		return map[string]string{"OPENAI_API_KEY": openaiKey, "HEADRACE_OPENAI_BASE_URL": u.URL + "/v1"}
	}
	h := startIn(t, data, env(), dear, nil)
	id := h.budget("key", h.myKey(), "total", 3)
	for range 2 {
		if a := h.call("POST", "/v1/chat/completions", chatBody); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	h.stop()
	h = startIn(t, data, env(), dear, nil)
	if a := h.call("POST", "/v1/chat/completions", strings.Replace(chatBody, `{"model"`, `{"max_tokens":1000,"model"`, 1)); a.status != 200 {
		t.Errorf("the third: %d %s", a.status, a.body)
	}
	if a := h.call("POST", "/v1/chat/completions", chatBody); a.status != 429 {
		t.Errorf("the fourth: %d %s", a.status, a.body)
	}
	if p := h.purse(id); p.Spent != 3e9 || p.Lost != 0 {
		t.Errorf("%+v", p)
	}
}

// TestBudgetAndTiers: a dearer service tier is held and charged at its price,
// and one of unknown price is not sent under a budget.
func TestBudgetAndTiers(t *testing.T) {
	t.Parallel()
	served := "priority"
	var mu sync.Mutex // guards served
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		write(w, "application/json", strings.Replace(answerOf(1000), `{"id"`, `{"service_tier":"`+served+`","id"`, 1))
	})
	h := open(t, u, "models:\n  openai/gpt-5.5: {price: {input: 0, output: 1000, cache_read: 0}}\n")
	id := h.budget("key", h.myKey(), "monthly", 10)
	ask := func(tier string, most int) answer {
		return h.call("POST", "/v1/chat/completions", fmt.Sprintf(`{"model":"openai/gpt-5.5","service_tier":%q,"max_completion_tokens":%d,"messages":[{"role":"user","content":"Hi"}]}`, tier, most))
	}
	const usd = 1_000_000_000
	spent := func(want float64) {
		t.Helper()
		waitFor(t, func() bool { return h.purse(id).Spent == int64(want*usd) }, fmt.Sprintf("$%g spent, not %d", want, h.purse(id).Spent))
	}
	if a := ask("priority", 1000); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	spent(2.5)
	// 7.5 are left: 4,000 tokens at the standard price, 3,000 at 2.5 times it.
	a := ask("fast", 4000)
	if w := a.header.Get("X-Headrace-Warnings"); a.status != 200 || !strings.Contains(w, "lowered from 4000 to 3000") {
		t.Errorf("%d %q %s", a.status, w, a.body)
	}
	spent(5)
	// Another tier than the one asked for: what was served is charged.
	mu.Lock()
	served = "default"
	mu.Unlock()
	if a := ask("priority", 1000); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	spent(6)
	mu.Lock()
	served = "flex"
	mu.Unlock()
	if a := ask("flex", 1000); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	spent(6.5)
	n := len(u.asked())
	if a := ask("scale", 1000); a.status != 403 || !strings.Contains(a.body, "no known price at the service tier") || len(u.asked()) != n {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestBudgetAfterAKill: of what a killed run had leased, what no request had
// touched is given back at the next start, by itself; what running requests held
// counts as spent, and the operator is told.
func TestBudgetAfterAKill(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/sys/kernel/random/boot_id"); err != nil {
		t.Skip("what a killed run left can be proven on Linux only")
	}
	asked := make(chan struct{}, 1)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); strings.Contains(string(b), "hang") {
			asked <- struct{}{}
			<-r.Context().Done()
			return
		}
		write(w, "application/json", answerOf(1000))
	})
	data := t.TempDir()
	env := func() map[string]string {
		return map[string]string{"OPENAI_API_KEY": openaiKey, "HEADRACE_OPENAI_BASE_URL": u.URL + "/v1"}
	}
	h := startIn(t, data, env(), dear, nil)
	id := h.budget("key", h.myKey(), "total", 640)
	idle := h.budget("team", "nobody", "total", 640)
	ask := func(h *house, text string) answer {
		return h.call("POST", "/v1/chat/completions", `{"model":"openai/gpt-4o-mini","max_tokens":3000,"messages":[{"role":"user","content":"`+text+`"}]}`)
	}
	if a := ask(h, "hi"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave) // before the house stops, which waits for its requests
	hangs, err := http.NewRequestWithContext(ctx, "POST", h.base+"/v1/chat/completions", strings.NewReader(`{"model":"openai/gpt-4o-mini","max_tokens":3000,"messages":[{"role":"user","content":"hang"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	hangs.Header.Set("Authorization", "Bearer "+key)
	go func() {
		if resp, err := http.DefaultClient.Do(hangs); err == nil {
			resp.Body.Close()
		}
	}()
	<-asked
	waitFor(t, func() bool {
		p := h.purse(id)
		return p.Spent == 1e9 && p.Reserved == 3e9 && p.Lease > 0 && h.purse(idle).Lease > 0
	}, "the lease of a run at work")
	waitFor(t, func() bool { return strings.Contains(h.admin("GET", "requests?after=-1", "").body, `"id":`) }, "the row of the first request")
	// What a kill at this moment leaves behind.
	copied := func() string {
		dir := t.TempDir()
		db, err := sql.Open("sqlite", filepath.Join(data, "headrace.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), "VACUUM INTO ?", filepath.Join(dir, "headrace.db")); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"leases.free", "recall.key"} {
			b, err := os.ReadFile(filepath.Join(data, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	first, second := copied(), copied()
	after := startIn(t, first, env(), dear, nil)
	known := func(h *house) {
		t.Helper() // a lease says that the store was asked
		waitFor(t, func() bool { return h.purse(id).Lease > 0 && h.purse(idle).Lease > 0 }, "the store to be asked")
	}
	known(after)
	if p := after.purse(id); p.Spent != 1e9 || p.Lost != 3e9 || p.Left != 636e9 {
		t.Errorf("after the kill: %+v", p)
	}
	if p := after.purse(idle); p.Lost != 0 || p.Left != 640e9 {
		t.Errorf("what was never used: %+v", p)
	}
	if log := after.log.String(); !strings.Contains(log, "budget "+id+": $3.00 that a killed run had leased count as spent") || !strings.Contains(log, "it is given back") {
		t.Errorf("the log says %s", log)
	}
	if a := ask(after, "hi"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Of another boot the file proves nothing: all of the lease counts as spent.
	path := filepath.Join(second, "leases.free")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(b), strings.TrimSpace(string(boot)), strings.Repeat("0", len(strings.TrimSpace(string(boot)))), 1)
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	rebooted := startIn(t, second, env(), dear, nil)
	known(rebooted)
	if p := rebooted.purse(id); p.Lost <= 3e9 {
		t.Errorf("after a reboot: %+v", p)
	}
	if p := rebooted.purse(idle); p.Lost == 0 {
		t.Errorf("after a reboot, what was never used: %+v", p)
	}
}
