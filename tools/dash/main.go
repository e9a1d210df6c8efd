// Command dash makes internal/dash/static of web: one file to one file, so that
// what is committed can be read and merged like its source. Run it in tools/:
//
//	go run ./dash          # writes what has changed
//	go run ./dash -check   # says what is stale, and fails
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	check := flag.Bool("check", false, "write nothing; say what is stale")
	root := flag.String("root", "..", "the repository")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "dash:", err)
		os.Exit(1)
	}
}

// The folders, from the repository's root.
const (
	source  = "web/src"
	vendor  = "web/vendor"
	static  = "internal/dash/static"
	openAPI = "internal/admin/openapi.json"
	schema  = "web/src/schema.ts"
)

func run(root string, check bool) error {
	stale, err := refresh(root, check)
	if err != nil {
		return err
	}
	for _, name := range stale {
		fmt.Println(name)
	}
	if check && len(stale) > 0 {
		return fmt.Errorf("%d files are stale: run go generate ./internal/dash", len(stale))
	}
	return nil
}

// refresh makes every file anew and writes those that differ, unless check is
// set. It names them, from the root, sorted.
func refresh(root string, check bool) ([]string, error) {
	types, err := types(filepath.Join(root, openAPI))
	if err != nil {
		return nil, err
	}
	want := map[string][]byte{schema: types}
	files, err := build(root)
	if err != nil {
		return nil, err
	}
	for name, text := range files {
		want[path.Join(static, name)] = text
	}
	var stale []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		at := filepath.Join(root, name)
		if have, err := os.ReadFile(at); err == nil && bytes.Equal(have, want[name]) {
			continue
		}
		stale = append(stale, name)
		if check {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(at, want[name], 0o644); err != nil {
			return nil, err
		}
	}
	// What has no source any more goes.
	err = filepath.WalkDir(filepath.Join(root, static), func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if want[name] != nil {
			return nil
		}
		stale = append(stale, name)
		if check {
			return nil
		}
		return os.Remove(at)
	})
	slices.Sort(stale)
	return stale, err
}

// build gives the files of the dashboard by their name below static.
func build(root string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, from := range []struct {
		dir, to string
		made    func(name string, text []byte) (string, []byte, error)
	}{{source, "", compile}, {vendor, "vendor", pack}} {
		dir := filepath.Join(root, from.dir)
		err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, at)
			if err != nil {
				return err
			}
			name, made, err := from.made(filepath.ToSlash(rel), text)
			if err == nil && name != "" {
				out[path.Join(from.to, name)] = made
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// compile takes the types out of one source file. A file that holds nothing but
// types has no output.
func compile(name string, text []byte) (string, []byte, error) {
	ext := path.Ext(name)
	loader, ok := map[string]api.Loader{".ts": api.LoaderTS, ".tsx": api.LoaderTSX}[ext]
	switch {
	case strings.HasSuffix(name, ".d.ts"):
		return "", nil, nil
	case !ok:
		return name, text, nil
	}
	made, err := transform(name, text, api.TransformOptions{Loader: loader, JSX: api.JSXAutomatic, JSXImportSource: "preact"})
	if err != nil || len(bytes.TrimSpace(made)) == 0 {
		return "", nil, err
	}
	return strings.TrimSuffix(name, ext) + ".js", made, nil
}

// pack makes a vendored module small.
func pack(name string, text []byte) (string, []byte, error) {
	base, isModule := strings.CutSuffix(name, ".mjs")
	switch {
	case name == "README.md":
		return "", nil, nil
	case !isModule:
		return name, text, nil
	}
	made, err := transform(name, text, api.TransformOptions{Loader: api.LoaderJS, MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true})
	return base + ".js", made, err
}

func transform(name string, text []byte, o api.TransformOptions) ([]byte, error) {
	o.Sourcefile, o.Target, o.Charset, o.Format = name, api.ES2022, api.CharsetUTF8, api.FormatESModule
	o.LegalComments = api.LegalCommentsInline
	done := api.Transform(string(text), o)
	if len(done.Errors) > 0 {
		e := done.Errors[0]
		line := 0
		if e.Location != nil {
			line = e.Location.Line
		}
		return nil, fmt.Errorf("%s:%d: %s", name, line, e.Text)
	}
	return done.Code, nil
}
