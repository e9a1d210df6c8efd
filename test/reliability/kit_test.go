// Package reliability shows that the whole program keeps its promises while
// providers, clients and operators do their worst, and writes the figures to
// docs/reliability.md:
//
//	go test ./test/reliability                       a slice, for every day
//	go test ./test/reliability -update -timeout 30m  all of it, and the table
//
// -run limits an update to some rows; the others stay as they were measured.
// HEADRACE_FULL=1 runs all of it and writes nothing.
package reliability_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/internal/app"
	"headrace/internal/cli"
	"headrace/internal/config"
)

var update = flag.Bool("update", false, "run everything in full and write docs/reliability.md")

// full says that nothing is cut short.
func full() bool { return *update || os.Getenv("HEADRACE_FULL") == "1" }

// slice says that this is a slice, which runs beside other tests: what depends on
// how fast the machine is has more room then.
func slice() bool { return !full() }

// pick takes what fits the run.
func pick[T any](short, long T) T {
	if full() {
		return long
	}
	return short
}

const (
	key        = "test-key-0123456789-0123456789-abc"
	adminToken = "test-admin-0123456789-0123456789-x"
	// canary is part of every credential of a provider.
	canary = "canary"
	// asGateway makes this program the gateway: what stands in it is the
	// configuration's file.
	asGateway = "HEADRACE_TEST_GATEWAY"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(asGateway); file != "" {
		go control()
		getenv := func(name string) string {
			return map[string]string{"HEADRACE_KEY": key, "HEADRACE_ADMIN_TOKEN": adminToken, "OLLAMA_HOST": "127.0.0.1:1"}[name]
		}
		os.Exit(cli.Main([]string{"serve", "--config", file}, strings.NewReader(""), os.Stdout, os.Stderr, getenv))
	}
	flag.Parse()
	code := m.Run()
	if *update {
		if err := write(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// --- the table

// row is one line of the table in docs/reliability.md.
type row struct{ what, target, measured, held, date, test string }

// order is the order of the table, by what.
var order = []string{
	"Faults, before the first word", "Faults, after the first word", "Refusals at the door", "Simulation",
	"Budget race", "Client leaves, before the first byte", "Client leaves, in a stream", "Client leaves, whole answer",
	"Drain", "Reload under load", "Brown-out, 2 x capacity", "Brown-out, 5 x capacity", "Provider outage",
	"Aborted streams", "Streams, HTTP/1.1 on both sides", "Streams, HTTP/2 to the provider", "Streams, HTTP/2 on both sides", "Soak", "Usage queries",
}

var (
	rowsMu sync.Mutex // guards rows
	rows   = map[string]row{}
)

// record notes a figure. One that misses its target stays in the table, and
// fails the test.
func record(t *testing.T, what, target string, held bool, format string, args ...any) {
	t.Helper()
	measured := fmt.Sprintf(format, args...)
	t.Logf("%s: %s (target: %s)", what, measured, target)
	if !slices.Contains(order, what) {
		t.Errorf("%q has no place in the table", what)
	}
	r := row{what, target, measured, "yes", time.Now().UTC().Format("2006-01-02"), strings.Split(t.Name(), "/")[0]}
	if !held {
		r.held = "**no**"
		t.Errorf("%s: %s, want %s", what, measured, target)
	}
	rowsMu.Lock()
	defer rowsMu.Unlock()
	rows[what] = r
}

const (
	page  = "../../docs/reliability.md"
	begin = "<!-- figures: go test ./test/reliability -update -timeout 30m -->\n"
	end   = "<!-- end of figures -->\n"
)

// write puts the rows of this run into the page; the others stay.
func write() error {
	b, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(b), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return errors.New(page + " has no place for the table")
	}
	all := map[string]row{}
	for _, l := range strings.Split(old, "\n") {
		if f := strings.Split(strings.Trim(l, "| "), " | "); len(f) == 6 && slices.Contains(order, f[0]) {
			all[f[0]] = row{f[0], f[1], f[2], f[3], f[4], strings.Trim(f[5], "`")}
		}
	}
	for what, r := range rows {
		all[what] = r
	}
	var out strings.Builder
	out.WriteString("| what | target | measured | held | date | test |\n|---|---|---|---|---|---|\n")
	for _, what := range order {
		if r, ok := all[what]; ok {
			fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | `%s` |\n", r.what, r.target, r.measured, r.held, r.date, r.test)
		}
	}
	return os.WriteFile(page, []byte(head+begin+out.String()+end+tail), 0o644)
}

// --- a gateway inside this process

type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// house is a running gateway, as its clients and its operator know it.
type house struct {
	t    *testing.T
	base string
	log  *buffer
}

// open starts a gateway in this process, which ends with the test.
func open(t *testing.T, yaml string) *house {
	t.Helper()
	getenv := func(name string) string {
		return map[string]string{"HEADRACE_KEY": key, "HEADRACE_ADMIN_TOKEN": adminToken, "OLLAMA_HOST": "127.0.0.1:1"}[name]
	}
	cfg, err := config.Parse("test.yaml", []byte("listen: 127.0.0.1:0\ndata: "+t.TempDir()+"\nlog: {level: debug}\n"+yaml), getenv)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, log: &buffer{}}
	ready := make(chan app.Info, 1)
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		done <- app.Program{}.Serve(ctx, app.Options{Config: cfg, Env: config.FromEnv(getenv), Version: "test", Log: h.log,
			Ready: func(i app.Info) error { ready <- i; return nil }})
	}()
	select {
	case i := <-ready:
		h.base = "http://" + i.Address
	case err := <-done:
		t.Fatalf("serve: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	return h
}

// do makes a request with the key, or with what header says.
func (h *house) do(ctx context.Context, client *http.Client, method, path, body string, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, h.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	return client.Do(req)
}

// admin asks the admin API, and reads its answer into v unless that is nil.
func (h *house) admin(method, path, body string, v any) string {
	h.t.Helper()
	header := []string{"Authorization: Bearer " + adminToken}
	if body != "" {
		header = append(header, "Content-Type: application/json")
	}
	resp, err := h.do(context.Background(), http.DefaultClient, method, path, body, header...)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		h.t.Fatalf("%s: %d %v %.300s", path, resp.StatusCode, err, b)
	}
	if v != nil {
		if err := json.Unmarshal(b, v); err != nil {
			h.t.Fatal(err)
		}
	}
	return string(b)
}

// ledgerRow is a request in the ledger.
type ledgerRow struct {
	ID     string `json:"id"`
	Seq    int64  `json:"seq"`
	Op     string `json:"op"`
	Class  string `json:"class"`
	Status int    `json:"status"`
	Asked  string `json:"asked"`
	Cost   struct {
		Nanodollars int64
		Priced      bool
	}
}

// ledger reads all rows.
func (h *house) ledger() (all []ledgerRow) {
	h.t.Helper()
	for after := int64(-1); ; {
		var page struct{ Requests []ledgerRow }
		h.admin("GET", "/admin/v1/requests?limit=1000&after="+strconv.FormatInt(after, 10), "", &page)
		if len(page.Requests) == 0 {
			return all
		}
		all = append(all, page.Requests...)
		for _, r := range page.Requests {
			after = max(after, r.Seq)
		}
	}
}

// gauge adds up a figure of /metrics over its labels.
func (h *house) gauge(name string) (sum float64) {
	h.t.Helper()
	for _, l := range strings.Split(h.admin("GET", "/metrics", "", nil), "\n") {
		if strings.HasPrefix(l, name+" ") || strings.HasPrefix(l, name+"{") {
			n, err := strconv.ParseFloat(l[strings.LastIndexByte(l, ' ')+1:], 64)
			if err != nil {
				h.t.Fatalf("%s: %v", l, err)
			}
			sum += n
		}
	}
	return sum
}

// purse is what a budget says of itself.
type purse struct {
	ID       string
	Spent    int64 `json:"spent_nanodollars"`
	Reserved int64 `json:"reserved_nanodollars"`
	Left     int64 `json:"left_nanodollars"`
}

// budget sets a budget for the key of the requests, and gives its name.
func (h *house) budget(usd float64) string {
	h.t.Helper()
	var list struct {
		Keys []struct {
			ID    string
			Admin bool
		}
	}
	h.admin("GET", "/admin/v1/keys", "", &list)
	for _, k := range list.Keys {
		if !k.Admin {
			h.admin("POST", "/admin/v1/budgets", fmt.Sprintf(`{"scope":"key","subject":%q,"window":"total","limit_nanodollars":%d}`, k.ID, int64(usd*1e9)), nil)
			return "key/total/" + k.ID
		}
	}
	h.t.Fatal("no key")
	return ""
}

func (h *house) purse(id string) purse {
	h.t.Helper()
	var list struct{ Budgets []purse }
	h.admin("GET", "/admin/v1/budgets", "", &list)
	for _, p := range list.Budgets {
		if p.ID == id {
			return p
		}
	}
	h.t.Fatalf("no budget %s", id)
	return purse{}
}

// within waits for something.
func within(t *testing.T, d time.Duration, what string, ok func() bool) bool {
	t.Helper()
	for last := time.Now().Add(d); time.Now().Before(last); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	t.Errorf("waited %v in vain for %s", d, what)
	return false
}

// --- a gateway as a process of its own

// program is the gateway as a process. Its log goes to log.
type program struct {
	*house
	file, data string
	cmd        *exec.Cmd
	in         io.WriteCloser
	lines      chan string
	exited     chan error
}

// launch starts the real program over a configuration file; env is added.
func launch(t *testing.T, yaml string, env ...string) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{house: &house{t: t, log: &buffer{}}, file: filepath.Join(dir, "headrace.yaml"), data: filepath.Join(dir, "data"), lines: make(chan string, 64), exited: make(chan error, 1)}
	p.configure(yaml)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(self)
	p.cmd.Env = append(append(os.Environ(), asGateway+"="+p.file, "GOCOVERDIR="+dir), env...)
	p.cmd.Stderr = p.log
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, w := io.Pipe()
	p.cmd.Stdout = w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
	}()
	go func() {
		err := p.cmd.Wait()
		w.Close()
		p.exited <- err
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		for range p.lines { // until it is read to its end
		}
		for _, bad := range []string{"DATA RACE", "panic"} {
			if strings.Contains(p.log.String(), bad) {
				t.Errorf("%s in the gateway; its log:\n%.3000s", bad, p.log)
			}
		}
		secretless(t, "the log", p.log.String())
	})
	line := p.line("is ready on ")
	_, rest, _ := strings.Cut(line, "is ready on ")
	p.base, _, _ = strings.Cut(rest, " ")
	return p
}

// configure replaces the configuration's file.
func (p *program) configure(yaml string) {
	p.t.Helper()
	if err := os.WriteFile(p.file+".new", []byte("listen: 127.0.0.1:0\ndata: "+p.data+"\n"+yaml), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(p.file+".new", p.file); err != nil {
		p.t.Fatal(err)
	}
}

// line waits for a line of output.
func (p *program) line(with string) string {
	p.t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case l, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the gateway has ended; its log:\n%s", p.log)
			}
			if strings.Contains(l, with) {
				return l
			}
		case <-late:
			p.t.Fatalf("no line with %q; the log:\n%s", with, p.log)
		}
	}
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// usage is what a process uses.
type usage struct {
	Goroutines, Files int
	// RSS is resident memory in bytes.
	RSS int64
}

// usage asks the process after a collection of garbage.
func (p *program) usage() (u usage) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, "usage\n"); err != nil {
		p.t.Fatal(err)
	}
	_, text, _ := strings.Cut(p.line("usage: "), "usage: ")
	if err := json.Unmarshal([]byte(text), &u); err != nil {
		p.t.Fatal(err)
	}
	return u
}

// settled is the usage once it does not fall any more.
func (p *program) settled() usage {
	p.t.Helper()
	u := p.usage()
	for range 50 {
		time.Sleep(100 * time.Millisecond)
		v := p.usage()
		if v.Goroutines >= u.Goroutines && v.Files >= u.Files {
			return v
		}
		u = v
	}
	return u
}

// control answers questions about this process while it is the gateway, which
// ends with the test also where that is killed.
func control() {
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		runtime.GC()
		u := usage{Goroutines: runtime.NumGoroutine()}
		if list, err := os.ReadDir("/proc/self/fd"); err == nil {
			u.Files = len(list)
		}
		if b, err := os.ReadFile("/proc/self/statm"); err == nil {
			if f := strings.Fields(string(b)); len(f) > 1 {
				pages, _ := strconv.ParseInt(f[1], 10, 64)
				u.RSS = pages * int64(os.Getpagesize())
			}
		}
		b, err := json.Marshal(u)
		if err != nil {
			panic(err) // three numbers are always JSON
		}
		fmt.Printf("usage: %s\n", b)
	}
	os.Exit(1) // the test is gone
}

// needsProc skips where a process cannot be measured.
func needsProc(t *testing.T) {
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		t.Skip("processes are measured through /proc, which is not here")
	}
}
