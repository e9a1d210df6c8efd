package wiretest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"headrace/internal/llm"
)

// tally counts what a suite did and applies the exceptions. Safe for
// concurrent use.
type tally struct {
	t     testing.TB
	suite string
	// table, if any, sums up what the suites find; dialect is the suite's.
	table   *Table
	dialect llm.Dialect

	mu         sync.Mutex // guards what follows
	counts     map[string]*count
	seen       map[string]bool
	skipped    map[string]int
	exceptions []*exception
	failures   int
}

type count struct{ passed, excepted, failed int }

// exception is a line of testdata/wire/exceptions.tsv: which record (an id, or
// "key:value" of provider, feature, repo or status), which check (a suite and
// a check, such as "openai/translate"), and why.
type exception struct {
	pattern, check, reason string
	line                   int
	used                   int
	ran                    int
}

const maxFailures = 25 // printed; the rest are counted

func newTally(t testing.TB, suite string, d llm.Dialect, table *Table) *tally {
	t.Helper()
	c := &tally{t: t, suite: suite, table: table, dialect: d, counts: map[string]*count{}, seen: map[string]bool{}, skipped: map[string]int{}}
	name := filepath.Join(Root(), "testdata", "wire", "exceptions.tsv")
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return c
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, "\t")
		if len(parts) != 3 || strings.TrimSpace(parts[2]) == "" {
			t.Fatalf("%s:%d: want three columns: record, check, reason", name, n)
		}
		if strings.HasPrefix(parts[1], suite+"/") {
			c.exceptions = append(c.exceptions, &exception{pattern: parts[0], check: strings.TrimPrefix(parts[1], suite+"/"), reason: parts[2], line: n})
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// A check of "from-*" means every client's but that of the suite's own dialect.
func (e *exception) matches(r *Record, check, own string) bool {
	if before, ok := strings.CutSuffix(e.check, "*"); ok && !strings.HasPrefix(check, before) || !ok && e.check != check || ok && check == before+own {
		return false
	}
	key, value, ok := strings.Cut(e.pattern, ":")
	if !ok {
		return e.pattern == r.ID
	}
	switch key {
	case "provider":
		return r.Provider == value
	case "feature":
		return r.Has(value)
	case "repo":
		return strings.HasSuffix(r.Repo, value)
	case "status":
		return fmt.Sprint(r.Response.Status) == value
	}
	return false
}

// check notes one check of one record.
func (c *tally) check(r *Record, name string, err error) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[r.ID] = true
	n := c.counts[name]
	if n == nil {
		n = &count{}
		c.counts[name] = n
	}
	excepted := false
	for _, e := range c.exceptions {
		if e.matches(r, name, string(c.dialect)) {
			e.ran++
			if err != nil {
				e.used++
				excepted = true
			}
		}
	}
	c.table.note(r, c.dialect, name, err, excepted)
	switch {
	case err == nil:
		n.passed++
	case excepted:
		n.excepted++
	default:
		n.failed++
		if c.failures++; c.failures <= maxFailures || os.Getenv("HEADRACE_VERBOSE") == "1" {
			c.t.Errorf("%s/%s: record %s (%s, %s): %v", c.suite, name, r.ID, r.Provider, r.SourcePath, err)
		} else {
			c.t.Fail()
		}
	}
}

// skip notes that a record is not run, and why.
func (c *tally) skip(r *Record, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[r.ID] = true
	c.skipped[why]++
}

// report prints the counts and fails on exceptions that nothing needs.
func (c *tally) report() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d records seen", c.suite, len(c.seen))
	for _, name := range slices.Sorted(maps.Keys(c.counts)) {
		n := c.counts[name]
		fmt.Fprintf(&b, "\n  %-20s %5d passed, %d excepted, %d failed", name, n.passed, n.excepted, n.failed)
	}
	for _, why := range slices.Sorted(maps.Keys(c.skipped)) {
		fmt.Fprintf(&b, "\n  skipped %d: %s", c.skipped[why], why)
	}
	if c.failures > maxFailures {
		fmt.Fprintf(&b, "\n  %d failures, the first %d are shown; HEADRACE_VERBOSE=1 shows all", c.failures, maxFailures)
	}
	c.t.Log(b.String())
	for _, e := range c.exceptions {
		// A pattern may need a record that this slice has left out.
		if e.used == 0 && e.ran > 0 && (Full() || !strings.Contains(e.pattern, ":")) {
			c.t.Errorf("exceptions.tsv:%d: %s %s/%s is not needed any more: the check passed %d times", e.line, e.pattern, c.suite, e.check, e.ran)
		}
	}
}
