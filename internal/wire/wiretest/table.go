package wiretest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"headrace/internal/llm"
)

// Table sums up what the suites found, by the client's and the provider's
// dialect. Its zero value is empty and ready. Safe for concurrent use.
type Table struct {
	mu     sync.Mutex // guards what follows
	cells  map[[2]llm.Dialect]*Cell
	losses map[Lost]bool
}

// Cell is one pair of dialects.
type Cell struct {
	// Cases counts the recordings and cases of our own that were tried.
	Cases int
	// Exact counts those that passed byte for byte, both ways.
	Exact int
	// Checks counts the comparisons that held, Excepted those that do not and
	// are explained in exceptions.tsv, Failed the rest.
	Checks, Excepted, Failed int
	// Lossy counts the requests that the provider's dialect could not express in
	// full and said so.
	Lossy int

	seen map[string]bool
}

// Lost is a declared loss: something of a request in From that To cannot
// express. Places and values of the single request are taken out.
type Lost struct {
	From, To llm.Dialect
	Path     string
	Kind     llm.LossKind
	Why      string
}

func (t *Table) cell(client, provider llm.Dialect) *Cell {
	if t.cells == nil {
		t.cells, t.losses = map[[2]llm.Dialect]*Cell{}, map[Lost]bool{}
	}
	k := [2]llm.Dialect{client, provider}
	if t.cells[k] == nil {
		t.cells[k] = &Cell{seen: map[string]bool{}}
	}
	return t.cells[k]
}

// note counts one check. suite is the suite's dialect, which is the provider's
// unless the check is of a request.
func (t *Table) note(r *Record, suite llm.Dialect, check string, err error, excepted bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	client, provider := suite, suite
	name := strings.NewReplacer("-streamed", "", "-whole", "", "-error", "", "-request", "", "-array", "", "-generate", "").Replace(check)
	if to, ok := strings.CutPrefix(check, "request-to-"); ok {
		provider = llm.Dialect(to)
	} else {
		for _, before := range []string{"stream-to-", "to-", "two-turns-", "from-"} {
			if to, ok := strings.CutPrefix(name, before); ok {
				client = llm.Dialect(to)
				break
			}
		}
	}
	c := t.cell(client, provider)
	if !c.seen[r.ID] {
		c.seen[r.ID] = true
		c.Cases++
	}
	switch {
	case err == nil:
		c.Checks++
		if check == "pass-response" {
			c.Exact++
		}
	case excepted:
		c.Excepted++
	default:
		c.Failed++
	}
}

var (
	numbers = regexp.MustCompile(`[0-9]+`)
	quoted  = regexp.MustCompile(`"[^"]*"`)
	callIDs = regexp.MustCompile(`\b(?:toolu|srvtoolu|call|fc|chatcmpl-tool)[-_][-_A-Za-z0-9]+`)
)

// general takes places and values of one request out of a text.
func general(s string) string {
	return quoted.ReplaceAllString(numbers.ReplaceAllString(callIDs.ReplaceAllString(s, "ID"), "N"), `"..."`)
}

// lost notes what a request lost on its way.
func (t *Table) lost(from, to llm.Dialect, losses []llm.Loss) {
	if t == nil || len(losses) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cell(from, to).Lossy++
	for _, l := range losses {
		t.losses[Lost{from, to, numbers.ReplaceAllString(l.Path, "N"), l.Kind, general(l.Why)}] = true
	}
}

// Losses gives the declared losses of requests to a dialect, sorted.
func (t *Table) Losses(to llm.Dialect) []Lost {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Lost
	for l := range maps.Keys(t.losses) {
		if l.To == to {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b Lost) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return all
}

// Failed counts the checks that did not hold.
func (t *Table) Failed() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.cells {
		n += c.Failed
	}
	return n
}

// String writes the table: a line for each pair of dialects.
func (t *Table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "client\tprovider\tcases\texact bytes\tchecks held\tlossy requests, told\texplained\tfailures\t")
	for _, client := range Dialects() {
		for _, provider := range Dialects() {
			c := t.cells[[2]llm.Dialect{client, provider}]
			if c == nil {
				continue
			}
			exact := "-"
			if client == provider {
				exact = fmt.Sprint(c.Exact)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t\n", client, provider, c.Cases, exact, c.Checks, c.Lossy, c.Excepted, c.Failed)
		}
	}
	w.Flush()
	return b.String()
}

// The marks between which a document lists the losses.
const (
	lossesBegin = "<!-- losses: begin -->"
	lossesEnd   = "<!-- losses: end -->"
)

// LossesDoc writes the losses of requests to a dialect into its document,
// between its marks or, where it has none, in a section at its end.
func LossesDoc(doc string, losses []Lost) string {
	var b strings.Builder
	b.WriteString(lossesBegin + "\n\n| from | what | loss | why |\n|---|---|---|---|\n")
	for _, l := range losses {
		b.WriteString(lossRow(l))
	}
	b.WriteString("\n" + lossesEnd)
	before, rest, ok := strings.Cut(doc, lossesBegin)
	_, behind, ok2 := strings.Cut(rest, lossesEnd)
	if !ok || !ok2 {
		return strings.TrimRight(doc, "\n") + "\n\n## Losses of recorded requests\n\n" +
			"Written by `HEADRACE_FULL=1 go test ./internal/wire/wiretest -run Matrix -update`: what the recorded requests of other dialects lose\n" +
			"on their way to a target of this one of which nothing is known. What a known model refuses besides is in the tables above.\n\n" + b.String() + "\n"
	}
	return before + b.String() + behind
}

func lossRow(l Lost) string {
	why := strings.ReplaceAll(l.Why, "|", `\|`)
	return fmt.Sprintf("| %s | `%s` | %s | %s |\n", l.From, l.Path, l.Kind, why)
}

// Undeclared gives the losses that a document does not list.
func Undeclared(doc string, losses []Lost) (missing []Lost) {
	for _, l := range losses {
		if !strings.Contains(doc, lossRow(l)) {
			missing = append(missing, l)
		}
	}
	return missing
}
