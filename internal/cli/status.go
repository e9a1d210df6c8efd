package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"headrace/internal/admin"
	"headrace/internal/llm"
)

type statusCommand struct{}

func (*statusCommand) Run(ctx context.Context, p *process) error {
	if p.URL == "" && p.env.URL == "" {
		// The data directory does not say how a gateway is doing.
		return &failure{ExitUsage, errors.New("status asks a gateway that runs: give --url or HEADRACE_URL, and HEADRACE_ADMIN_TOKEN")}
	}
	var s admin.Status
	raw, err := p.ask(ctx, http.MethodGet, "status", nil, nil, &s)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	word := "not ready"
	if s.Ready {
		word = "ready"
	}
	fmt.Fprintf(p.out, "Headrace %s is %s on %s since %s: %d providers, %d keys, %d requests running\n",
		clean(s.Version), word, clean(s.Listen), s.Started.Local().Format(time.DateTime), s.Providers, s.Keys, s.Streams)
	if s.LedgerWaiting > 0 || s.LedgerDropped > 0 {
		fmt.Fprintf(p.out, "Ledger: %s rows wait to be written, %s were lost\n", number(s.LedgerWaiting), number(s.LedgerDropped))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(p.out, "Note: %s\n", clean(n))
	}
	if len(s.Targets) == 0 {
		_, err = fmt.Fprintln(p.out, "No model has been asked yet.")
		return err
	}
	fmt.Fprintln(p.out, "\nThe last 15 minutes:")
	t := table{head: []string{"target", "breaker", "running", "attempts", "success", "first p50", "p90", "p99", "token p50", "cost/success", "failed"},
		right: columns(2, 3, 4, 5, 6, 7, 8, 9)}
	for i := range s.Targets {
		g := &s.Targets[i]
		cost := "-"
		if g.CostPerSuccess != nil {
			cost = dollars(llm.Nanodollars(*g.CostPerSuccess))
		}
		var failed []string
		for _, f := range g.Failed {
			failed = append(failed, number(f.Count)+" "+f.Class)
		}
		t.row(g.Provider+"/"+g.Model, g.Breaker, number(g.Running), number(g.Attempts), fmt.Sprintf("%.1f %%", 100*g.SuccessRate),
			seconds(g.FirstByte, g.FirstByte.P50), seconds(g.FirstByte, g.FirstByte.P90), seconds(g.FirstByte, g.FirstByte.P99),
			seconds(g.PerToken, g.PerToken.P50), cost, dash(strings.Join(failed, ", ")))
	}
	return t.write(p.out)
}

// seconds shows one of some quantiles.
func seconds(q admin.Quantiles, v float64) string {
	if q.Count == 0 {
		return "-"
	}
	d := time.Duration(v * float64(time.Second))
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
