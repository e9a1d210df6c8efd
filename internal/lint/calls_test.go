package lint_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/relay"
)

// place is the room of a file, or "cmd".
func place(file string) string {
	if r := room(file); r != "" {
		return r
	}
	return "cmd"
}

// banned says which selectors may be used only in some places.
var banned = []struct {
	call  string
	rooms string
	why   string
}{
	{"os.Getenv", "config cmd", "only config reads the environment; main hands it in"},
	{"os.LookupEnv", "config", "only config reads the environment"},
	{"os.Environ", "config", "only config reads the environment"},
	{"bufio.NewScanner", "", "a scanner has a line limit; streams are read by wire/sse"},
	{"exec.Command", "", "the gateway starts no programs"},
	{"http.DefaultClient", "", "every client has its own limits"},
	{"http.Get", "", "every client has its own limits"},
	{"http.DefaultTransport", "", "every provider has its own connections"},
}

// kits are for tests: they may do what tests do.
func kit(file string) bool {
	return strings.HasSuffix(room(file), "/wiretest") || strings.HasSuffix(room(file), "/storetest")
}

// TestBannedCalls holds the program, not its tests, to the list.
func TestBannedCalls(t *testing.T) {
	for _, file := range sources(t, true) {
		if kit(file) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if fn, ok := n.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function; wiring belongs to app", file)
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			for _, b := range banned {
				if x.Name+"."+sel.Sel.Name == b.call && !strings.Contains(" "+b.rooms+" ", " "+place(file)+" ") {
					t.Errorf("%s uses %s: %s", file, b.call, b.why)
				}
			}
			return true
		})
	}
}

// TestPolicyHasEveryClass: relay's table decides for each class of error.
func TestPolicyHasEveryClass(t *testing.T) {
	rows := map[llm.Class]int{}
	for _, r := range relay.DefaultPolicy() {
		rows[r.Class]++
		if r.Why == "" {
			t.Errorf("class %s has no reason", r.Class)
		}
	}
	for _, c := range llm.Classes() {
		if rows[c] != 1 {
			t.Errorf("class %s has %d rows in the policy, want 1", c, rows[c])
		}
	}
}

// reveals are the files that may read a secret's value.
var reveals = regexp.MustCompile(`internal/(llm/secret|provider/cred/cred|access/[a-z_]+|config/[a-z_]+|app/[a-z_]+|cli/[a-z_]+|vault/vault|signon/signon|admin/(routes|session|sso|members)|gateway/webhooks)\.go$`)

// TestSecretsStayInside: the places that read a credential are few and known.
func TestSecretsStayInside(t *testing.T) {
	for _, file := range sources(t, true) {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reveal" && !reveals.MatchString(file) {
				t.Errorf("%s reveals a secret", file)
			}
			return true
		})
	}
}
