package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	fmt.Fprintln(p.out, load(&s.Load))
	for _, n := range s.Notes {
		fmt.Fprintf(p.out, "Note: %s\n", clean(n))
	}
	if err := credentials(p.out, s.Credentials, time.Now()); err != nil {
		return err
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
		success := "-" // nothing was tried
		if g.Attempts > 0 {
			success = fmt.Sprintf("%.1f %%", 100*g.SuccessRate)
		}
		var failed []string
		for _, f := range g.Failed {
			failed = append(failed, number(f.Count)+" "+f.Class)
		}
		t.row(g.Provider+"/"+g.Model, g.Breaker, number(g.Running), number(g.Attempts), success,
			seconds(g.FirstByte, g.FirstByte.P50), seconds(g.FirstByte, g.FirstByte.P90), seconds(g.FirstByte, g.FirstByte.P99),
			seconds(g.PerToken, g.PerToken.P50), cost, dash(strings.Join(failed, ", ")))
	}
	return t.write(p.out)
}

// load is one line on what there is to do.
func load(l *admin.Load) string {
	s := fmt.Sprintf("Load: %s let in", number(int64(l.Running)))
	if l.Most > 0 {
		s += fmt.Sprintf(" (%s may run now, of %s)", number(int64(l.Limit)), number(int64(l.Most)))
	}
	s += ", " + number(int64(l.Waiting)) + " waiting" + counts(l.Queued) + ", bodies of " + number(l.BodyBytes) + " bytes"
	turned := int64(0)
	for _, c := range l.Shed {
		turned += c.Count
	}
	return s + ", " + number(turned) + " turned away since the start" + counts(l.Shed)
}

// counts names those that are not 0.
func counts(list []admin.Count) string {
	var some []string
	for _, c := range list {
		if c.Count != 0 {
			some = append(some, number(c.Count)+" "+clean(c.Name))
		}
	}
	if some == nil {
		return ""
	}
	return " (" + strings.Join(some, ", ") + ")"
}

// shownLimits is how many limits of a credential the table shows.
const shownLimits = 3

// credentials shows the credentials and what is left of their limits.
func credentials(w io.Writer, list []admin.CredentialState, now time.Time) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := table{head: []string{"credential", "state", "running", "left of its limits", "why"}, right: columns(2)}
	for i := range list {
		c := &list[i]
		var left, why []string
		if c.Parallel > 0 {
			left = append(left, fmt.Sprintf("%s of %s parallel", number(int64(max(c.Parallel-c.Running, 0))), number(int64(c.Parallel))))
		}
		for n := range c.Limits {
			if len(left) == shownLimits {
				left = append(left, fmt.Sprintf("%d more", len(c.Limits)-n+c.MoreLimits))
				break
			}
			l := &c.Limits[n]
			one := fmt.Sprintf("%s of %s %s", number(l.Left), number(l.Limit), strings.ReplaceAll(l.Kind, "_", " "))
			if l.Model != "" {
				one += " " + l.Model
			}
			if l.Source == "learned" {
				one += " (learned)"
			}
			left = append(left, one)
		}
		for _, o := range c.SetAside {
			why = append(why, fmt.Sprintf("%s set aside %s, %s: %s", o.Op, until(o.Until, now), o.Class, o.Message))
		}
		for _, o := range c.Pauses {
			why = append(why, fmt.Sprintf("%s rate limited %s", cmp.Or(o.Model, "all"), until(o.Until, now)))
		}
		t.row(c.Provider+" "+c.Name, strings.ReplaceAll(c.State, "_", " "), number(int64(c.Running)), dash(strings.Join(left, ", ")), dash(strings.Join(why, "; ")))
	}
	return t.write(w)
}

// until says how long it is to a time.
func until(t, now time.Time) string {
	left := t.Sub(now).Round(time.Second)
	if left <= 0 {
		return "until the next request probes it"
	}
	return "for " + left.String()
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
