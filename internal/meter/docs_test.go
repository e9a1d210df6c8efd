package meter_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/internal/health"
	"headrace/internal/llm"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const (
	metricsDoc = "../../docs/metrics.md"
	grafana    = "../../deploy/grafana/headrace.json"
	alertRules = "../../deploy/prometheus/headrace.rules.yaml"
)

// family is a metric as /metrics tells it.
type family struct{ name, kind, help, labels string }

// families reads what /metrics says when there is something of everything.
func families(t *testing.T) []family {
	t.Helper()
	table := health.New(health.Options{})
	for _, r := range []health.Result{
		{FirstByte: time.Second, Total: 2 * time.Second, Output: 9, Cost: 2e9, Priced: true},
		{Class: llm.ServerError, Total: time.Second},
	} {
		p, _, _ := table.Allow(health.Target{Provider: "p", Model: "m"}, false)
		p.Done(r)
	}
	priced := health.New(health.Options{}) // a cost per success wants all prices
	p, _, _ := priced.Allow(health.Target{Provider: "p", Model: "m"}, false)
	p.Done(health.Result{FirstByte: time.Second, Total: 2 * time.Second, Output: 9, Cost: 2e9, Priced: true})
	var all []family
	label := regexp.MustCompile(`(\w+)="`)
	for _, text := range []string{scrape(t, table), scrape(t, priced)} {
		help, kind := map[string]string{}, map[string]string{}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
				name, words, _ := strings.Cut(rest, " ")
				help[name] = words
				continue
			}
			if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
				name, word, _ := strings.Cut(rest, " ")
				kind[name] = word
				continue
			}
			name := line[:strings.IndexAny(line, "{ ")]
			if !strings.HasPrefix(name, "headrace_") || slices.ContainsFunc(all, func(f family) bool { return f.name == name }) {
				continue
			}
			var labels []string
			for _, m := range label.FindAllStringSubmatch(line, -1) {
				labels = append(labels, "`"+m[1]+"`")
			}
			all = append(all, family{name, kind[name], help[name], strings.Join(labels, ", ")})
		}
	}
	slices.SortFunc(all, func(x, y family) int { return strings.Compare(x.name, y.name) })
	return all
}

// TestDocumented keeps docs/metrics.md equal to what /metrics says of itself.
func TestDocumented(t *testing.T) {
	source, err := os.ReadFile("meter.go")
	if err != nil {
		t.Fatal(err)
	}
	all := families(t)
	for _, m := range regexp.MustCompile(`NewDesc\("(headrace_\w+)"`).FindAllStringSubmatch(string(source), -1) {
		if !slices.ContainsFunc(all, func(f family) bool { return f.name == m[1] }) {
			t.Errorf("%s is not among the figures of this test, so it is not documented", m[1])
		}
	}
	var b strings.Builder
	b.WriteString(`# Metrics

<!-- Written by go test ./internal/meter -update from what /metrics says. -->

` + "`/metrics`" + ` speaks Prometheus' text format. It is open where only this machine can connect; on any other address it wants an admin token as
` + "`Authorization: Bearer`" + `. A Grafana dashboard is in [deploy/grafana](../deploy/grafana/headrace.json), alert rules are in
[deploy/prometheus](../deploy/prometheus/headrace.rules.yaml); tests hold both to the names below.

Series are bounded: at most a thousand targets (provider and model) are kept, credentials and their kinds of limits are as many as the
configuration names, and no label holds a key, a team, a tag or anything else that a client writes; but the route and the task of
` + "`headrace_route_*`" + `, of which the 200 largest groups of the day are shown.

| name | type | labels | what it is |
|---|---|---|---|
`)
	for _, f := range all {
		labels := f.labels
		if labels == "" {
			labels = "-"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kind, labels, f.help)
	}
	b.WriteString("\nBeside them are Go's own (`go_*`) and the process's (`process_*`). The sums of a key, a team or a tag are in the ledger:\n`headrace usage`, and the admin API.\n\n```sh\nheadrace serve --data ./metrics-state --listen 127.0.0.1:18080 & server=$!\nuntil curl -sf http://127.0.0.1:18080/readyz; do sleep 0.1; done\ncurl -s http://127.0.0.1:18080/metrics | grep '^headrace_'\nkill $server; wait $server\n```\n")
	if *update {
		if err := os.WriteFile(metricsDoc, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	had, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(had) != b.String() {
		t.Errorf("%s is not what /metrics says: go test ./internal/meter -update", metricsDoc)
	}
}

// TestDashboards: the dashboard and the alert rules ask for figures that are
// there.
func TestDashboards(t *testing.T) {
	all := families(t)
	name := regexp.MustCompile(`headrace_[a-z_]+`)
	used := map[string]bool{}
	for _, file := range []string{grafana, alertRules} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range name.FindAllString(string(text), -1) {
			used[n] = true
			if !slices.ContainsFunc(all, func(f family) bool { return f.name == n }) {
				t.Errorf("%s asks for %s, which is not there", file, n)
			}
		}
	}
	if len(used) < 15 {
		t.Errorf("only %d figures are shown", len(used))
	}
	var board struct {
		Panels []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(grafana)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &board); err != nil || len(board.Panels) < 10 {
		t.Fatalf("%v, %d panels", err, len(board.Panels))
	}
	for i, p := range board.Panels {
		if p.Title == "" || len(p.Targets) == 0 || p.GridPos.W == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d: %+v", i, p)
		}
		for _, q := range p.Targets {
			if strings.Count(q.Expr, "(") != strings.Count(q.Expr, ")") || q.Expr == "" {
				t.Errorf("%s: %s", p.Title, q.Expr)
			}
		}
	}
}
