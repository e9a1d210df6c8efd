package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"headrace/internal/admin"
	"headrace/internal/app"
	"headrace/internal/config"
	"headrace/internal/llm"
)

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){
		"headrace": func() {
			os.Exit(run(context.Background(), os.Args[1:], &fakeApp{}, os.Stdin, os.Stdout, os.Stderr, os.Getenv))
		},
		// gateway serves the fake's admin API until it is stopped and writes
		// its address to a file.
		"gateway": func() {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				panic(err)
			}
			h, _, err := (&fakeApp{door: os.Args[2]}).Admin(context.Background(), &config.Config{Data: os.Getenv("HEADRACE_DATA")}, config.Env{})
			if err != nil {
				panic(err)
			}
			if err := os.WriteFile(os.Args[1], []byte("http://"+l.Addr().String()), 0o600); err != nil {
				panic(err)
			}
			panic(http.Serve(l, h))
		},
	})
}

// leakless are tests that fail when they leave a goroutine behind.
type leakless struct{ testscript.TestingM }

func (l leakless) Run() int {
	code := l.TestingM.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			// Under -race every process sleeps a second at its end by default.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			e.Setenv("HEADRACE_DATA", filepath.Join(e.WorkDir, "data"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			// url NAME FILE waits for the gateway's address and sets a variable.
			"url": func(ts *testscript.TestScript, _ bool, args []string) {
				for range 500 {
					if text, err := os.ReadFile(ts.MkAbs(args[1])); err == nil && len(text) > 0 {
						ts.Setenv(args[0], string(text))
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
				ts.Fatalf("the gateway did not write %s", args[1])
			},
			// oneline checks that standard error was one line.
			"oneline": func(ts *testscript.TestScript, _ bool, _ []string) {
				if text := ts.ReadFile("stderr"); strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
					ts.Fatalf("standard error is not one line: %q", text)
				}
			},
		},
	})
}

// fakeApp keeps keys in a file of the data directory, so that a script sees
// over several runs what a real store would keep.
type fakeApp struct {
	door   string // the admin token; empty for in-process use
	mu     sync.Mutex
	rows   []admin.Request
	opened bool
	closed bool
	served app.Options
	broken error
	probes []app.Probe
}

func (f *fakeApp) Serve(ctx context.Context, o app.Options) error {
	f.served = o
	info := app.Info{Address: o.Config.Listen, Data: o.Config.Data, Providers: f.Providers(o.Config, o.Env)}
	marker := filepath.Join(o.Config.Data, "started")
	if _, err := os.Stat(marker); err != nil {
		info.Key, info.AdminToken = "hr-fresh-key", "hra-fresh-token"
		if err := os.MkdirAll(o.Config.Data, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(marker, nil, 0o600); err != nil {
			return err
		}
	}
	return o.Ready(info)
}

func (f *fakeApp) Admin(_ context.Context, c *config.Config, _ config.Env) (http.Handler, func() error, error) {
	if f.broken != nil {
		return nil, nil, f.broken
	}
	f.opened = true
	_, forged := os.Stat(filepath.Join(c.Data, "forged"))
	o := admin.Options{
		Trusted: "cli",
		Keys:    fakeKeys{filepath.Join(c.Data, "keys.json")}, Usage: fakeUsage{}, Requests: f, Catalog: fakeCatalog{}, Audit: fakeAudit{}, AuditLog: fakeRows{broken: forged == nil},
		Status: func(context.Context) admin.Status { return admin.Status{} },
		Errors: func(route string) ([]admin.ErrorClass, error) { return f.Errors(c, route) },
		Log:    slog.New(slog.DiscardHandler),
	}
	if f.door != "" {
		o.Trusted, o.Loopback = "", true
		o.Door = admin.DoorFunc(func(t string, _ time.Time) (string, error) {
			if t != f.door {
				return "", llm.Errorf(llm.Unauthenticated, "this is no admin token")
			}
			return "root", nil
		})
	}
	return admin.New(o), func() error { f.closed = true; return nil }, nil
}

func (f *fakeApp) Check(c *config.Config, _ config.Env) error {
	for name, r := range c.Routes {
		for i, t := range r.Targets {
			if strings.HasPrefix(t, "nobody/") {
				return config.Errors{c.ErrorAt(fmt.Sprintf("routes.%s.%d", name, i), "there is no provider %q", "nobody")}
			}
		}
	}
	return nil
}

func (f *fakeApp) Providers(c *config.Config, env config.Env) []admin.Provider {
	list := []admin.Provider{{ID: "rehearsal", State: "ready", Source: "built in"}}
	l := env.Provider("openai", []string{"OPENAI_API_KEY"})
	switch {
	case l.Key != "":
		list = append(list, admin.Provider{ID: "openai", State: "ready", Source: "OPENAI_API_KEY", BaseURL: "https://api.openai.com/v1"})
	case l.Advice != "":
		list = append(list, admin.Provider{ID: "openai", State: "skipped", Advice: l.Advice})
	}
	return list
}

func (*fakeApp) Workload(text []byte, output int64) ([]admin.WorkItem, error) {
	return app.Program{}.Workload(text, output)
}

func (f *fakeApp) Errors(_ *config.Config, route string) ([]admin.ErrorClass, error) {
	if route == "nobody" {
		return nil, llm.Errorf(llm.NotFound, "there is no route %q", route)
	}
	if f.door != "" && route == "there" { // what only the gateway that runs knows
		return []admin.ErrorClass{{Class: llm.Timeout, Status: 504, Means: "there", Does: "stops"}}, nil
	}
	return []admin.ErrorClass{{Class: llm.Overloaded, Status: 529, Means: "the provider has no room", Does: "waits, then moves on", Repeat: 1, Next: true}}, nil
}

// Sums is not asked by a command.
func (fakeUsage) Sums(context.Context, admin.UsageQuery) ([]admin.UsageRow, error) { return nil, nil }

func (f *fakeApp) Requests(_ context.Context, q admin.RequestFilter) (admin.RequestList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rows := f.rows
	if rows == nil {
		rows = someRequests()
	}
	var found []admin.Request
	for _, r := range rows {
		if (q.After == 0 || r.Seq > q.After && r.Seq > 0) && (!q.Errors || r.Class != "") && !r.Start.Before(q.Since) {
			found = append(found, r)
		}
	}
	if q.After == 0 {
		slices.Reverse(found)
	}
	return admin.RequestList{Requests: found[:min(len(found), q.Limit)]}, nil
}

func (f *fakeApp) Request(ctx context.Context, id string) (admin.Request, error) {
	for _, r := range someRequests() {
		if r.ID == id {
			return r, nil
		}
	}
	return admin.Request{}, llm.Errorf(llm.NotFound, "there is no request %q", id)
}

func someRequests() []admin.Request {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	return []admin.Request{
		{ID: "req_1", Seq: 1, Start: at, KeyName: "ci", Asked: "smart", Provider: "openai", Model: "gpt-5.5", Status: 200, FirstByte: 120, Total: 2400,
			Usage: admin.Tokens{Input: 1000, CacheRead: 234, Output: 56}, Cost: admin.Cost{Nanodollars: 1_234_000, Priced: true},
			Warnings: []string{"dropped=seed"},
			Attempts: []admin.Attempt{{N: 1, Provider: "anthropic", Model: "claude-opus-5-5", Why: "first", Status: 529, Class: llm.Overloaded, Message: "Overloaded\x1b[31m\nforged line"}, {N: 2, Provider: "openai", Model: "gpt-5.5", Why: "next", Status: 200, Cost: admin.Cost{Nanodollars: 1_234_000, Priced: true}}}},
		{ID: "req_2", Seq: 2, Start: at.Add(time.Second), Key: "key_1", Asked: "nope\x1b[2J\nforged", Status: 404, Class: llm.ModelNotFound, Total: 3},
	}
}

type fakeKeys struct{ file string }

func (k fakeKeys) Keys(context.Context) ([]admin.Key, error) {
	text, err := os.ReadFile(k.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []admin.Key
	return list, json.Unmarshal(text, &list)
}

func (k fakeKeys) save(list []admin.Key) error {
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(k.file, text, 0o600)
}

func (k fakeKeys) CreateKey(ctx context.Context, s admin.KeySpec) (llm.Secret, admin.Key, error) {
	list, err := k.Keys(ctx)
	if err != nil {
		return "", admin.Key{}, err
	}
	n := len(list) + 1
	made := admin.Key{ID: fmt.Sprintf("key_%d", n), Name: s.Name, Team: s.Team, Admin: s.Admin, Prefix: "hr-abcd", State: "active",
		Created: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Expires: s.Expires, Models: s.Models, Limits: s.Limits}
	return llm.Secret(fmt.Sprintf("hr-token-%d", n)), made, k.save(append(list, made))
}

// ChangeKey is not asked by a command.
func (k fakeKeys) ChangeKey(context.Context, string, admin.KeySpec) (admin.Key, error) {
	return admin.Key{}, nil
}

func (k fakeKeys) RevokeKey(ctx context.Context, id string) (admin.Key, error) {
	list, err := k.Keys(ctx)
	if err != nil {
		return admin.Key{}, err
	}
	for i := range list {
		if list[i].ID == id {
			list[i].State = "revoked"
			return list[i], k.save(list)
		}
	}
	return admin.Key{}, llm.Errorf(llm.NotFound, "there is no key %q", id)
}

func (k fakeKeys) RotateKey(ctx context.Context, id string, _ time.Duration) (llm.Secret, admin.Key, error) {
	if _, err := k.RevokeKey(ctx, id); err != nil {
		return "", admin.Key{}, err
	}
	return k.CreateKey(ctx, admin.KeySpec{Name: "rotated"})
}

type fakeUsage struct{}

func (fakeUsage) UsageBy(_ context.Context, by string, _, _ time.Time) ([]admin.UsageRow, error) {
	return []admin.UsageRow{
		{Name: "openai/gpt-5.5", Requests: 1200, Failed: 3, Input: 1234567, Output: 89, Cost: 1_500_000_000, Unpriced: 0},
		{Name: "house/own", Requests: 2, Input: 10, Output: 1, Unpriced: 2},
	}, nil
}

type fakeCatalog struct{}

func (fakeCatalog) Models(context.Context, bool) ([]admin.Model, error) {
	in, out := 1.25, 10.0
	return []admin.Model{
		{ID: "openai/gpt-5.5", Provider: "openai", Window: 400_000, MaxOutput: 128_000, Features: []string{"tools", "vision"}, Price: &admin.Price{Input: &in, Output: &out}, State: "active"},
		{ID: "rehearsal/quick", Provider: "rehearsal", Window: 1_000_000, Features: []string{"tools"}},
	}, nil
}

func (fakeCatalog) Providers(context.Context) ([]admin.Provider, error) { return nil, nil }

func (fakeCatalog) Refresh(_ context.Context, file []byte) (admin.Refreshed, error) {
	if file == nil {
		return admin.Refreshed{Notes: []string{"openai did not answer"}}, nil
	}
	if !bytes.HasPrefix(file, []byte("{")) {
		return admin.Refreshed{}, llm.Errorf(llm.InvalidRequest, "this is no catalogue")
	}
	return admin.Refreshed{Added: 2}, nil
}

type fakeAudit struct{}

func (fakeAudit) Audit(context.Context, string, string, string) {}

// TestFollow: logs -f prints what comes later, once, and ends well when it is
// stopped.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeApp{rows: someRequests()}
		f.rows[0].Seq = 0 // still in memory
		ctx, cancel := context.WithCancel(t.Context())
		var out, errOut bytes.Buffer
		done := make(chan int)
		go func() {
			done <- run(ctx, []string{"logs", "-f"}, f, nil, &out, &errOut, func(n string) string {
				return map[string]string{"HEADRACE_DATA": "/nowhere"}[n]
			})
		}()
		time.Sleep(3 * pollEvery)
		f.mu.Lock()
		f.rows[0].Seq = 4 // began first, was written last
		f.rows = append(f.rows, admin.Request{ID: "req_3", Seq: 3, Asked: "later", Status: 200, Start: time.Now()})
		f.mu.Unlock()
		time.Sleep(3 * pollEvery)
		cancel()
		if code := <-done; code != ExitOK {
			t.Errorf("exit code %d, %s", code, errOut.String())
		}
		for _, id := range []string{"req_1", "req_2", "req_3"} {
			if n := strings.Count(out.String(), id+" "); n != 1 {
				t.Errorf("%s stands %d times in\n%s", id, n, out.String())
			}
		}
		if strings.Index(out.String(), "req_1") > strings.Index(out.String(), "req_2") {
			t.Error("a log reads downwards")
		}
		if !f.closed {
			t.Error("the store was left open")
		}
	})
}

func TestWelcome(t *testing.T) {
	t.Parallel()
	info := app.Info{Address: "127.0.0.1:8080", Took: 21 * time.Millisecond, Key: "hr-abc123", AdminToken: "hra-def456", Data: "/d",
		Providers: []admin.Provider{{ID: "rehearsal", State: "ready", Source: "built in"}, {ID: "openai", State: "skipped", Advice: "give serve\nthe other key"}},
		Notes:     []string{"at most 1 s of rows were lost"}}
	var b bytes.Buffer
	if err := Welcome(&b, "v1", info); err != nil {
		t.Fatal(err)
	}
	want := `
Headrace v1 is ready on http://127.0.0.1:8080 after 21 ms
The dashboard is at http://127.0.0.1:8080/ui/
State is in /d
Note: at most 1 s of rows were lost

Key          hr-abc123   (shown this once)
Admin token  hra-def456   (shown this once)

Providers
  rehearsal  built in
  openai     skipped: give serve the other key

Try it
  curl -sS http://127.0.0.1:8080/v1/chat/completions -H 'Authorization: Bearer hr-abc123' -H 'Content-Type: application/json' -d '{"model":"rehearsal/quick","messages":[{"role":"user","content":"Hello"}]}'

Point your tools here
  Claude Code    export ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_AUTH_TOKEN=hr-abc123
  OpenAI SDK     export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=hr-abc123
  Anthropic SDK  export ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_API_KEY=hr-abc123
  Gemini SDK     export GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:8080 GEMINI_API_KEY=hr-abc123

`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	b.Reset()
	info.Key, info.AdminToken, info.Address, info.Claude = "", "", "[::]:8080", "auto"
	if err := Welcome(&b, "v1", info); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"http://127.0.0.1:8080/v1/chat", `-H "Authorization: Bearer $HEADRACE_KEY"`, `ANTHROPIC_AUTH_TOKEN="$HEADRACE_KEY" ANTHROPIC_MODEL=auto`, "headrace keys create", "every address"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("no %q in\n%s", part, b.String())
		}
	}
	if strings.Contains(b.String(), "hr-") || strings.Contains(b.String(), "shown this once") {
		t.Errorf("a second start prints a secret:\n%s", b.String())
	}
}

// TestReach: what can go wrong on the way to a gateway.
func TestReach(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	html := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, "<html>bad gateway</html>")
	})}
	go html.Serve(l)
	defer html.Close()
	away := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Host == "stolen" {
			t.Error("the token went along with a redirect")
		}
		http.Redirect(w, q, "http://stolen/", http.StatusFound)
	})}
	m, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go away.Serve(m)
	defer away.Close()
	token := strings.Repeat("t", 32)
	for _, c := range []struct {
		name, url, token string
		code             int
		want             string
	}{
		{"nobody there", "http://127.0.0.1:1", token, ExitUnreached, "cannot reach the gateway at http://127.0.0.1:1"},
		{"no admin token", "http://127.0.0.1:1", "", ExitUsage, "HEADRACE_ADMIN_TOKEN is not set"},
		{"no scheme", "127.0.0.1:8080", token, ExitUsage, "http:// or https://"},
		{"HTML", "http://" + l.Addr().String(), token, ExitUnreached, "does not look like a Headrace"},
		{"redirect", "http://" + m.Addr().String(), token, ExitUnreached, "302"},
	} {
		var out, errOut bytes.Buffer
		code := run(t.Context(), []string{"keys", "list"}, &fakeApp{}, nil, &out, &errOut, func(n string) string {
			return map[string]string{"HEADRACE_URL": c.url, "HEADRACE_ADMIN_TOKEN": c.token}[n]
		})
		if code != c.code || !strings.Contains(errOut.String(), c.want) || strings.Count(errOut.String(), "\n") != 1 || strings.Contains(errOut.String(), token) {
			t.Errorf("%s: code %d, %q; want %d, %q", c.name, code, errOut.String(), c.code, c.want)
		}
	}
	var errOut bytes.Buffer
	if code := run(t.Context(), []string{"keys", "list", "--data", "/d"}, &fakeApp{broken: errors.New("locked")}, nil, io.Discard, &errOut, func(string) string { return "" }); code != ExitFailed || errOut.String() != "headrace: open /d: locked\n" {
		t.Errorf("code %d, %q", code, errOut.String())
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for n, want := range map[llm.Nanodollars]string{0: "$0.0000", 1: "$0.000000001", 1_500_000_000: "$1.5000", -250_000_000: "-$0.2500", 12_345_678_900: "$12.3456789"} {
		if got := dollars(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -999: "-999", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	for in, want := range map[string]string{"a-b_c": "a-b_c", "": "''", "it's": `'it'\''s'`, "a b": "'a b'", "$(x)": "'$(x)'"} {
		if got := quote(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// run is execute for those who send no second signal.
func run(ctx context.Context, args []string, program App, in io.Reader, out, errOut io.Writer, getenv func(string) string) (code int) {
	return execute(ctx, nil, args, program, in, out, errOut, getenv)
}

func (f *fakeApp) Probe(context.Context, *config.Config, config.Env) ([]app.Probe, error) {
	return f.probes, nil
}

// TestDoctorProbes: what providers said is told with advice, and a clock that
// is off is wrong only when no provider agrees with it.
func TestDoctorProbes(t *testing.T) {
	t.Parallel()
	ok := app.Probe{Provider: "openai", BaseURL: "https://api.openai.com/v1", Models: 3, Dated: true}
	for name, c := range map[string]struct {
		probes []app.Probe
		code   int
		want   string
	}{
		"well":         {[]app.Probe{ok}, ExitOK, "lists 3 models"},
		"refused":      {[]app.Probe{ok, {Provider: "acme", Credential: "second", BaseURL: "https://acme.example", Err: llm.Errorf(llm.Auth, "no such key")}}, ExitFailed, "take a fresh one"},
		"not reached":  {[]app.Probe{{Provider: "acme", BaseURL: "https://acme.example", Err: llm.Errorf(llm.ServerError, "no route")}}, ExitFailed, "look for acme.example from this machine"},
		"their clock":  {[]app.Probe{ok, {Provider: "acme", Dated: true, Ahead: time.Hour}}, ExitOK, "agrees with openai"},
		"our clock":    {[]app.Probe{{Provider: "acme", Dated: true, Ahead: -time.Hour}}, ExitFailed, "off by 1h0m0s"},
		"a little off": {[]app.Probe{{Provider: "acme", Dated: true, Ahead: time.Minute}}, ExitOK, "set it by NTP"},
	} {
		var out, errOut bytes.Buffer
		env := map[string]string{"HOME": t.TempDir()}
		code := execute(t.Context(), nil, []string{"doctor", "--listen", "127.0.0.1:0"}, &fakeApp{probes: c.probes}, strings.NewReader(""), &out, &errOut, func(n string) string { return env[n] })
		if code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit code %d, %s%s", name, code, out.String(), errOut.String())
		}
	}
}
