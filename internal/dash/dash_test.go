package dash_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"headrace/internal/dash"
)

func get(t *testing.T, method, target string, edit func(*http.Request)) *http.Response {
	t.Helper()
	q := httptest.NewRequest(method, target, nil)
	if edit != nil {
		edit(q)
	}
	w := httptest.NewRecorder()
	dash.Handler().ServeHTTP(w, q)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func gzipped(q *http.Request) { q.Header.Set("Accept-Encoding", "br, gzip") }

func TestServed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, path string
		status             int
		kind, holds        string
	}{
		{"the page", "GET", "/ui/", 200, "text/html; charset=utf-8", "<title>Headrace</title>"},
		{"a path that the page reads", "GET", "/ui/requests/req_1", 200, "text/html; charset=utf-8", "<title>Headrace</title>"},
		{"a path with a dot", "GET", "/ui/models/openai/gpt-4.1", 200, "text/html; charset=utf-8", "<title>Headrace</title>"},
		{"script", "GET", "/ui/app.js", 200, "text/javascript; charset=utf-8", "import"},
		{"a page's script", "GET", "/ui/pages/keys.js", 200, "text/javascript; charset=utf-8", "import"},
		{"style", "GET", "/ui/style.css", 200, "text/css; charset=utf-8", "--bg"},
		{"a licence", "GET", "/ui/vendor/preact.LICENSE", 200, "text/plain; charset=utf-8", "MIT"},
		{"script that there is not", "GET", "/ui/pages/nothing.js", 404, "text/plain; charset=utf-8", ""},
		{"above the files", "GET", "/ui/../dash.go", 200, "text/html; charset=utf-8", "<title>Headrace</title>"},
		{"without a slash", "GET", "/ui", 301, "text/html; charset=utf-8", ""},
		{"written", "POST", "/ui/", 405, "text/plain; charset=utf-8", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := get(t, c.method, c.path, nil)
			if body := text(t, r); r.StatusCode != c.status || r.Header.Get("Content-Type") != c.kind || !strings.Contains(body, c.holds) {
				t.Errorf("%d %q %.80q; want %d %q with %q", r.StatusCode, r.Header.Get("Content-Type"), body, c.status, c.kind, c.holds)
			}
		})
	}
}

func TestCompressedAndTagged(t *testing.T) {
	t.Parallel()
	plain, packed := get(t, "GET", "/ui/app.js", nil), get(t, "GET", "/ui/app.js", gzipped)
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if text(t, plain) != string(unpacked) {
		t.Error("the compressed file is another one")
	}
	tag := packed.Header.Get("ETag")
	if tag == "" || tag == plain.Header.Get("ETag") {
		t.Errorf("tags %q and %q; want one for each form", tag, plain.Header.Get("ETag"))
	}
	again := get(t, "GET", "/ui/app.js", func(q *http.Request) { gzipped(q); q.Header.Set("If-None-Match", tag) })
	if body := text(t, again); again.StatusCode != 304 || body != "" {
		t.Errorf("asked again: %d with %d bytes", again.StatusCode, len(body))
	}
}

// TestPolicy: no script but files and the one import map, no style but files, and
// nothing of another origin in the page.
func TestPolicy(t *testing.T) {
	t.Parallel()
	r := get(t, "GET", "/ui/", nil)
	html, policy := text(t, r), r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'self';", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "trusted-types 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is loose: %s", policy)
	}
	inline := regexp.MustCompile(`(?s)<script([^>]*)>(.*?)</script>`).FindAllStringSubmatch(html, -1)
	for _, s := range inline {
		if s[2] == "" {
			continue
		}
		sum := sha256.Sum256([]byte(s[2]))
		if !strings.Contains(s[1], "importmap") || !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Errorf("inline script that the policy does not name: %.80s", s[2])
		}
	}
	if bad := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|(src|href)="(https?:)?//`).FindString(html); bad != "" {
		t.Errorf("the page has %q", bad)
	}
}

// TestSize: all script together, compressed, is within its bound.
func TestSize(t *testing.T) {
	t.Parallel()
	const most = 80 << 10
	total := 0
	for _, name := range files(t) {
		if path.Ext(name) == ".js" {
			r := get(t, "GET", "/ui/"+name, gzipped)
			total += len(text(t, r))
		}
	}
	t.Logf("script: %.1f KB compressed", float64(total)/1024)
	if total > most {
		t.Errorf("script takes %d bytes compressed; at most %d", total, most)
	}
}

// TestNoMarkupFromText: what comes from outside is only ever text. Trusted types
// would stop these too; here they are found before.
func TestNoMarkupFromText(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://[a-z]`)
	for _, name := range files(t) {
		if path.Ext(name) != ".js" || strings.HasPrefix(name, "vendor/") {
			continue
		}
		b, err := os.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range bytes.Split(b, []byte("\n")) {
			if found := bad.Find(line); found != nil {
				t.Errorf("%s has %q", name, found)
			}
		}
	}
}

// TestSources: every source has its file and every file its source. Whether the
// file is what its source gives now is tested in tools/dash, where the compiler is.
func TestSources(t *testing.T) {
	t.Parallel()
	made := map[string]bool{}
	for _, name := range files(t) {
		made[name] = true
	}
	err := fs.WalkDir(os.DirFS("../../web"), ".", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, below := strings.CutPrefix(at, "src/")
		if !below {
			name = at
		}
		switch ext := path.Ext(name); {
		case name == "schema.ts", path.Base(name) == "README.md", name == "tsconfig.json", strings.HasSuffix(name, ".d.ts"):
			return nil
		case ext == ".ts", ext == ".tsx", ext == ".mjs":
			name = strings.TrimSuffix(name, ext) + ".js"
		}
		if !made[name] {
			t.Errorf("%s is not made: run go generate ./internal/dash", at)
		}
		delete(made, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range made {
		t.Errorf("%s has no source", name)
	}
}

func files(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS("static"), ".", func(at string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
