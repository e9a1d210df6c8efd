// Package docs_test runs the shell blocks of the documentation against a
// program that was built from this tree just now.
//
// A fenced block that begins with ```sh is a script for bash -eu -o pipefail. The
// blocks of a file share an empty directory and run in order. Words after sh say
// more:
//
//	serves   the last command goes on until it is stopped, once it answers
//	repo     it runs in the root of this repository
//	docker, systemd, long   it is not run here; notRun lists it
//
// A block that starts no gateway itself (serve, demo) finds one: 127.0.0.1:8080
// of the text stands for it, with HEADRACE_URL, HEADRACE_KEY and
// HEADRACE_ADMIN_TOKEN set.
package docs_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	root       = "../.."
	key        = "docs-key-0123456789-0123456789-abcdef"
	adminToken = "docs-admin-0123456789-0123456789-abcd"
	// within is how long one block may take.
	within = 2 * time.Minute
)

// notRun lists the blocks that cannot be run here, by file and first line.
var notRun = map[string]string{
	"docs/quickstart.md: git clone URL headrace && cd headrace":                     "long: test/first/run.sh types it",
	"README.md: go test ./...":                                                      "long: it runs the tests, this one too",
	"docs/deployment.md: docker build -t headrace -f deploy/Dockerfile .":           "docker",
	"docs/deployment.md: sudo install -m 0755 bin/headrace /usr/local/bin/headrace": "systemd",
}

// quick are the files whose blocks run in every go test; HEADRACE_FULL=1 and
// test/docs/run.sh run all of them.
var quick = []string{"README.md", "docs/quickstart.md", "docs/keys.md"}

// block is a fenced block.
type block struct {
	file  string
	line  int
	words []string
	text  string
}

func (b *block) is(word string) bool { return slices.Contains(b.words, word) }

// first is the first line that is not a comment.
func (b *block) first() string {
	for line := range strings.Lines(b.text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return ""
}

// blocks reads the shell blocks of a file.
func blocks(t *testing.T, file string) (found []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	fenced, n := false, 0
	for line := range strings.Lines(string(text)) {
		n++
		mark := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(mark, "```") && !fenced:
			fenced = true
			words := strings.Fields(strings.TrimLeft(mark, "`"))
			if len(words) > 0 && (words[0] == "sh" || words[0] == "bash" || words[0] == "shell" || words[0] == "console") {
				open = &block{file: file, line: n, words: words}
			}
		case mark == "```":
			if fenced = false; open != nil {
				found, open = append(found, *open), nil
			}
		case open != nil:
			open.text += line
		}
	}
	return found
}

// files are the documents of the repository.
func files(t *testing.T) (list []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			rel, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, filepath.ToSlash(rel))
		}
	}
	return list
}

// build builds the program once.
var build = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "headrace-docs-"); err != nil {
		return "", err
	}
	c := exec.Command("go", "build", "-o", filepath.Join(dir, "headrace"), "./cmd/headrace")
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := build(); err == nil && dir != "" {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// TestShellBlocks runs them.
func TestShellBlocks(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	full := os.Getenv("HEADRACE_FULL") != ""
	left := map[string]bool{}
	for name := range notRun {
		left[name] = true
	}
	ran := 0
	for _, file := range files(t) {
		list := blocks(t, file)
		var run []block
		for _, b := range list {
			if !b.is("docker") && !b.is("systemd") && !b.is("long") {
				run = append(run, b)
				continue
			}
			name := b.file + ": " + b.first()
			if notRun[name] == "" {
				t.Errorf("%s:%d: not run and not listed: %q", b.file, b.line, name)
			}
			delete(left, name)
		}
		if len(run) == 0 {
			continue
		}
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			if !full && !slices.Contains(quick, file) {
				t.Skipf("%d blocks of this file run with HEADRACE_FULL=1, or test/docs/run.sh", len(run))
			}
			if testing.Short() {
				t.Skip("short")
			}
			h := &home{t: t, bin: bin, dir: t.TempDir()}
			defer h.stop()
			for i := range run {
				h.run(&run[i])
			}
		})
		ran += len(run)
	}
	for name := range left {
		t.Errorf("%s is listed as not run, and not there", name)
	}
	if ran < 15 {
		t.Errorf("only %d blocks were found", ran)
	}
}

// home is where the blocks of one file run.
type home struct {
	t       *testing.T
	bin     string
	dir     string
	address string // of the gateway that is there for them; empty until one asks for it
	gateway *exec.Cmd
	ended   chan error
	log     bytes.Buffer
}

// port is one that nobody listens on just now.
func port(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (h *home) env(listen string) []string {
	env := []string{"PATH=" + h.bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + h.dir, "XDG_DATA_HOME=" + filepath.Join(h.dir, "data"),
		"HEADRACE_KEY=" + key, "HEADRACE_ADMIN_TOKEN=" + adminToken, "HEADRACE_LISTEN=" + listen, "HEADRACE_URL=http://" + listen, "OLLAMA_HOST=127.0.0.1:1", "TERM=dumb"}
	for _, name := range []string{"GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "TMPDIR", "CGO_ENABLED"} { // for blocks that build
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	if os.Getenv("GOCACHE") == "" {
		if dir, err := os.UserCacheDir(); err == nil {
			env = append(env, "GOCACHE="+filepath.Join(dir, "go-build"))
		}
	}
	if own, err := os.UserHomeDir(); err == nil && os.Getenv("GOPATH") == "" {
		env = append(env, "GOPATH="+filepath.Join(own, "go"))
	}
	return append(env, "GOTOOLCHAIN=local")
}

// serve starts the gateway that the blocks find.
func (h *home) serve() {
	h.t.Helper()
	if h.gateway != nil {
		return
	}
	h.address = port(h.t)
	h.gateway = exec.Command(filepath.Join(h.bin, "headrace"), "serve", "--data", filepath.Join(h.dir, "gateway"))
	h.gateway.Env = h.env(h.address)
	h.gateway.Stdout, h.gateway.Stderr = &h.log, &h.log
	if err := h.gateway.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.ended = make(chan error, 1)
	go func() { h.ended <- h.gateway.Wait() }()
	h.await(h.address, h.ended)
}

// await waits until a gateway answers.
func (h *home) await(address string, ended <-chan error) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if r, err := http.Get("http://" + address + "/readyz"); err == nil {
			if r.Body.Close(); r.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-ended:
			h.t.Fatalf("the gateway ended: %v\n%s", err, &h.log)
		default:
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("no gateway answers at %s\n%s", address, &h.log)
		}
	}
}

func (h *home) stop() {
	if h.gateway == nil {
		return
	}
	if err := h.gateway.Process.Signal(os.Interrupt); err != nil {
		h.t.Error(err)
	}
	select {
	case <-h.ended:
	case <-time.After(15 * time.Second):
		h.t.Error("the gateway does not end")
		_ = h.gateway.Process.Kill()
	}
}

// run runs one block.
func (h *home) run(b *block) {
	h.t.Helper()
	own := strings.Contains(b.text, "headrace serve") || strings.Contains(b.text, "headrace demo")
	listen := port(h.t)
	if !own {
		h.serve()
		listen = h.address
	}
	script := strings.NewReplacer("127.0.0.1:8080", listen, "127.0.0.1:18080", port(h.t)).Replace(b.text)
	ctx, cancel := context.WithTimeout(h.t.Context(), within)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", script)
	c.Dir, c.Env = h.dir, h.env(listen)
	if b.is("repo") {
		c.Dir = root
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what it leaves running can be ended
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	// A file, since what goes on in the background must not be waited for.
	out, err := os.CreateTemp(h.t.TempDir(), "out")
	if err != nil {
		h.t.Fatal(err)
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	if b.is("serves") {
		h.log.Reset()
		h.await(listen, ended)
		if err := syscall.Kill(-c.Process.Pid, syscall.SIGINT); err != nil {
			h.t.Error(err)
		}
		<-ended // it was stopped, whatever it says of that
	} else {
		err = <-ended
	}
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // there may be nothing left
	if err != nil {
		said, _ := os.ReadFile(out.Name())
		h.t.Errorf("%s:%d: %v\n%s\n--- what it said:\n%s", b.file, b.line, err, script, said)
	}
}

// TestLinks: what the documents lead to in this repository is there.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, file := range files(t) {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "](") {
			to, _, ok := strings.Cut(part, ")")
			to, _, _ = strings.Cut(to, "#")
			if !ok || to == "" || strings.Contains(to, "://") || strings.ContainsAny(to, " \n") || part == string(text) || !strings.Contains(to, ".") && !strings.Contains(to, "/") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(file), to)); err != nil {
				t.Errorf("%s leads to %s, which is not there", file, to)
			}
		}
	}
}
