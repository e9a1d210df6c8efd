package lint_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says what each room may import of ours. It reads downwards: a room
// only names rooms above it, so it cannot make a circle. Change it in a commit
// of its own, with the reason.
var arrows = []struct{ room, may string }{
	{"llm", ""},
	{"wire/sse", ""},
	{"wire/span", ""},
	{"dash", ""},
	{"catalog", "llm"},
	{"config", "llm"},
	{"foreign", "llm config catalog"},
	{"access", "llm"},
	{"budget", "llm"},
	{"limit", "llm"},
	{"admission", "llm"},
	{"health", "llm"},
	{"trial", ""},
	{"guard", "llm"},
	{"audit", ""},
	{"vault", "llm"},
	{"signon", "llm access"},
	{"recall", "llm"},
	{"variant", "llm"},
	{"meter", "guard health limit admission"},
	{"provider/cred", "llm"},
	{"provider/direct", ""},
	{"wire/forms", "llm wire/span"},
	{"wire/openai", "llm wire/sse wire/span wire/forms"},
	{"wire/responses", "llm wire/sse wire/span wire/forms"},
	{"wire/anthropic", "llm wire/sse wire/span"},
	{"wire/gemini", "llm wire/span"},
	{"wire/ollama", "llm wire/span"},
	{"tokens", "llm"},
	{"route", "llm catalog"},
	{"learn", "llm catalog"},
	{"provider", "llm catalog provider/cred provider/direct wire/sse wire/span wire/openai wire/responses wire/anthropic wire/gemini wire/ollama"},
	{"provider/rehearsal", "llm wire/sse"},
	{"wire/wiretest", "llm wire/sse wire/span"},
	{"wire/wiretest/closed", "llm"},
	{"relay", "llm route"},
	{"ledger", "llm"},
	{"steer", "llm catalog route learn relay ledger"},
	{"trace", "llm ledger"},
	{"batch", "llm route ledger"},
	{"webhook", "llm ledger"},
	{"study", "llm trial variant ledger"},
	{"replay", "llm catalog tokens route learn ledger"},
	{"store/sqlite", "llm access audit vault batch budget catalog ledger recall webhook study"},
	{"store/storetest", "llm access audit vault batch budget ledger recall webhook study"},
	{"gateway", "llm catalog tokens access budget recall route relay ledger batch webhook wire/sse wire/span wire/openai wire/responses wire/anthropic wire/gemini wire/ollama guard variant"},
	{"admin", "llm config catalog access audit budget ledger trial study"},
	{"app", "llm wire/sse catalog config access audit vault signon budget limit admission health meter recall batch webhook wire/openai wire/responses wire/anthropic wire/gemini wire/ollama tokens route provider provider/rehearsal relay ledger store/sqlite gateway admin guard steer trace variant study replay dash"},
	{"demo", "llm wire/openai wire/anthropic provider/rehearsal"},
	{"cli", "app admin config llm catalog demo foreign"},
	{"lint", ""},
}

const (
	ours = "headrace/internal/"
	root = "../.."
)

// sources lists the Go files below the module, without tests when plain.
func sources(t *testing.T, plain bool) []string {
	t.Helper()
	var files []string
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return filepath.SkipDir
			}
			if strings.HasSuffix(path, ".go") && (!plain || !strings.HasSuffix(path, "_test.go")) {
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func room(file string) string {
	rel, err := filepath.Rel(filepath.Join(root, "internal"), filepath.Dir(file))
	if err != nil || strings.HasPrefix(rel, "..") {
		return ""
	}
	return filepath.ToSlash(rel)
}

// TestArrows holds every room to the list.
func TestArrows(t *testing.T) {
	may := map[string]map[string]bool{}
	for _, a := range arrows {
		set := map[string]bool{}
		for _, r := range strings.Fields(a.may) {
			if may[r] == nil && r != a.room {
				t.Errorf("%s may import %s, which stands below it in the list", a.room, r)
			}
			set[r] = true
		}
		may[a.room] = set
	}
	seen, used := map[string]bool{}, map[[2]string]bool{}
	for _, file := range sources(t, true) {
		from := room(file)
		if from == "" {
			continue
		}
		seen[from] = true
		allowed, listed := may[from]
		if !listed {
			t.Errorf("%s: room %q is not in the list of arrows", file, from)
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			to, own := strings.CutPrefix(path, ours)
			if own && !allowed[to] {
				t.Errorf("%s imports %s; allowed: %v", file, to, slices.Sorted(maps.Keys(allowed)))
			}
			used[[2]string{from, to}] = true
		}
	}
	for r, set := range may {
		if !seen[r] {
			t.Errorf("room %q is in the list and not in the tree", r)
		}
		for to := range set {
			if !used[[2]string{r, to}] {
				t.Errorf("%s may import %s and does not", r, to)
			}
		}
	}
}

// TestKits: the kits are for tests of other packages only.
func TestKits(t *testing.T) {
	for _, file := range sources(t, false) {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			kit := strings.HasSuffix(imp.Path.Value, `/wiretest"`) || strings.HasSuffix(imp.Path.Value, `/storetest"`) || strings.HasSuffix(imp.Path.Value, `/wiretest/closed"`)
			if kit && !strings.HasSuffix(f.Name.Name, "_test") {
				t.Errorf("%s imports %s; kits are imported by external test packages only", file, imp.Path.Value)
			}
		}
	}
}

// TestRoomsAreDescribed: every room has its row in docs/architecture.md.
func TestRoomsAreDescribed(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, name := range strings.Split(cells[1], ",") {
				rows[strings.Trim(strings.TrimSpace(name), "`")] = true
			}
		}
	}
	for _, a := range arrows {
		if !rows[a.room] {
			t.Errorf("docs/architecture.md has no row for %s", a.room)
		}
	}
}
