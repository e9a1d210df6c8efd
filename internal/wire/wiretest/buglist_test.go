package wiretest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"headrace/internal/wire/wiretest"
)

// TestBugList: docs/wire/bugs.md has a row for each of the forty, each names a
// test or says what is open, and every test that it names is there.
func TestBugList(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(filepath.Join(wiretest.Root(), "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(b, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join(wiretest.Root(), "docs", "wire", "bugs.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| [^|]+ \| ([^|]+) \|$`).FindAllStringSubmatch(string(doc), -1)
	if len(rows) != 40 {
		t.Fatalf("%d rows, want 40", len(rows))
	}
	listed := map[string]bool{}
	for _, r := range rows {
		names := regexp.MustCompile(`\bTest\w+`).FindAllString(r[2], -1)
		if len(names) == 0 {
			t.Errorf("fault %s names no test", r[1])
		}
		for _, n := range names {
			if listed[n] = true; !tests[n] {
				t.Errorf("fault %s names %s, which is not there", r[1], n)
			}
		}
		if strings.Contains(r[2], "open:") {
			t.Logf("fault %s: %s", r[1], r[2])
		}
	}
	for n := range tests {
		if strings.HasPrefix(n, "TestBug0") || strings.HasPrefix(n, "TestBug1") || strings.HasPrefix(n, "TestBug2") || strings.HasPrefix(n, "TestBug3") || strings.HasPrefix(n, "TestBug4") {
			if !listed[n] {
				t.Errorf("%s stands in no row", n)
			}
		}
	}
}
