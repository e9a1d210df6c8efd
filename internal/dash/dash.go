// Package dash is the dashboard: files made of web, embedded, that speak only to
// the admin API and the front doors of the program that serves them.
package dash

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:generate go -C ../../tools run ./dash

//go:embed static
var static embed.FS

// Prefix is where the dashboard is served.
const Prefix = "/ui/"

// Handler serves the dashboard below Prefix: its files by their names, and its
// one page for every other path, which the page itself reads. It is safe for
// concurrent use.
func Handler() http.Handler {
	files := sync.OnceValue(load)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the dashboard is only read", http.StatusMethodNotAllowed)
			return
		}
		name, below := strings.CutPrefix(r.URL.Path, Prefix)
		if !below {
			http.Redirect(w, r, Prefix, http.StatusMovedPermanently)
			return
		}
		all := files()
		f, ok := all.byName[name]
		switch {
		case ok && name != page:
		case path.Ext(name) != "" && kinds[path.Ext(name)] != "":
			http.NotFound(w, r)
			return
		default:
			f = all.byName[page]
		}
		f.serve(w, r, all.policy)
	})
}

// page is the one page that there is.
const page = "index.html"

// kinds are the content types of what is served, by extension.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

type loaded struct {
	byName map[string]*file
	// policy is the Content-Security-Policy of every answer.
	policy string
}

// file is one file, plain and compressed.
type file struct {
	kind, tag   string
	plain, gzip []byte
}

// load compresses what is embedded. It is asked once, by the first request, so
// that the start of the program does not wait for it (20 ms).
func load() loaded {
	all := loaded{byName: map[string]*file{}}
	err := fs.WalkDir(static, "static", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := static.ReadFile(at)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		f := &file{kind: kinds[path.Ext(at)], plain: text, tag: hex.EncodeToString(sum[:12])}
		if f.kind == "" {
			f.kind = kinds[".txt"]
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := z.Write(text); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		f.gzip = b.Bytes()
		all.byName[strings.TrimPrefix(at, "static/")] = f
		return nil
	})
	if err != nil {
		panic("dash: " + err.Error()) // the files are in the program
	}
	all.policy = policy(all.byName[page].plain)
	return all
}

// policy allows what the dashboard consists of and nothing else: its own files,
// calls to its own origin, and the import map of the page, by its hash. Script
// cannot make markup of text either (trusted types, without a policy).
func policy(html []byte) string {
	allowed := "'self'"
	if m := importMap(html); m != nil {
		sum := sha256.Sum256(m)
		allowed += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + allowed + "; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// importMap is the text of the page's import map.
func importMap(html []byte) []byte {
	_, rest, ok := bytes.Cut(html, []byte(`<script type="importmap">`))
	if !ok {
		return nil
	}
	text, _, _ := bytes.Cut(rest, []byte("</script>"))
	return text
}

func (f *file) serve(w http.ResponseWriter, r *http.Request, policy string) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Type", f.kind)
	// The files have no version in their names: a browser asks each time, and
	// hears that it has them already.
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	body, tag := f.plain, `"`+f.tag+`"`
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body, tag = f.gzip, `"`+f.tag+`-gz"`
	}
	h.Set("ETag", tag)
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		return // the browser has left
	}
}
