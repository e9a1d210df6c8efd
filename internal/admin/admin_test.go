package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/internal/admin"
	"headrace/internal/budget"
	"headrace/internal/llm"
)

const token = "admin-token-of-thirty-two-characters"

// back is everything behind the API, in memory; a non-nil down fails all.
type back struct {
	keys    []admin.Key
	spec    admin.KeySpec
	gap     time.Duration
	filter  admin.RequestFilter
	sums    admin.UsageQuery
	by      string
	since   time.Time
	file    []byte
	audits  []string
	budgets []budget.Budget
	down    error
}

func (b *back) find(id string) (*admin.Key, error) {
	for i := range b.keys {
		if b.keys[i].ID == id {
			return &b.keys[i], b.down
		}
	}
	return nil, llm.Errorf(llm.NotFound, "there is no key %q", id)
}

func (b *back) Keys(context.Context) ([]admin.Key, error) { return b.keys, b.down }

func (b *back) CreateKey(_ context.Context, s admin.KeySpec) (llm.Secret, admin.Key, error) {
	b.spec = s
	k := admin.Key{ID: fmt.Sprintf("key_%d", len(b.keys)+1), Name: s.Name, State: "active", Expires: s.Expires}
	b.keys = append(b.keys, k)
	return "hr-fresh", k, b.down
}

func (b *back) ChangeKey(_ context.Context, id string, s admin.KeySpec) (admin.Key, error) {
	k, err := b.find(id)
	if err != nil {
		return admin.Key{}, err
	}
	k.Name, k.Team, k.Limits = s.Name, s.Team, s.Limits
	return *k, nil
}

func (b *back) RevokeKey(_ context.Context, id string) (admin.Key, error) {
	k, err := b.find(id)
	if err != nil {
		return admin.Key{}, err
	}
	k.State = "revoked"
	return *k, nil
}

func (b *back) RotateKey(_ context.Context, id string, overlap time.Duration) (llm.Secret, admin.Key, error) {
	if _, err := b.find(id); err != nil {
		return "", admin.Key{}, err
	}
	b.gap = overlap
	return "hr-next", admin.Key{ID: "key_next"}, nil
}

func (b *back) UsageBy(_ context.Context, by string, since, _ time.Time) ([]admin.UsageRow, error) {
	b.by, b.since = by, since
	return nil, b.down
}

func (b *back) Sums(_ context.Context, q admin.UsageQuery) ([]admin.UsageRow, error) {
	b.sums = q
	return []admin.UsageRow{{Name: "one", Bucket: q.Since}}, b.down
}

func (b *back) Requests(_ context.Context, f admin.RequestFilter) (admin.RequestList, error) {
	b.filter = f
	return admin.RequestList{Requests: []admin.Request{{ID: "req_1"}}}, b.down
}

func (b *back) Request(_ context.Context, id string) (admin.Request, error) {
	if id != "req_1" {
		return admin.Request{}, llm.Errorf(llm.NotFound, "there is no request %q", id)
	}
	return admin.Request{ID: id}, nil
}

func (b *back) Models(context.Context, bool) ([]admin.Model, error) {
	price := func(in, out float64) *admin.Price { return &admin.Price{Input: &in, Output: &out} }
	return []admin.Model{
		{ID: "a/dear", Provider: "a", Features: []string{"tools", "vision"}, Price: price(10, 50), Window: 10},
		{ID: "a/unknown", Provider: "a", Features: []string{"tools"}},
		{ID: "b/cheap", Provider: "b", Features: []string{"tools"}, Price: price(1, 2), Window: 20},
	}, b.down
}

func (b *back) Budgets(context.Context) ([]budget.State, error) {
	var list []budget.State
	for _, one := range b.budgets {
		list = append(list, budget.State{Budget: one, Left: one.Limit})
	}
	return list, b.down
}

func (b *back) SetBudget(_ context.Context, one budget.Budget) error {
	if err := b.DropBudget(context.Background(), one.ID); err != nil && b.down != nil {
		return err
	}
	b.budgets = append(b.budgets, one)
	return b.down
}

func (b *back) DropBudget(_ context.Context, id budget.ID) error {
	n := len(b.budgets)
	b.budgets = slices.DeleteFunc(b.budgets, func(one budget.Budget) bool { return one.ID == id })
	if len(b.budgets) == n {
		return llm.Errorf(llm.NotFound, "there is no budget %q", id)
	}
	return b.down
}

func (b *back) SettleBudget(context.Context, budget.ID) (llm.Nanodollars, error) { return 0, b.down }

func (b *back) Providers(context.Context) ([]admin.Provider, error) { return nil, b.down }

func (b *back) Refresh(_ context.Context, file []byte) (admin.Refreshed, error) {
	b.file = file
	return admin.Refreshed{Added: len(file)}, b.down
}

func (b *back) Audit(ctx context.Context, actor, action, subject string) {
	if ctx.Err() != nil {
		actor = "cancelled " + actor
	}
	b.audits = append(b.audits, actor+" "+action+" "+subject)
}

func (b *back) SuccessBy(_ context.Context, by []string, since, _ time.Time) ([]admin.SuccessRow, error) {
	b.by, b.since = strings.Join(by, "+"), since
	return nil, b.down
}

func (b *back) Explain(_ context.Context, id string) (admin.Explanation, error) {
	if id != "req_1" {
		return admin.Explanation{}, llm.Errorf(llm.NotFound, "there is no request %q", id)
	}
	return admin.Explanation{Why: "so"}, b.down
}

func (b *back) options() admin.Options {
	return admin.Options{
		Door: admin.DoorFunc(func(t string, _ time.Time) (string, error) {
			if t != token {
				return "", llm.Errorf(llm.Unauthenticated, "this is no admin token")
			}
			return "root", nil
		}),
		Loopback: true,
		Keys:     b, Budgets: b, Usage: b, Requests: b, Success: b, Catalog: b, Audit: b,
		Errors: func(string) ([]admin.ErrorClass, error) {
			return []admin.ErrorClass{{Class: llm.Overloaded, Status: 529}}, nil
		},
		Status: func(context.Context) admin.Status { return admin.Status{Version: "v1"} },
		Log:    slog.New(slog.DiscardHandler),
	}
}

// ask sends one request; edit may change it.
func ask(t *testing.T, h http.Handler, method, path, body string, edit func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	q := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	q.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	if edit != nil {
		edit(q)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	if kind := w.Header().Get("Content-Type"); kind != "application/json" || !json.Valid(text) {
		t.Errorf("%s %s: %s, %q is not JSON", method, path, kind, text)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s may be cached", method, path)
	}
	return w.Code, string(bytes.TrimSpace(text)), w.Header()
}

func TestRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 65<<10)
	for _, c := range []struct {
		name, method, path, body string
		edit                     func(*http.Request)
		status                   int
		want                     string
	}{
		{"no token", "GET", "/admin/v1/keys", "", func(q *http.Request) { q.Header.Del("Authorization") }, 401, `"unauthenticated"`},
		{"wrong token", "GET", "/admin/v1/keys", "", func(q *http.Request) { q.Header.Set("Authorization", "Bearer hr-data-key") }, 401, "no admin token"},
		{"basic auth", "GET", "/admin/v1/keys", "", func(q *http.Request) { q.Header.Set("Authorization", "Basic "+token) }, 401, "unauthenticated"},
		{"token as x-api-key", "GET", "/admin/v1/keys", "", func(q *http.Request) { q.Header.Del("Authorization"); q.Header.Set("x-api-key", token) }, 401, "unauthenticated"},
		{"strangers learn no paths", "GET", "/admin/v1/nowhere", "", func(q *http.Request) { q.Header.Del("Authorization") }, 401, "unauthenticated"},
		{"strangers get no description", "GET", "/admin/v1/openapi.json", "", func(q *http.Request) { q.Header.Del("Authorization") }, 401, "unauthenticated"},
		{"rebound host", "GET", "/admin/v1/keys", "", func(q *http.Request) { q.Host = "evil.example:8080" }, 403, "host name"},
		{"host that begins like ours", "GET", "/admin/v1/keys", "", func(q *http.Request) { q.Host = "127.0.0.1.evil.example" }, 403, "host name"},
		{"other origin", "POST", "/admin/v1/keys", "{}", func(q *http.Request) { q.Header.Set("Origin", "https://evil.example") }, 403, "another origin"},
		{"cross site fetch", "DELETE", "/admin/v1/keys/key_1", "", func(q *http.Request) { q.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "another origin"},
		{"unknown path", "GET", "/admin/v1/nowhere", "", nil, 404, `"not_found"`},
		{"wrong method", "PUT", "/admin/v1/keys", "{}", nil, 405, `takes GET, POST`},
		{"unknown member", "POST", "/admin/v1/keys", `{"nam":"x"}`, nil, 400, "/nam: there is no such member"},
		{"wrong type", "POST", "/admin/v1/keys", `{"limits":{"parallel":"x"}}`, nil, 400, "/limits/parallel: the value has the wrong type"},
		{"doubled member", "POST", "/admin/v1/keys", `{"name":"a","name":"b"}`, nil, 400, "the body is wrong"},
		{"broken JSON", "POST", "/admin/v1/keys", `{"name":`, nil, 400, "not valid JSON"},
		{"second value", "POST", "/admin/v1/keys", `{}{}`, nil, 400, "not valid JSON"},
		{"form body", "POST", "/admin/v1/keys", `{}`, func(q *http.Request) { q.Header.Set("Content-Type", "text/plain") }, 400, "application/json"},
		{"large body", "POST", "/admin/v1/keys", `{"name":"` + long + `"}`, nil, 413, `"too_large"`},
		{"control character", "POST", "/admin/v1/keys", `{"name":"a\nb"}`, nil, 400, "control characters"},
		{"negative limit", "POST", "/admin/v1/keys", `{"limits":{"parallel":-1}}`, nil, 400, "negative"},
		{"expired at once", "POST", "/admin/v1/keys", `{"expires":"2001-01-01T00:00:00Z"}`, nil, 400, "expired already"},
		{"two expiries", "POST", "/admin/v1/keys", `{"expires":"2101-01-01T00:00:00Z","expires_in":"1h"}`, nil, 400, "give one"},
		{"bad expiry", "POST", "/admin/v1/keys", `{"expires_in":"soon"}`, nil, 400, "expires_in is a length"},
		{"empty pattern", "POST", "/admin/v1/keys", `{"models":[""]}`, nil, 400, "pattern is empty"},
		{"unknown key", "DELETE", "/admin/v1/keys/key_9", "", nil, 404, "no key"},
		{"unknown key to rotate", "POST", "/admin/v1/keys/key_9/rotate", "{}", nil, 404, "no key"},
		{"negative overlap", "POST", "/admin/v1/keys/key_1/rotate", `{"overlap":"-1h"}`, nil, 400, "overlap is a length"},
		{"usage by what", "GET", "/admin/v1/usage?by=colour", "", nil, 400, "by is"},
		{"success by what", "GET", "/admin/v1/success?by=model,colour", "", nil, 400, "by is"},
		{"an explanation of nothing", "GET", "/admin/v1/requests/req_2/explain", "", nil, 404, "req_2"},
		{"usage since when", "GET", "/admin/v1/usage?since=yesterday", "", nil, 400, "since is a time"},
		{"mistyped filter", "GET", "/admin/v1/requests?error=true", "", nil, 400, `no parameter \"error\"`},
		{"doubled filter", "GET", "/admin/v1/requests?limit=1&limit=2", "", nil, 400, "twice"},
		{"after what", "GET", "/admin/v1/requests?after=req_1", "", nil, 400, "after is the seq"},
		{"limit", "GET", "/admin/v1/requests?limit=1001", "", nil, 400, "1 to 1000"},
		{"broken query", "GET", "/admin/v1/requests?a=%zz", "", nil, 400, "malformed"},
		{"unknown request", "GET", "/admin/v1/requests/req_9", "", nil, 404, "no request"},
		{"unknown feature", "GET", "/admin/v1/models?needs=tools,wings", "", nil, 400, `no feature \"wings\"`},
		{"unknown order", "GET", "/admin/v1/models?sort=colour", "", nil, 400, "sort is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &back{keys: []admin.Key{{ID: "key_1"}}}
			status, text, h := ask(t, admin.New(b.options()), c.method, c.path, c.body, c.edit)
			if status != c.status || !strings.Contains(text, c.want) || !strings.HasPrefix(text, `{"error":{"code":"`) {
				t.Errorf("got %d %s, want %d with %s", status, text, c.status, c.want)
			}
			if status == 401 && h.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
			if strings.Contains(text, token) || strings.Contains(text, "admin.") {
				t.Errorf("shows what it should not: %s", text)
			}
			if len(b.audits) != 0 {
				t.Errorf("a refused request left %v in the audit", b.audits)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := &back{}
	h := admin.New(b.options())
	if status, text, _ := ask(t, h, "GET", "/admin/v1/keys", "", nil); status != 200 || text != `{"keys":[]}` {
		t.Errorf("got %d %s", status, text)
	}
	before := time.Now()
	status, text, _ := ask(t, h, "POST", "/admin/v1/keys", `{"name":"ci","models":["smart"],"expires_in":"7d","limits":{"parallel":3}}`, nil)
	if status != 201 || !strings.Contains(text, `"token":"hr-fresh"`) || !strings.Contains(text, `"id":"key_1"`) {
		t.Errorf("got %d %s", status, text)
	}
	if in := b.spec.Expires.Sub(before); in < 7*24*time.Hour || in > 7*24*time.Hour+time.Minute || b.spec.Limits.Parallel != 3 {
		t.Errorf("asked for %+v", b.spec)
	}
	if status, text, _ = ask(t, h, "POST", "/admin/v1/keys", "", nil); status != 201 {
		t.Errorf("an empty body: %d %s", status, text)
	}
	if status, text, _ = ask(t, h, "POST", "/admin/v1/keys/key_1/rotate", `{"overlap":"24h"}`, nil); status != 201 || b.gap != 24*time.Hour {
		t.Errorf("got %d %s, overlap %s", status, text, b.gap)
	}
	if status, text, _ = ask(t, h, "DELETE", "/admin/v1/keys/key_1", "", nil); status != 200 || !strings.Contains(text, `"state":"revoked"`) {
		t.Errorf("got %d %s", status, text)
	}
	want := []string{"root keys.create key_1", "root keys.create key_2", "root keys.rotate key_1 -> key_next", "root keys.revoke key_1"}
	if strings.Join(b.audits, "\n") != strings.Join(want, "\n") {
		t.Errorf("audit %q", b.audits)
	}
	if _, text, _ = ask(t, h, "GET", "/admin/v1/keys", "", nil); strings.Contains(text, "hr-fresh") {
		t.Error("the list shows a token")
	}
}

// TestAuditOutlivesTheCaller: the change is made, so it is noted, also when
// nobody waits for the answer any more.
func TestAuditOutlivesTheCaller(t *testing.T) {
	t.Parallel()
	b := &back{}
	ask(t, admin.New(b.options()), "POST", "/admin/v1/keys", "{}", func(q *http.Request) {
		ctx, cancel := context.WithCancel(q.Context())
		cancel()
		*q = *q.WithContext(ctx)
	})
	if len(b.audits) != 1 || b.audits[0] != "root keys.create key_1" {
		t.Errorf("audit %q", b.audits)
	}
}

func TestReadings(t *testing.T) {
	t.Parallel()
	b := &back{}
	h := admin.New(b.options())
	for _, c := range []struct{ path, want string }{
		{"/admin/v1/status", `"version":"v1"`},
		{"/admin/v1/errors", `{"classes":[{"class":"overloaded","status":529`},
		{"/admin/v1/providers", `{"providers":[]}`},
		{"/admin/v1/openapi.json", `"openapi"`},
		{"/admin/v1/requests/req_1", `{"request":{"id":"req_1"`},
		{"/admin/v1/usage?by=day&since=24h", `"by":"day"`},
		{"/admin/v1/requests?after=7&errors=true&limit=5", `{"requests":[{"id":"req_1"`},
	} {
		if status, text, _ := ask(t, h, "GET", c.path, "", nil); status != 200 || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s", c.path, status, text)
		}
	}
	if ago := time.Since(b.since); b.by != "day" || ago < 24*time.Hour || ago > 24*time.Hour+time.Minute {
		t.Errorf("usage by %s since %s", b.by, b.since)
	}
	if b.filter != (admin.RequestFilter{After: 7, Errors: true, Limit: 5}) {
		t.Errorf("filter %+v", b.filter)
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	h := admin.New((&back{}).options())
	for _, c := range []struct{ query, want string }{
		{"", "a/dear a/unknown b/cheap"},
		{"?sort=price", "b/cheap a/dear a/unknown"},
		{"?sort=window", "b/cheap a/dear a/unknown"},
		{"?needs=tools,vision", "a/dear"},
		{"?provider=b", "b/cheap"},
		{"?provider=c", ""},
	} {
		_, text, _ := ask(t, h, "GET", "/admin/v1/models"+c.query, "", nil)
		var list admin.ModelList
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, m := range list.Models {
			ids = append(ids, m.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.query, got, c.want)
		}
	}
	b := &back{}
	h = admin.New(b.options())
	if status, text, _ := ask(t, h, "POST", "/admin/v1/models/refresh", `{"a":1}`, nil); status != 200 || string(b.file) != `{"a":1}` {
		t.Errorf("%d %s, file %q", status, text, b.file)
	}
	if _, _, _ = ask(t, h, "POST", "/admin/v1/models/refresh", "", nil); b.file != nil {
		t.Errorf("file %q", b.file)
	}
}

// TestInside: causes of our own failures are for the log.
func TestInside(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b := &back{down: errors.New("disk is on fire at /secret/place")}
	o := b.options()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	status, text, _ := ask(t, admin.New(o), "GET", "/admin/v1/keys", "", nil)
	if status != 500 || strings.Contains(text, "fire") || !strings.Contains(log.String(), "fire") {
		t.Errorf("%d %s, log %s", status, text, log.String())
	}
	b.down = fmt.Errorf("read keys: %w", llm.Errorf(llm.Unavailable, "the store is down"))
	if status, text, _ = ask(t, admin.New(o), "GET", "/admin/v1/keys", "", nil); status != 503 || !strings.Contains(text, "the store is down") {
		t.Errorf("%d %s", status, text)
	}
}

func TestTrusted(t *testing.T) {
	t.Parallel()
	b := &back{}
	o := b.options()
	o.Door, o.Trusted = nil, "local"
	status, _, _ := ask(t, admin.New(o), "POST", "/admin/v1/keys", "{}", func(q *http.Request) { q.Header.Del("Authorization"); q.Host = "headrace" })
	if status != 201 || b.audits[0] != "local keys.create key_1" {
		t.Errorf("%d, audit %q", status, b.audits)
	}
	defer func() {
		if recover() == nil {
			t.Error("an open handler was made")
		}
	}()
	o.Trusted = ""
	admin.New(o)
}
