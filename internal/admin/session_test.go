package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/access"
	"headrace/internal/admin"
	"headrace/internal/llm"
)

// staffShelf keeps members and sessions in memory.
type staffShelf struct {
	mu       sync.Mutex // guards all below
	members  []access.Member
	sessions map[[32]byte]access.Session
}

func (s *staffShelf) Members(context.Context) ([]access.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.members), nil
}

func (s *staffShelf) PutMember(_ context.Context, m access.Member) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.members {
		if s.members[i].ID == m.ID {
			s.members[i] = m
			return nil
		}
	}
	s.members = append(s.members, m)
	return nil
}

func (s *staffShelf) PutSession(_ context.Context, one access.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions == nil {
		s.sessions = map[[32]byte]access.Session{}
	}
	s.sessions[one.Hash] = one
	return nil
}

func (s *staffShelf) Session(_ context.Context, hash [32]byte) (access.Session, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.sessions[hash]
	return one, ok, nil
}

func (s *staffShelf) DropSession(_ context.Context, hash [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, hash)
	return nil
}

func (s *staffShelf) SweepSessions(_ context.Context, over, seen time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, one := range s.sessions {
		if one.Ends.Before(over) || one.Seen.Before(seen) {
			delete(s.sessions, h)
		}
	}
	return nil
}

// rootKey is the only admin key.
type rootKey struct{}

func (rootKey) CheckAdmin(t string, _ time.Time) (access.Principal, error) {
	if t != token {
		return access.Principal{}, llm.Errorf(llm.Unauthenticated, "this is no admin token")
	}
	return access.Principal{KeyID: "root", Admin: true}, nil
}

func (rootKey) AdminPrincipal(id string, _ time.Time) (access.Principal, error) {
	if id != "root" {
		return access.Principal{}, llm.Errorf(llm.Unauthenticated, "key %s was revoked", id)
	}
	return access.Principal{KeyID: "root", Admin: true}, nil
}

// withStaff is an API with members.
func withStaff(b *back) (http.Handler, access.Staff) {
	staff := access.Staff{Store: &staffShelf{}, Keys: rootKey{}}
	o := b.options()
	o.Door, o.Staff = nil, staff
	return admin.New(o), staff
}

// as sends a request with somebody's token; an empty one sends none.
func as(token string) func(*http.Request) {
	return func(q *http.Request) {
		q.Header.Del("Authorization")
		if token != "" {
			q.Header.Set("Authorization", "Bearer "+token)
		}
	}
}

// hire makes a member of a role and gives the token.
func hire(t *testing.T, s access.Staff, role access.Role) string {
	t.Helper()
	token, _, err := s.Hire(t.Context(), access.Member{Name: "the " + string(role), Role: role}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// TestRights asks every operation of the description as every role: whoever may
// not gets 403 and a line in the audit, and nobody else does.
func TestRights(t *testing.T) {
	t.Parallel()
	// What must hold whatever the table says.
	never := map[access.Role][]string{
		access.RoleAdmin:   {"createMember", "changeMember", "endMember", "renewMember"},
		access.RoleViewer:  {"createKey", "revokeKey", "rotateKey", "setBudget", "dropBudget", "settleBudget", "refreshModels", "listMembers", "createMember"},
		access.RoleBilling: {"listRequests", "request", "createKey", "revokeKey", "rotateKey", "listProviders", "refreshModels", "listMembers", "createMember"},
	}
	b := &back{keys: []admin.Key{{ID: "key_1"}}}
	h, staff := withStaff(b)
	_, text, _ := ask(t, h, "GET", "/admin/v1/rights", "", nil)
	var table admin.RightList
	if err := json.Unmarshal([]byte(text), &table); err != nil {
		t.Fatal(err)
	}
	may := map[string][]string{}
	for _, r := range table.Rights {
		may[r.Do] = r.May
		if !slices.Contains(r.May, "owner") {
			t.Errorf("an owner may not do %s", r.Do)
		}
	}
	_, text, _ = ask(t, h, "GET", "/admin/v1/openapi.json", "", nil)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Right       string `json:"x-headrace-right"`
			Security    []any  `json:"security"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, role := range access.Roles() {
		mine := hire(t, staff, role)
		for path, ops := range doc.Paths {
			for method, op := range ops {
				if op.OperationID == "events" {
					continue // it does not end
				}
				used[op.Right] = true
				if op.Right == "" {
					if op.Security == nil {
						t.Errorf("%s needs no right and is not open", op.OperationID)
					}
					continue
				}
				method, path := strings.ToUpper(method), strings.NewReplacer("{id...}", "x", "{id}", "x", "{name}", "x").Replace(path)
				before := len(b.audits)
				status, text, _ := ask(t, h, method, path, "", as(mine))
				want := slices.Contains(may[op.Right], string(role))
				if (status != http.StatusForbidden) != want {
					t.Errorf("%s as %s: %d %s", op.OperationID, role, status, text)
				}
				if want && slices.Contains(never[role], op.OperationID) {
					t.Errorf("%s may %s", role, op.OperationID)
				}
				if !want && (len(b.audits) != before+1 || !strings.HasSuffix(b.audits[before], " refused "+op.OperationID)) {
					t.Errorf("%s as %s was refused, and the audit says %q", op.OperationID, role, b.audits[before:])
				}
			}
		}
	}
	for do := range may {
		if !used[do] {
			t.Errorf("no operation needs %s", do)
		}
	}
}

// TestAdminTokens: a token of the admin API is an owner's, so only an owner makes,
// replaces or ends one.
func TestAdminTokens(t *testing.T) {
	t.Parallel()
	b := &back{keys: []admin.Key{{ID: "key_root", Admin: true}, {ID: "key_data"}}}
	h, staff := withStaff(b)
	mine := hire(t, staff, access.RoleAdmin)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/admin/v1/keys", `{"admin":true}`, 403},
		{"POST", "/admin/v1/keys/key_root/rotate", "", 403},
		{"DELETE", "/admin/v1/keys/key_root", "", 403},
		{"POST", "/admin/v1/keys", `{}`, 201},
		{"POST", "/admin/v1/keys/key_data/rotate", "", 201},
		{"DELETE", "/admin/v1/keys/key_data", "", 200},
	} {
		if status, text, _ := ask(t, h, c.method, c.path, c.body, as(mine)); status != c.status {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, text)
		}
	}
}

// signIn gives the cookie that a token is worth.
func signIn(t *testing.T, h http.Handler, token string, edit func(*http.Request)) (int, *http.Cookie) {
	t.Helper()
	body, err := json.Marshal(admin.SignIn{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	status, _, header := ask(t, h, "POST", "/admin/v1/session", string(body), func(q *http.Request) {
		q.Header.Del("Authorization")
		if edit != nil {
			edit(q)
		}
	})
	all := (&http.Response{Header: header}).Cookies()
	if len(all) != 1 {
		return status, nil
	}
	return status, all[0]
}

func with(c *http.Cookie) func(*http.Request) {
	return func(q *http.Request) {
		q.Header.Del("Authorization")
		q.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &back{}
		h, staff := withStaff(b)
		status, c := signIn(t, h, token, nil)
		if status != 201 || c == nil || c.Name != "headrace" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || len(c.Value) != 64 {
			t.Fatalf("%d %+v", status, c)
		}
		if _, safe := signIn(t, h, token, func(q *http.Request) { q.Header.Set("X-Forwarded-Proto", "https") }); safe == nil || safe.Name != "__Host-headrace" || !safe.Secure {
			t.Errorf("over TLS: %+v", safe)
		}
		if status, text, _ := ask(t, h, "GET", "/admin/v1/session", "", with(c)); status != 200 || !strings.Contains(text, `"role":"owner"`) || !strings.Contains(text, `"members.write"`) {
			t.Errorf("%d %s", status, text)
		}
		// A page of another site has the browser send the cookie only if SameSite
		// were off; the origin is checked all the same.
		if status, _, _ := ask(t, h, "POST", "/admin/v1/keys", "{}", func(q *http.Request) { with(c)(q); q.Header.Set("Sec-Fetch-Site", "cross-site") }); status != 403 {
			t.Errorf("a write from another site: %d", status)
		}
		if status, _, _ := ask(t, h, "POST", "/admin/v1/keys", "{}", func(q *http.Request) { with(c)(q); q.Header.Set("Sec-Fetch-Site", "same-origin") }); status != 201 {
			t.Errorf("a write from our own page: %d", status)
		}
		// It lasts while it is used, and not for ever.
		for range 23 {
			time.Sleep(30 * time.Minute)
			if status, text, _ := ask(t, h, "GET", "/admin/v1/session", "", with(c)); status != 200 {
				t.Fatalf("after half an hour: %d %s", status, text)
			}
		}
		time.Sleep(31 * time.Minute)
		if status, _, _ := ask(t, h, "GET", "/admin/v1/session", "", with(c)); status != 401 {
			t.Errorf("after twelve hours: %d", status)
		}
		_, c = signIn(t, h, token, nil)
		time.Sleep(32 * time.Minute)
		if status, _, _ := ask(t, h, "GET", "/admin/v1/session", "", with(c)); status != 401 {
			t.Errorf("after an idle half hour: %d", status)
		}
		_, c = signIn(t, h, token, nil)
		if status, _, header := ask(t, h, "DELETE", "/admin/v1/session", "", with(c)); status != 200 || !strings.Contains(header.Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("sign out: %d %s", status, header.Get("Set-Cookie"))
		}
		if status, _, _ := ask(t, h, "GET", "/admin/v1/session", "", with(c)); status != 401 {
			t.Errorf("after signing out: %d", status)
		}
		// A member who leaves is out at once, by token and by cookie.
		mine := hire(t, staff, access.RoleViewer)
		_, c = signIn(t, h, mine, nil)
		if status, text, _ := ask(t, h, "GET", "/admin/v1/session", "", with(c)); status != 200 || !strings.Contains(text, `"role":"viewer"`) {
			t.Errorf("%d %s", status, text)
		}
		all, err := staff.Everyone(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status, text, _ := ask(t, h, "DELETE", "/admin/v1/members/"+all[0].ID, "", nil); status != 200 || !strings.Contains(text, `"ended"`) {
			t.Errorf("%d %s", status, text)
		}
		for _, edit := range []func(*http.Request){with(c), as(mine)} {
			if status, _, _ := ask(t, h, "GET", "/admin/v1/session", "", edit); status != 401 {
				t.Errorf("somebody who has left: %d", status)
			}
		}
		if !slices.Contains(b.audits, "root session.begin root") {
			t.Errorf("audit %q", b.audits)
		}
	})
}

// TestGuesses: wrong tokens are slowed down, by address; the right one is not.
func TestGuesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := withStaff(&back{})
		from := func(a string) func(*http.Request) { return func(q *http.Request) { q.RemoteAddr = a } }
		for i := range 10 {
			if status, _ := signIn(t, h, "wrong-token-wrong-token-wrong-token", from("10.0.0.1:1")); status != 401 {
				t.Fatalf("guess %d: %d", i, status)
			}
		}
		if status, _ := signIn(t, h, token, from("10.0.0.1:2")); status != 429 {
			t.Errorf("after ten wrong ones: %d", status)
		}
		if status, _ := signIn(t, h, token, from("10.0.0.2:1")); status != 201 {
			t.Errorf("from elsewhere: %d", status)
		}
		time.Sleep(10 * time.Second)
		if status, _ := signIn(t, h, token, from("10.0.0.1:3")); status != 201 {
			t.Errorf("later: %d", status)
		}
	})
}

func TestMembers(t *testing.T) {
	t.Parallel()
	h, _ := withStaff(&back{})
	for body, want := range map[string]string{
		`{"role":"viewer"}`:                             "needs a name",
		`{"name":"x","role":"king"}`:                    "role is",
		`{"name":"x","role":"viewer","email":"no one"}`: "no e-mail",
		`{"name":"a\u0007","role":"viewer"}`:            "control characters",
	} {
		if status, text, _ := ask(t, h, "POST", "/admin/v1/members", body, nil); status != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	status, text, _ := ask(t, h, "POST", "/admin/v1/members", `{"name":"Ada","email":"ada@example.com","role":"owner"}`, nil)
	var made admin.MemberIssued
	if err := json.Unmarshal([]byte(text), &made); err != nil || status != 201 || !strings.HasPrefix(made.Token, "hra-") {
		t.Fatalf("%d %s", status, text)
	}
	path := "/admin/v1/members/" + made.Member.ID
	_, text, header := ask(t, h, "GET", path, "", nil)
	if strings.Contains(text, made.Token) {
		t.Error("a member's token is shown")
	}
	tag := header.Get("ETag")
	if status, text, _ := ask(t, h, "PUT", path, `{"name":"Ada","role":"admin"}`, func(q *http.Request) { q.Header.Set("If-Match", `"other"`) }); status != 412 {
		t.Errorf("a stale write: %d %s", status, text)
	}
	status, text, header = ask(t, h, "PUT", path, `{"name":"Ada L.","role":"admin"}`, func(q *http.Request) { q.Header.Set("If-Match", tag) })
	if status != 200 || !strings.Contains(text, `"role":"admin"`) || header.Get("ETag") == tag {
		t.Errorf("%d %s %s", status, text, header.Get("ETag"))
	}
	if status, _, _ := ask(t, h, "DELETE", path, "", func(q *http.Request) { q.Header.Set("If-Match", tag) }); status != 412 {
		t.Errorf("a stale end: %d", status)
	}
	status, text, _ = ask(t, h, "POST", path+"/token", "", nil)
	var again admin.MemberIssued
	if err := json.Unmarshal([]byte(text), &again); err != nil || status != 201 || again.Token == made.Token {
		t.Errorf("%d %s", status, text)
	}
	if status, _, _ := ask(t, h, "GET", "/admin/v1/session", "", as(made.Token)); status != 401 {
		t.Errorf("the old token: %d", status)
	}
	// Nobody changes their own role or ends themselves.
	_, text, _ = ask(t, h, "POST", "/admin/v1/members", `{"name":"Boss","role":"owner"}`, nil)
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, body string }{{"PUT", `{"name":"Boss","role":"viewer"}`}, {"DELETE", ""}} {
		if status, _, _ := ask(t, h, c.method, "/admin/v1/members/"+made.Member.ID, c.body, as(made.Token)); status != 409 {
			t.Errorf("%s of oneself: %d", c.method, status)
		}
	}
}

// TestSessionDown: while the store is down nobody is told that they are signed
// out.
func TestSessionDown(t *testing.T) {
	t.Parallel()
	staff := access.Staff{Store: broken{&staffShelf{}}, Keys: rootKey{}}
	_, _, err := staff.Resume(t.Context(), strings.Repeat("a", 64), time.Now())
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != llm.Unavailable {
		t.Errorf("a cookie: %v", err)
	}
	_, err = staff.CheckAdmin(t.Context(), strings.Repeat("a", 40), time.Now())
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != llm.Unavailable {
		t.Errorf("a token: %v", err)
	}
}

// broken is a store that is down.
type broken struct{ *staffShelf }

func (broken) Members(context.Context) ([]access.Member, error) { return nil, errors.New("down") }

func (broken) Session(context.Context, [32]byte) (access.Session, bool, error) {
	return access.Session{}, false, errors.New("down")
}

// TestEvents: counts come each second, and rows as they are written.
func TestEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ends := make(chan struct{})
		b := &back{}
		o := b.options()
		o.Ends = ends
		o.Pulse = func() admin.Pulse { return admin.Pulse{Running: 7} }
		h := admin.New(o)
		q := httptest.NewRequest("GET", "http://127.0.0.1:8080/admin/v1/events", nil)
		q.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() { defer close(done); h.ServeHTTP(w, q) }()
		time.Sleep(2500 * time.Millisecond)
		close(ends)
		<-done
		text := w.Body.String()
		if w.Header().Get("Content-Type") != "text/event-stream" || strings.Count(text, "event: counts\n") != 3 || !strings.Contains(text, `"running":7`) || strings.Count(text, "event: request\n") == 0 {
			t.Errorf("%v %s", w.Header(), text)
		}
	})
}

// vouch is a single sign-on that vouches for Ada.
type vouch struct{}

func (vouch) Name() string { return "Acme" }

func (vouch) Begin(time.Time) (string, string, error) {
	return "https://id.example/authorize?state=s", "flow", nil
}

func (vouch) Finish(_ context.Context, state, cookie, code string, _ time.Time) (access.Identity, error) {
	if state != "s" || cookie != "flow" || code != "c" {
		return access.Identity{}, llm.Errorf(llm.Unauthenticated, "this sign-in was not begun <b>here</b>")
	}
	return access.Identity{Issuer: "https://id.example", Subject: "42", Name: "Ada", Role: access.RoleBilling}, nil
}

// TestSSO: there and back, as a browser goes.
func TestSSO(t *testing.T) {
	t.Parallel()
	b := &back{}
	o := b.options()
	staff := access.Staff{Store: &staffShelf{}, Keys: rootKey{}}
	o.Door, o.Staff, o.SSO = nil, staff, vouch{}
	h := admin.New(o)
	get := func(path string, cookies ...*http.Cookie) *http.Response {
		q := httptest.NewRequest("GET", "http://127.0.0.1:8080/admin/v1/"+path, nil)
		q.Header.Set("Sec-Fetch-Site", "cross-site") // the issuer sends it
		for _, c := range cookies {
			q.AddCookie(c)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		return w.Result()
	}
	r := get("session/oidc")
	all := r.Cookies()
	if r.StatusCode != 302 || r.Header.Get("Location") != "https://id.example/authorize?state=s" || len(all) != 1 || all[0].SameSite != http.SameSiteLaxMode || !all[0].HttpOnly {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	if r := get("session/oidc/callback?state=s&code=c"); r.StatusCode != 401 || r.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("without the cookie: %d %v", r.StatusCode, r.Header)
	}
	for range 2 { // the second time it is the same member
		r = get("session/oidc/callback?state=s&code=c", &http.Cookie{Name: all[0].Name, Value: all[0].Value})
		if r.StatusCode != 200 || r.Header.Get("Location") != "" {
			t.Fatalf("%d %v", r.StatusCode, r.Header)
		}
	}
	var session *http.Cookie
	for _, c := range r.Cookies() {
		if c.Name == "headrace" {
			session = c
		}
	}
	if session == nil || session.SameSite != http.SameSiteStrictMode {
		t.Fatalf("%v", r.Cookies())
	}
	if status, text, _ := ask(t, h, "GET", "/admin/v1/session", "", with(session)); status != 200 || !strings.Contains(text, `"name":"Ada"`) || !strings.Contains(text, `"role":"billing"`) {
		t.Errorf("%d %s", status, text)
	}
	if everyone, err := staff.Everyone(t.Context()); err != nil || len(everyone) != 1 {
		t.Errorf("%+v, %v", everyone, err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1:8080/admin/v1/session/oidc/callback?state=x&code=c", nil))
	if strings.Contains(w.Body.String(), "<b>") {
		t.Errorf("a page with markup of others: %s", w.Body)
	}
}

// TestHost: behind a proxy of a name that the operator says, and of no other.
func TestHost(t *testing.T) {
	t.Parallel()
	o := (&back{}).options()
	o.Host = "ai.example.com"
	h := admin.New(o)
	for host, status := range map[string]int{"ai.example.com": 200, "AI.example.com:443": 200, "127.0.0.1:8080": 200, "localhost": 200, "evil.example": 403, "ai.example.com.evil.example": 403} {
		if got, text, _ := ask(t, h, "GET", "/admin/v1/session", "", func(q *http.Request) { q.Host = host }); got != status {
			t.Errorf("%s: %d %s", host, got, text)
		}
	}
}
