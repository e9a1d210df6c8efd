package app_test

import (
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"headrace/internal/admin"
)

// asAdmin asks the admin API and reads the answer into out, if there is one.
func (h *house) asAdmin(method, path, body string, out any, header ...string) answer {
	h.t.Helper()
	header = append([]string{"Authorization: Bearer " + adminToken}, header...)
	if body != "" {
		header = append(header, "Content-Type: application/json")
	}
	a := h.call(method, "/admin/v1/"+path, body, header...)
	if out != nil {
		if err := json.Unmarshal([]byte(a.body), out); err != nil {
			h.t.Fatalf("%s %s: %d %s: %v", method, path, a.status, a.body, err)
		}
	}
	return a
}

func hello(model string) string {
	return `{"model":"` + model + `","max_tokens":64,"messages":[{"role":"user","content":"hello"}]}`
}

// TestAdminSeesTraffic: what clients do is found, summed up and shown, by all
// that they say of it.
func TestAdminSeesTraffic(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "routes:\n  smart: [rehearsal/rehearse-fast, rehearsal/rehearse]\n")
	var models admin.ModelList
	h.asAdmin("GET", "models?provider=rehearsal", "", &models)
	if len(models.Models) == 0 {
		t.Fatal("no model to ask")
	}
	model := models.Models[0].ID
	for i := range 3 {
		if a := h.call("POST", "/v1/chat/completions", hello(model), "X-Headrace-Tags: red,blue", "X-Headrace-Task: sum", "X-Headrace-Session: s"+strconv.Itoa(i%2)); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := h.call("POST", "/v1/chat/completions", hello("rehearsal/nobody"), "X-Headrace-Tags: blue"); a.status != 404 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var list admin.RequestList
	found := func(query string) int {
		list = admin.RequestList{}
		h.asAdmin("GET", "requests?"+query, "", &list)
		return len(list.Requests)
	}
	waitFor(t, func() bool { return found("") == 4 && list.Requests[0].Seq > 0 }, "the rows")
	for query, n := range map[string]int{"tag=red": 3, "tag=blue": 4, "tag=re": 0, "task=sum": 3, "session=s0": 2, "session=s1": 1, "errors=true": 1, "status=200": 3,
		"class=model_not_found": 1, "provider=rehearsal": 4, "model=" + model: 3, "asked=rehearsal/nobody": 1, "team=nobody": 0, "key=key_nobody": 0, "since=1h": 4, "until=1h": 0,
		"key=" + list.Requests[0].Key: 4, "id=" + list.Requests[0].ID: 1, "id=" + list.Requests[0].ID[:9]: 4, "tag=red&session=s0&status=200": 2, "limit=2": 2} {
		if got := found(query); got != n {
			t.Errorf("requests?%s gives %d, want %d", query, got, n)
		}
	}
	// A page after another.
	seen, cursor := map[string]bool{}, ""
	for range 10 {
		found("limit=1&tag=blue" + cursor)
		for _, r := range list.Requests {
			seen[r.ID] = true
		}
		if list.Next == "" {
			break
		}
		cursor = "&cursor=" + list.Next
	}
	if len(seen) != 4 || list.Next != "" {
		t.Errorf("by pages of one: %d requests, next %q", len(seen), list.Next)
	}
	rows := func(query string) map[string]int64 {
		var a admin.UsageAnswer
		h.asAdmin("GET", "usage?"+query, "", &a)
		m := map[string]int64{}
		for _, r := range a.Rows {
			m[r.Name] += r.Requests
		}
		return m
	}
	for query, want := range map[string]map[string]int64{
		"by=tag": {"red": 3, "blue": 4}, "by=tag&tag=red": {"red": 3}, "by=task": {"sum": 3, "": 1}, "by=model&tag=red": {model: 3}, "by=team": {"": 4},
		"by=model&bucket=hour&provider=rehearsal&task=sum": {model: 3}, "by=provider&bucket=minute&since=1h": {"rehearsal": 4},
	} {
		got := rows(query)
		for name, n := range want {
			if got[name] != n || len(got) != len(want) {
				t.Errorf("usage?%s gives %v, want %v", query, got, want)
				break
			}
		}
	}
	// The minutes are the hours, read from the rows and not from roll-ups.
	var minutes, hours admin.UsageAnswer
	h.asAdmin("GET", "usage?by=minute&since=2h", "", &minutes)
	h.asAdmin("GET", "usage?by=hour&since=2h", "", &hours)
	total := func(a admin.UsageAnswer) (s admin.UsageRow) {
		for _, r := range a.Rows {
			s.Requests, s.Failed, s.Attempts, s.FailedAttempts = s.Requests+r.Requests, s.Failed+r.Failed, s.Attempts+r.Attempts, s.FailedAttempts+r.FailedAttempts
			s.Input, s.Output, s.Cost, s.Unpriced = s.Input+r.Input, s.Output+r.Output, s.Cost+r.Cost, s.Unpriced+r.Unpriced
		}
		return s
	}
	if m, h := total(minutes), total(hours); m != h || m.Requests != 4 || m.Output == 0 {
		t.Errorf("minutes %+v, hours %+v", m, h)
	}
	var o admin.OverviewAnswer
	h.asAdmin("GET", "overview", "", &o)
	if v := o.Overview; v.Today.Requests != 4 || v.Recent.Requests != 4 || v.Recent.Failed != 1 || v.Recent.SuccessRate == nil || *v.Recent.SuccessRate != 1 || len(v.Savings) != 3 || len(v.Providers) == 0 || v.Recent.Total.Count != 3 {
		t.Errorf("%+v", v)
	}
	var use admin.ModelAnswer
	h.asAdmin("GET", "models/"+model, "", &use)
	if use.Use.Used.Requests != 3 || use.Use.Health == nil {
		t.Errorf("%+v", use)
	}
	var what admin.Elsewhere
	h.asAdmin("GET", "what-if?models=openai/gpt-5.2,"+model, "", &what)
	if what.Requests != 4 || len(what.Rows) == 0 {
		t.Errorf("%+v", what)
	}
	if a := h.asAdmin("GET", "models/rehearsal/nobody", "", nil); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestAdminEvents: a row is told when it is written, and a stream of events does
// not hold up the end.
func TestAdminEvents(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "")
	req, err := http.NewRequest("GET", h.base+"/admin/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if a := h.call("POST", "/v1/chat/completions", hello("rehearsal/nobody")); a.status != 404 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), "event: request\n") || !strings.Contains(got.String(), `"asked":"rehearsal/nobody"`) {
		n, err := resp.Body.Read(buf)
		if err != nil {
			t.Fatalf("after %q: %v", got.String(), err)
		}
		got.Write(buf[:n])
	}
	start := time.Now()
	h.stop()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the end took %s", took)
	}
}

// TestAdminCredentials: a key that is given to the API is used at once, sealed
// in the store, and never shown.
func TestAdminCredentials(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk-stored-secret-0123456789" {
			w.WriteHeader(401)
			write(w, "application/json", `{"error":{"message":"wrong key"}}`)
			return
		}
		write(w, "application/json", `{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ready"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`)
	})
	data := t.TempDir()
	env := map[string]string{"HEADRACE_MISTRAL_BASE_URL": u.URL + "/v1"}
	h := startIn(t, data, env, "", nil)
	var p admin.ProviderAnswer
	h.asAdmin("GET", "providers/mistral", "", &p)
	if p.Detail.Provider.State != "skipped" || len(p.Detail.Credentials) != 0 {
		t.Errorf("%+v", p)
	}
	for body, want := range map[string]string{
		`{"name":"main","key":"short"}`:                  "8 to",
		`{"name":"a b","key":"sk-stored-secret-0123"}`:   "the name of a credential",
		`{"name":"main","key":"` + key + `"}`:            "",
		`{"name":"x","key":"hr-0123456789012345678901"}`: "key of Headrace itself",
	} {
		if want == "" {
			continue
		}
		if a := h.asAdmin("POST", "providers/mistral/credentials", body, nil); a.status != 400 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if a := h.asAdmin("POST", "providers/nobody/credentials", `{"name":"main","key":"sk-stored-secret-0123456789"}`, nil); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	var c admin.CredentialAnswer
	if a := h.asAdmin("POST", "providers/mistral/credentials", `{"name":"main","key":"sk-stored-secret-0123456789"}`, &c); a.status != 201 || c.Credential.Last != "6789" || strings.Contains(a.body, "sk-stored") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.asAdmin("POST", "providers/mistral/credentials", `{"name":"main","key":"sk-stored-secret-0123456789"}`, nil); a.status != 400 {
		t.Errorf("twice: %d %s", a.status, a.body)
	}
	var tested admin.ProviderTested
	if a := h.asAdmin("POST", "providers/mistral/test", `{"model":"mistral-small-latest"}`, &tested); !tested.OK || tested.Answer != "ready" || tested.Request == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.call("POST", "/v1/chat/completions", hello("mistral/mistral-small-latest")); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	shown := h.asAdmin("GET", "providers/mistral", "", &p)
	if len(p.Detail.Credentials) != 1 || !p.Detail.Credentials[0].Stored || p.Detail.Provider.State != "ready" || strings.Contains(shown.body, "sk-stored") {
		t.Errorf("%s", shown.body)
	}
	h.stop()
	for _, name := range []string{"headrace.db", "headrace.db-wal", "audit.log"} {
		text, err := os.ReadFile(filepath.Join(data, name))
		if err == nil && strings.Contains(string(text), "sk-stored-secret") {
			t.Errorf("%s has the key in clear", name)
		}
	}
	if strings.Contains(h.log.String(), "sk-stored-secret") {
		t.Error("the log has the key")
	}
	// It is there after a restart, and gone when it is removed.
	h = startIn(t, data, env, "", nil)
	if a := h.call("POST", "/v1/chat/completions", hello("mistral/mistral-small-latest")); a.status != 200 {
		t.Errorf("after a restart: %d %s", a.status, a.body)
	}
	if a := h.asAdmin("DELETE", "providers/mistral/credentials/main", "", nil); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.asAdmin("DELETE", "providers/mistral/credentials/main", "", nil); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.call("POST", "/v1/chat/completions", hello("mistral/mistral-small-latest")); a.status == 200 {
		t.Errorf("without a key: %d %s", a.status, a.body)
	}
	if a := h.asAdmin("POST", "providers/mistral/test", "", nil); a.status != 400 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestAdminConfig: the file is shown without its secrets, checked with the place
// of what is wrong, written in one step, in force at once, and gone back from.
func TestAdminConfig(t *testing.T) {
	t.Parallel()
	l := live(t, nil, "providers:\n  openai: {api_key: sk-in-the-file-0123456789}\nroutes:\n  smart: [openai/gpt-5.2]\n")
	var now admin.ConfigAnswer
	a := l.asAdmin("GET", "config", "", &now)
	tag := a.header.Get("ETag")
	if !now.Config.Writable || strings.Contains(a.body, "sk-in-the-file") || !strings.Contains(now.Config.Text, "(kept ") || !strings.Contains(now.Config.Effective, "openai/gpt-5.2") {
		t.Fatalf("%s", a.body)
	}
	text := func(s string) string {
		body, err := json.Marshal(admin.ConfigText{Text: s, Note: "from a test"})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	var check admin.ConfigCheck
	l.asAdmin("POST", "config/validate", text(now.Config.Text+"  bad: [nobody/x]\nretries: {attempts: 1000}\n"), &check)
	if check.OK || len(check.Problems) == 0 || check.Problems[0].Line == 0 || check.Problems[0].Path != "retries.attempts" {
		t.Errorf("%+v", check)
	}
	l.asAdmin("POST", "config/validate", text(now.Config.Text+"  bad: [nobody/x]\n"), &check)
	if check.OK || len(check.Problems) != 1 || check.Problems[0].Line != 7 {
		t.Errorf("%+v", check)
	}
	l.asAdmin("POST", "config/validate", text("providers:\n  openai: {api_key: (kept 0123456789ab)}\n"), &check)
	if check.OK || len(check.Problems) != 1 || check.Problems[0].Line != 2 {
		t.Errorf("%+v", check)
	}
	// A wrong one changes nothing.
	before, err := os.ReadFile(l.file)
	if err != nil {
		t.Fatal(err)
	}
	if l.asAdmin("PUT", "config", text("listen: [1]\n"), &check); check.OK {
		t.Errorf("%+v", check)
	}
	if after, err := os.ReadFile(l.file); err != nil || string(after) != string(before) {
		t.Errorf("the file is %s, %v", after, err)
	}
	better := strings.Replace(now.Config.Text, "smart: [openai/gpt-5.2]", "clever: [openai/gpt-5.2]\n  quick: [rehearsal/rehearse]", 1)
	l.asAdmin("POST", "config/validate", text(better), &check)
	if !check.OK || !strings.Contains(check.Diff, "-  smart: [openai/gpt-5.2]\n+  clever: [openai/gpt-5.2]\n") || strings.Contains(check.Diff, "sk-in") || len(check.Later) != 0 {
		t.Errorf("%+v", check)
	}
	if a := l.asAdmin("PUT", "config", text(better), nil, `If-Match: "stale"`); a.status != 412 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := l.asAdmin("PUT", "config", text(better), &check, "If-Match: "+tag); a.status != 200 || !check.OK {
		t.Errorf("%d %s", a.status, a.body)
	}
	written, err := os.ReadFile(l.file)
	if err != nil || !strings.Contains(string(written), "sk-in-the-file-0123456789") || !strings.Contains(string(written), "clever:") {
		t.Errorf("%s, %v", written, err)
	}
	if info, err := os.Stat(l.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	var routes admin.RouteList
	l.asAdmin("GET", "routes", "", &routes)
	names := map[string]bool{}
	for _, r := range routes.Routes {
		names[r.Name] = r.Declared
	}
	if !names["clever"] || !names["quick"] || names["smart"] {
		t.Errorf("routes in force: %v", names)
	}
	var history admin.ConfigHistory
	l.asAdmin("GET", "config/history", "", &history)
	if len(history.Versions) != 2 || !history.Versions[0].Current || history.Versions[0].Why != "from a test" || history.Versions[1].Current {
		t.Fatalf("%+v", history)
	}
	first := strconv.FormatInt(history.Versions[1].ID, 10)
	var past admin.ConfigPast
	if a := l.asAdmin("GET", "config/history/"+first, "", &past); !strings.Contains(past.Text, "smart:") || strings.Contains(a.body, "sk-in") || !strings.Contains(past.Diff, "+  smart:") {
		t.Errorf("%s", a.body)
	}
	if a := l.asAdmin("POST", "config/rollback", `{"id":`+first+`}`, &check); a.status != 200 || !check.OK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if after, err := os.ReadFile(l.file); err != nil || string(after) != string(before) {
		t.Errorf("after going back the file is %s, %v", after, err)
	}
	if a := l.asAdmin("POST", "config/rollback", `{"id":999}`, nil); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestAdminConfigReadOnly: a file that cannot be written is a conflict, and none
// at all is one too.
func TestAdminConfigReadOnly(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "")
	var now admin.ConfigAnswer
	h.asAdmin("GET", "config", "", &now)
	if now.Config.Writable || now.Config.ReadOnly == "" {
		t.Errorf("%+v", now)
	}
	if a := h.asAdmin("PUT", "config", `{"text":""}`, nil); a.status != 409 || !strings.Contains(a.body, `"read_only"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestAdminAudit: every change is a row that holds the hash of the one before;
// what is changed behind its back shows.
func TestAdminAudit(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	h := startIn(t, data, map[string]string{}, "", nil)
	for range 5 {
		if a := h.asAdmin("POST", "keys", `{"name":"x"}`, nil); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	var list admin.AuditList
	h.asAdmin("GET", "audit?action=keys.create&limit=3", "", &list)
	if len(list.Rows) != 3 || list.Next == "" || list.Rows[0].Prev != list.Rows[1].Hash {
		t.Errorf("%+v", list)
	}
	next := list.Next
	list = admin.AuditList{}
	h.asAdmin("GET", "audit?limit=3&cursor="+next, "", &list)
	if len(list.Rows) != 2 || list.Next != "" {
		t.Errorf("%+v", list)
	}
	var v admin.AuditVerdict
	h.asAdmin("GET", "audit/verify", "", &v)
	head := v.Head
	if !v.OK || v.Rows != 5 {
		t.Errorf("%+v", v)
	}
	if h.asAdmin("GET", "audit/verify?head="+head, "", &v); !v.OK {
		t.Errorf("%+v", v)
	}
	if a := h.asAdmin("GET", "audit/verify?head=xyz", "", nil); a.status != 400 {
		t.Errorf("%d", a.status)
	}
	h.stop()
	lines, err := os.ReadFile(filepath.Join(data, "audit.log"))
	if err != nil || strings.Count(string(lines), "\n") != 5 || !strings.Contains(string(lines), head) {
		t.Errorf("%s, %v", lines, err)
	}
	for name, c := range map[string]struct{ change, why string }{
		"changed":  {"UPDATE audit_row SET subject = 'key_other' WHERE n = 3", "it was changed"},
		"taken":    {"DELETE FROM audit_row WHERE n = 3", "missing"},
		"replaced": {"UPDATE audit_row SET hash = x'00' WHERE n = 3", "it was changed"},
		"cut":      {"DELETE FROM audit_row WHERE n > 3", "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, file := range []string{"headrace.db", "recall.key"} {
				text, err := os.ReadFile(filepath.Join(data, file))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			db, err := sql.Open("sqlite", filepath.Join(dir, "headrace.db"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(c.change); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			h := startIn(t, dir, map[string]string{}, "", nil)
			var v admin.AuditVerdict
			if h.asAdmin("GET", "audit/verify?head="+head, "", &v); v.OK || !strings.Contains(v.Why, c.why) || v.Broken < 3 {
				t.Errorf("%+v", v)
			}
		})
	}
}

// TestAdminSSO: a browser that comes back from a single sign-on has a session, by
// a page of ours and not by a redirect of theirs.
func TestAdminSSO(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "admin:\n  url: http://127.0.0.1:8080\n  oidc: {issuer: 'http://127.0.0.1:1', client_id: x, default: viewer}\n")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, status := range map[string]int{"session/oidc": 503, "session/oidc/callback?error=access_denied": 403, "session/oidc/callback?state=x&code=y": 401} {
		resp, err := client.Get(h.base + "/admin/v1/" + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status {
			t.Errorf("%s: %d %s, %v", path, resp.StatusCode, text, err)
		}
		resp.Body.Close()
	}
	var ways admin.SignInWays
	h.asAdmin("GET", "session/ways", "", &ways)
	if !ways.Token || ways.OIDC != "single sign-on" {
		t.Errorf("%+v", ways)
	}
}
