// Package browser looks at the dashboard in Debian's Chromium: every page, every
// write, and what must hold of all of them.
//
//	test/browser/run.sh           all of it; installs the browser
//	test/browser/run.sh -update   makes the pictures of docs/images again
//	go test ./test/browser        a slice, if there is a browser
//
// HEADRACE_PICTURES names a folder for pictures of every page in every form.
package browser_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"headrace/internal/access"
	"headrace/internal/app"
	"headrace/internal/config"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/store/sqlite"
)

var update = flag.Bool("update", false, "write the pictures of docs/images")

const (
	key        = "test-key-0123456789-0123456789-abc"
	adminToken = "test-admin-0123456789-0123456789-x"
)

// whole skips what is not in the slice.
func whole(t *testing.T) {
	t.Helper()
	if !*update && os.Getenv("HEADRACE_BROWSER") == "" && os.Getenv("HEADRACE_FULL") == "" {
		chromium(t)
		t.Skip("not in the slice: test/browser/run.sh, or HEADRACE_BROWSER=1")
	}
}

// chromium finds the browser, or skips.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if at, err := exec.LookPath(name); err == nil {
			return at
		}
	}
	t.Skip("no Chromium on this machine: apt-get install chromium, or test/browser/run.sh")
	return ""
}

// house is a running gateway.
type house struct {
	t    *testing.T
	base string
	keys map[string]string // ids by name
}

// vendor is another gateway, whose rehearsal models play the vendors'.
const vendor = `
routes:
  claude-opus-5-5: [rehearsal/thinker]
  claude-sonnet-5: [rehearsal/steady]
  gpt-5.5: [rehearsal/quick]
  gpt-5.5-mini: [rehearsal/quick]
`

const own = `
providers:
  anthropic: {api_key: VENDORKEY, base_url: "BASE"}
  openai: {api_key: VENDORKEY, base_url: "BASE/v1"}
routes:
  smart: [anthropic/claude-opus-5-5, openai/gpt-5.5, rehearsal/steady]
  quick: [openai/gpt-5.5-mini, rehearsal/quick]
experiments:
  cheaper:
    on: quick
    least: 5
    arms:
      - {name: now}
      - {name: short, set: {max_tokens: 40}}
    winner: ask
`

// open starts a gateway with a past.
func open(t *testing.T) *house {
	t.Helper()
	behind := serve(t, t.TempDir(), vendor)
	data := t.TempDir()
	h := &house{t: t, keys: seed(t, data)}
	h.base = serve(t, data, strings.NewReplacer("BASE", behind, "VENDORKEY", key).Replace(own))
	return h
}

func serve(t *testing.T, data, yaml string) string {
	t.Helper()
	getenv := func(name string) string {
		return map[string]string{"HEADRACE_KEY": key, "HEADRACE_ADMIN_TOKEN": adminToken, "OLLAMA_HOST": "127.0.0.1:1"}[name]
	}
	file := data + "/headrace.yaml"
	text := []byte("listen: 127.0.0.1:0\ndata: " + data + "\n" + yaml)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse(file, text, getenv)
	if err != nil {
		t.Fatal(err)
	}
	ready, done := make(chan string, 1), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		done <- app.Program{}.Serve(ctx, app.Options{Config: cfg, Env: config.FromEnv(getenv), Version: "test",
			Load: func() (*config.Config, error) {
				text, err := os.ReadFile(file)
				if err != nil {
					return nil, err
				}
				return config.Parse(file, text, getenv)
			},
			Ready: func(i app.Info) error { ready <- i.Address; return nil }})
	}()
	var base string
	select {
	case address := <-ready:
		base = "http://" + address
	case err := <-done:
		t.Fatalf("serve: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	return base
}

// seed writes keys and thirty days of requests.
func seed(t *testing.T, data string) map[string]string {
	t.Helper()
	ctx, now := context.Background(), time.Now()
	db, err := sqlite.Open(ctx, data+"/headrace.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ids := map[string]string{}
	ring := access.Ring{Store: db}
	specs := []access.Spec{
		{Name: "claude-code", Team: "platform"},
		{Name: "support-bot", Team: "support", Models: []string{"smart", "anthropic/*"}, Limits: access.Limits{RequestsPerMinute: 600, TokensPerMinute: 400000}},
		{Name: "nightly-eval", Team: "research", Priority: "batch", Expires: now.Add(40 * 24 * time.Hour)},
		{Name: "alice", Team: "platform", Limits: access.Limits{Parallel: 4}},
	}
	for _, s := range specs {
		_, k, err := ring.Create(ctx, s, now.Add(-31*24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		ids[s.Name] = k.ID
	}
	price := func(_, model string, u llm.Usage, _ time.Time) (llm.Nanodollars, bool) {
		in, out := 5000.0, 30000.0
		switch model {
		case "claude-opus-5-5":
			in, out = 4000, 20000
		case "claude-sonnet-5":
			in, out = 2000, 10000
		case "gpt-5.5-mini":
			in, out = 300, 1200
		}
		return llm.Nanodollars(float64(u.Input)*in + float64(u.CacheRead)*in/10 + float64(u.Output)*out), true
	}
	l := ledger.New(db, ledger.Options{Price: price, Keep: 1 << 20})
	if _, err := l.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 7))
	targets := []struct{ provider, model string }{{"anthropic", "claude-opus-5-5"}, {"anthropic", "claude-sonnet-5"}, {"openai", "gpt-5.5"}, {"openai", "gpt-5.5-mini"}}
	for day := 29; day >= 0; day-- {
		n := 26 + r.IntN(16) + (29-day)/2
		if weekday := now.AddDate(0, 0, -day).Weekday(); weekday == time.Saturday || weekday == time.Sunday {
			n /= 3
		}
		for range n {
			at := now.Add(-time.Duration(day)*24*time.Hour - time.Duration(r.IntN(86400))*time.Second)
			spec := specs[min(r.IntN(6), 3)]
			target := targets[min(r.IntN(7), 3)]
			first, total := time.Duration(180+r.IntN(900))*time.Millisecond, time.Duration(1200+r.IntN(9000))*time.Millisecond
			usage := llm.Usage{Input: int64(200 + r.IntN(6000)), CacheRead: int64(r.IntN(40000)), Output: int64(80 + r.IntN(2200)), Source: llm.UsageProvider}
			asked := target.provider + "/" + target.model
			if r.IntN(3) == 0 {
				asked = "smart"
			}
			e := ledger.Entry{ID: l.NewID(at), At: at, KeyID: ids[spec.Name], KeyName: spec.Name, Team: spec.Team, Dialect: llm.Anthropic, Op: llm.OpChat,
				Asked: asked, Streamed: true, Status: 200, Committed: true, FirstByte: first, Total: total}
			one := ledger.Attempt{N: 1, Provider: target.provider, Model: target.model, Why: "first choice", Start: at, FirstByte: first, Total: total, Status: 200, Usage: usage, Finish: llm.FinishStop}
			if target.provider == "openai" {
				e.Dialect = llm.OpenAI
			}
			if asked == "smart" {
				e.Label.Route = asked
			}
			if spec.Name == "support-bot" {
				e.Label.Task, e.Label.Tags = []string{"triage", "reply", "summary"}[r.IntN(3)], ledger.MakeTags([]string{"eu"})
			}
			switch {
			case r.IntN(18) == 0: // another target answered
				bad := ledger.Attempt{N: 1, Provider: "anthropic", Model: "claude-opus-5-5", Why: "first choice", Start: at, Total: 420 * time.Millisecond, Status: 529, Class: llm.Overloaded, Message: "Overloaded"}
				one.N, one.Why, one.Start, one.Provider, one.Model = 2, "next target", at.Add(430*time.Millisecond), "openai", "gpt-5.5"
				e.Attempts = []ledger.Attempt{bad, one}
				e.FirstByte, e.Total = first+430*time.Millisecond, total+430*time.Millisecond
			case r.IntN(30) == 0 && asked != "smart":
				one.Class, one.Status, one.Message, one.Usage, one.FirstByte = llm.RateLimited, 429, "This request would exceed your rate limit", llm.Usage{}, 0
				e.Attempts, e.Status, e.Class, e.Committed, e.FirstByte = []ledger.Attempt{one}, 429, llm.RateLimited, false, 0
			default:
				e.Attempts = []ledger.Attempt{one}
			}
			l.Note(e)
		}
	}
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.End(ctx, l.RunID(), now); err != nil {
		t.Fatal(err)
	}
	return ids
}

// call asks the gateway; a status that is not wanted ends the test.
func (h *house) call(method, path, token, body string, want int, header ...string) (string, http.Header) {
	h.t.Helper()
	status, text, head := h.ask(method, path, token, body, header...)
	if status != want {
		h.t.Fatalf("%s %s: %d, want %d: %.400s", method, path, status, want, text)
	}
	return text, head
}

func (h *house) ask(method, path, token, body string, header ...string) (int, string, http.Header) {
	h.t.Helper()
	q, err := http.NewRequest(method, h.base+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", "application/json")
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		q.Header.Set(name, value)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return r.StatusCode, string(b), r.Header
}

// try asks for an answer and says what came.
func (h *house) try(token, model string) (int, string) {
	h.t.Helper()
	status, text, _ := h.ask("POST", "/v1/chat/completions", token, `{"model":`+quote(model)+`,"messages":[{"role":"user","content":"Hello"}]}`)
	return status, text
}

// chat asks for an answer as a client does.
func (h *house) chat(token, model, prompt string, want int, header ...string) (string, http.Header) {
	h.t.Helper()
	body, err := json.Marshal(map[string]any{"model": model, "messages": []any{map[string]any{"role": "user", "content": prompt}}})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.call("POST", "/v1/chat/completions", token, string(body), want, header...)
}

// stage puts something on every page: budgets, people, a job.
func (h *house) stage() {
	h.t.Helper()
	for _, body := range []string{
		`{"scope":"team","subject":"platform","window":"monthly","limit_nanodollars":20000000000,"alerts":[80,100]}`,
		`{"scope":"team","subject":"support","window":"monthly","limit_nanodollars":4000000000,"alerts":[80,100]}`,
		`{"scope":"key","subject":"` + h.keys["alice"] + `","window":"weekly","limit_nanodollars":2500000000,"alerts":[50,80,100]}`,
		`{"scope":"tag","subject":"eval","window":"total","limit_nanodollars":50000000000,"alerts":[80,100]}`,
	} {
		h.call("POST", "/admin/v1/budgets", adminToken, body, 200)
	}
	for _, body := range []string{`{"name":"Grace","email":"grace@example.com","role":"admin"}`, `{"name":"Linus","email":"linus@example.com","role":"viewer"}`, `{"name":"Katherine","email":"katherine@example.com","role":"billing"}`} {
		h.call("POST", "/admin/v1/members", adminToken, body, 201)
	}
	var lines strings.Builder
	for i := range 12 {
		model := "openai/gpt-5.5"
		if i%5 == 4 {
			model = "openai/no-such-model"
		}
		fmt.Fprintf(&lines, `{"custom_id":"case-%02d","params":{"model":%q,"max_tokens":100,"messages":[{"role":"user","content":"Hello %d"}]}},`, i, model, i)
	}
	h.call("POST", "/v1/messages/batches", key, `{"requests":[`+strings.TrimSuffix(lines.String(), ",")+`]}`, 200, "x-headrace-deadline: 2h")
}

// browser is one tab. What its console says against us, and whom it asks, is
// noted; check tells.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu sync.Mutex // guards what follows
	// errors are exceptions, violations of the policy and errors of the console.
	errors []string
	asked  []string
}

// launch starts a browser of its own.
func launch(t *testing.T, base string) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.WindowSize(1280, 800),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("disable-lcd-text", true), chromedp.Flag("no-proxy-server", true), chromedp.UserDataDir(t.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("end the browser: %v", err)
		}
		stop()
	})
	b := &browser{t: t, ctx: ctx, base: base}
	b.do(chromedp.Navigate("about:blank"))
	listen(b, runtime.ExceptionThrown, func(e runtime.EventExceptionThrown) {
		text := e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			text += " " + o.Description
		}
		b.errors = append(b.errors, text)
	})
	listen(b, cdplog.EntryAdded, func(e cdplog.EventEntryAdded) {
		// What the network answers is the page's to show; all else is wrong.
		if e.Entry.Level == "error" && e.Entry.Source != "network" {
			b.errors = append(b.errors, string(e.Entry.Source)+": "+e.Entry.Text)
		}
	})
	listen(b, runtime.ConsoleAPICalled, func(e runtime.EventConsoleAPICalled) {
		if e.Type == "error" || e.Type == "warning" {
			b.errors = append(b.errors, fmt.Sprintf("console: %s %s", e.Args[0].Value, e.Args[0].Description))
		}
	})
	listen(b, network.RequestWillBeSent, func(e network.EventRequestWillBeSent) { b.asked = append(b.asked, e.Request.URL) })
	send(b, cdplog.Enable, cdp.Empty{})
	send(b, network.Enable, network.EnableParams{})
	b.look(1280, 800, "light")
	return b
}

// listen notes events of one kind until the browser ends.
func listen[E any](b *browser, kind cdp.Event[E], note func(E)) {
	events := chromedp.Events(b.ctx, kind)
	go func() { // ends with the browser
		for e, err := range events {
			if err != nil {
				return
			}
			b.mu.Lock()
			note(e)
			b.mu.Unlock()
		}
	}()
}

// send runs a command of the protocol.
func send[P, R any](b *browser, c cdp.Command[P, R], p P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, c, p); err != nil {
		b.t.Fatal(err)
	}
}

// look sets the window and what the system's theme is.
func (b *browser) look(width, height int64, scheme string) {
	b.t.Helper()
	send(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
	send(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval runs an expression; a promise is waited for.
func eval[T any](b *browser, js string) T {
	b.t.Helper()
	v, err := evaluate[T](b.ctx, js)
	if err != nil {
		b.t.Fatalf("%.200s: %v", js, err)
	}
	return v
}

func evaluate[T any](ctx context.Context, js string) (T, error) {
	return chromedp.Run(ctx, chromedp.Evaluate[T](js, func(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }))
}

// until waits until an expression is true. A page that is being left answers
// nothing, which counts as not yet.
func (b *browser) until(what, js string) {
	b.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(15 * time.Millisecond) {
		if yes, err := evaluate[bool](b.ctx, "Boolean("+js+")"); err == nil && yes {
			return
		}
	}
	text, err := evaluate[string](b.ctx, `(document.querySelector("dialog[open]") ?? document.querySelector("main") ?? document.body).innerText.slice(0, 2500)`)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("%s: it does not come to be\nerrors: %q\nthe page (%v): %s", what, b.errors, err, text)
}

// settled is true once nothing of the page is waited for.
const settled = `document.querySelector("main h1") && !document.querySelector("main .skeleton, main [aria-busy=true], main .loading")`

// visit opens a page and waits until all of it is there.
func (b *browser) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
	b.until("open "+path, settled)
}

// signIn opens the dashboard as its operator.
func (b *browser) signIn() {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + "/ui/"))
	b.enter(adminToken)
}

// enter gives a token to the page that asks for one.
func (b *browser) enter(token string) {
	b.t.Helper()
	password := chromedp.CSS("input[type=password]")
	b.do(chromedp.WaitVisible(password), chromedp.SendKeys(password, token+"\r"))
	b.until("sign in", settled)
}

// click clicks the visible button or link of that name, in the open dialog if there is one.
func (b *browser) click(name string) {
	b.t.Helper()
	b.until("find "+name, "("+find+")("+quote(name)+")")
	eval[chromedp.Void](b, "("+find+")("+quote(name)+").click()")
}

const find = `(name) => [...(document.querySelector("dialog[open]") ?? document).querySelectorAll("button, a, summary")].find((e) => (e.getAttribute("aria-label") ?? e.textContent.trim()) === name && e.checkVisibility() && !e.disabled)`

// fill writes into the field of that label.
func (b *browser) fill(label, text string) {
	b.t.Helper()
	field := `(label) => [...(document.querySelector("dialog[open]") ?? document).querySelectorAll("label")].find((l) => l.textContent.trim() === label)?.htmlFor ?? ""`
	b.until("find field "+label, "("+field+")("+quote(label)+")")
	id := eval[string](b, "("+field+")("+quote(label)+")")
	eval[chromedp.Void](b, `(() => { const e = document.getElementById(`+quote(id)+`); e.focus(); e.value = `+quote(text)+`; e.dispatchEvent(new Event(e.tagName === "SELECT" ? "change" : "input", {bubbles: true})); })()`)
}

// pick picks the option of that name.
func (b *browser) pick(label, name string) {
	b.t.Helper()
	option := `[...(document.querySelector("dialog[open]") ?? document).querySelectorAll("option")].find((o) => o.textContent.split(",")[0] === ` + quote(name) + `)`
	b.until("find option "+name, option)
	b.fill(label, eval[string](b, option+".value"))
}

// sees waits for a text on the page.
func (b *browser) sees(text string) {
	b.t.Helper()
	b.until("see "+text, `document.body.innerText.includes(`+quote(text)+`)`)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is always JSON
	}
	return string(b)
}

// check tells what went wrong since the last time, and whether another origin was asked.
func (b *browser) check(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errors {
		b.t.Errorf("%s: %s", where, e)
	}
	for _, u := range b.asked {
		if !strings.HasPrefix(u, b.base+"/") && !strings.HasPrefix(u, "data:") && u != "about:blank" {
			b.t.Errorf("%s asks %s", where, u)
		}
	}
	b.errors, b.asked = nil, nil
}

// axe runs axe-core with options and tells every violation. Of a table it looks at
// ten rows: the others are like them.
func (b *browser) axe(where, options string) {
	b.t.Helper()
	eval[chromedp.Void](b, axeSource(b.t)+";undefined")
	type violation struct {
		ID    string `json:"id"`
		Help  string `json:"help"`
		Nodes []struct {
			HTML           string `json:"html"`
			FailureSummary string `json:"failureSummary"`
		} `json:"nodes"`
	}
	for _, v := range eval[[]violation](b, `axe.run({exclude: ["main tbody tr:nth-child(n+11)"]}, {...`+options+`, resultTypes: ["violations"]}).then((r) => r.violations)`) {
		for _, n := range v.Nodes[:min(3, len(v.Nodes))] {
			b.t.Errorf("%s: %s: %s\n  %.200s\n  %s", where, v.ID, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

var axeSource = func() func(t *testing.T) string {
	var once sync.Once
	var text string
	return func(t *testing.T) string {
		once.Do(func() {
			f, err := os.ReadFile("testdata/axe-core-4.14.1.min.js.gz")
			if err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(bytes.NewReader(f))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		})
		return text
	}
}()

// picture writes a picture of docs/images, as large as the window.
func (b *browser) picture(name string) {
	b.t.Helper()
	to := os.Getenv("HEADRACE_PICTURES")
	if *update && to == "" && documented(name) {
		to = "../../docs/images"
	}
	if to == "" {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	picture, err := small(shot)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(picture) > 150<<10 {
		b.t.Errorf("%s.png has %d KB; at most 150", name, len(picture)>>10)
	}
	if err := os.WriteFile(filepath.Join(to, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// documented says whether a picture stands in docs/images: every page in light,
// and a few of the others.
func documented(name string) bool {
	switch name {
	case "overview-dark", "requests-dark", "overview-phone", "keys-phone":
		return true
	}
	return !strings.HasSuffix(name, "-dark") && !strings.HasSuffix(name, "-phone")
}

// small writes a picture with the 256 colours that it has most of; each other
// one becomes the nearest of them.
func small(shot []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	at, counts := full.Bounds(), map[color.RGBA]int{}
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			counts[rgba(full.At(x, y))]++
		}
	}
	most := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range most[:min(256, len(most))] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range most {
		index[c] = uint8(palette.Index(c))
	}
	few := image.NewPaletted(at, palette)
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			few.SetColorIndex(x, y, index[rgba(full.At(x, y))])
		}
	}
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestCompression}
	err = e.Encode(&b, few)
	return b.Bytes(), err
}

func rgba(c color.Color) color.RGBA { return color.RGBAModel.Convert(c).(color.RGBA) }
