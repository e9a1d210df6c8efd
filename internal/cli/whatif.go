package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"headrace/internal/admin"
)

type replayCommand struct {
	With  string `required:"" placeholder:"FILE" help:"The other configuration."`
	Since string `default:"7d" help:"Leave out what is older: a length of time, a day or an RFC 3339 time."`
	Until string `help:"Leave out what is not older, written like --since."`
	Asked string `placeholder:"NAME" help:"Only requests that asked for this route or model."`
	List  int    `default:"20" help:"How many of the requests that would change are listed."`
}

func (r *replayCommand) Run(ctx context.Context, p *process) error {
	text, err := os.ReadFile(r.With)
	if err != nil {
		return err
	}
	if _, err := p.loadFile(r.With); err != nil {
		return err // with the lines of the file
	}
	query := url.Values{"since": {r.Since}}
	for name, v := range map[string]string{"until": r.Until, "asked": r.Asked} {
		if v != "" {
			query.Set(name, v)
		}
	}
	var got admin.Replay
	raw, err := p.ask(ctx, http.MethodPost, "replay", query, admin.ReplayBody{Config: string(text)}, &got)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	fmt.Fprintf(p.out, "%s requests: %s would go where they went, %s elsewhere, %s nowhere (%s rows left out)\n", number(got.Requests), number(got.Same), number(got.Changed), number(got.Refused), number(got.Skipped))
	fmt.Fprintf(p.out, "Success of what would change: %s\n\n", map[string]string{"doubly_robust": "doubly robust, by the chances of the choices", "mixed": fmt.Sprintf("doubly robust for %d, else by what the new targets did for others", got.Robust),
		"direct": "by what the new targets did for others"}[got.Method])
	t := table{head: []string{"", "as it was", "95 %", "with " + r.With, "95 %"}, right: columns(1, 3)}
	for _, row := range []struct {
		name    string
		was, is *admin.Bounded
	}{{"success", got.SuccessWas, got.Success}, {"cost of a request, $", got.CostWas, got.Cost}, {"latency, s", got.LatencyWas, got.Latency}} {
		t.row(row.name, value(row.was), interval(row.was), value(row.is), interval(row.is))
	}
	if got.CostPerSuccessWas > 0 && got.CostPerSuccess > 0 {
		t.row("cost per success, $", fmt.Sprintf("%.6g", got.CostPerSuccessWas), "", fmt.Sprintf("%.6g", got.CostPerSuccess), "")
	}
	if err := t.write(p.out); err != nil {
		return err
	}
	for _, note := range got.Notes {
		fmt.Fprintln(p.out, "- "+clean(note))
	}
	if len(got.Changes) == 0 || r.List <= 0 {
		return nil
	}
	fmt.Fprintln(p.out)
	c := table{head: []string{"id", "start", "asked", "from", "to", "cost was", "cost", "success", "why"}, right: columns(5, 6, 7)}
	for i := range got.Changes[:min(len(got.Changes), r.List)] {
		one := &got.Changes[i]
		was, is, success := "-", "-", "-"
		if one.CostWas != nil && one.Cost != nil {
			was, is = dollars(*one.CostWas), dollars(*one.Cost)
		}
		if one.To != "" {
			success = fmt.Sprintf("%.3f", one.Success)
		}
		c.row(one.ID, date(one.Start), one.Asked, one.From, dash(one.To), was, is, success, one.Why)
	}
	if err := c.write(p.out); err != nil {
		return err
	}
	if more := len(got.Changes) - r.List; more > 0 {
		fmt.Fprintf(p.out, "and %s more (--list, --json)\n", number(int64(more)))
	}
	return nil
}

type compareCommand struct {
	Workload string `placeholder:"KEY|ROUTE|FILE" help:"A key's id or name, a route or model that was asked for, or a file of requests as JSON lines; all requests when left out."`
	Since    string `default:"7d" help:"Leave out what is older: a length of time, a day or an RFC 3339 time."`
	Until    string `help:"Leave out what is not older, written like --since."`
	Output   int64  `default:"500" help:"How long answers are taken to be, in tokens, for requests of a file that name no cap below that."`
	All      bool   `help:"Models of providers that are not configured, too."`
	List     int    `default:"40" help:"How many models are listed; 0 lists all."`
}

func (c *compareCommand) Run(ctx context.Context, p *process) error {
	var got admin.Comparison
	raw, err := c.ask(ctx, p, &got)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	w := &got.Workload
	fmt.Fprintf(p.out, "%s requests, %s prompt and %s output tokens", number(w.Requests), number(w.Prompt), number(w.Output))
	if w.Cost > 0 || w.Unpriced == 0 {
		fmt.Fprintf(p.out, ", %s", dollars(w.Cost))
	}
	if w.Unpriced > 0 {
		fmt.Fprintf(p.out, " (%s without a known cost)", number(w.Unpriced))
	}
	fmt.Fprintln(p.out)
	t := table{head: []string{"model", "cost", "against", "prompt tokens", "ratio", "tokenizer", "not served"}, right: columns(1, 2, 3, 4)}
	shown := len(got.Models)
	if c.List > 0 {
		shown = min(shown, c.List)
	}
	for i := range got.Models[:shown] {
		m := &got.Models[i]
		cost, against := "?", ""
		if m.Cost != nil {
			cost = dollars(*m.Cost)
		}
		if m.Against != nil {
			against = fmt.Sprintf("%+.0f %%", 100**m.Against)
		}
		t.row(m.ID, cost, against, number(m.Prompt), fmt.Sprintf("%.2f", m.Ratio), m.Tokenizer, notServed(m))
	}
	if err := t.write(p.out); err != nil {
		return err
	}
	if more := len(got.Models) - shown; more > 0 {
		fmt.Fprintf(p.out, "and %s more (--list 0)\n", number(int64(more)))
	}
	for _, note := range got.Notes {
		fmt.Fprintln(p.out, "- "+clean(note))
	}
	return nil
}

// ask finds out what the workload is, and asks.
func (c *compareCommand) ask(ctx context.Context, p *process, got *admin.Comparison) (raw []byte, err error) {
	if c.Workload != "" {
		text, err := os.ReadFile(c.Workload)
		if err == nil {
			items, err := p.app.Workload(text, c.Output)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Workload, err)
			}
			return p.ask(ctx, http.MethodPost, "compare", nil, admin.Workload{Items: items, All: c.All}, got)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	query := url.Values{"since": {c.Since}}
	if c.Until != "" {
		query.Set("until", c.Until)
	}
	if c.All {
		query.Set("all", "true")
	}
	if c.Workload != "" {
		id, err := p.keyID(ctx, c.Workload)
		if err != nil {
			return nil, err
		}
		if id != c.Workload || strings.HasPrefix(id, "key_") {
			query.Set("key", id)
		} else {
			query.Set("asked", c.Workload)
		}
	}
	return p.ask(ctx, http.MethodGet, "compare", query, nil, got)
}

// notServed says which requests a model could not have answered.
func notServed(m *admin.ModelCost) string {
	var parts []string
	if m.TooLong > 0 {
		parts = append(parts, number(m.TooLong)+" too long")
	}
	if m.CannotDo > 0 {
		parts = append(parts, number(m.CannotDo)+" need "+strings.Join(m.Lacks, ", "))
	}
	if m.Unknown {
		parts = append(parts, "what it can do is not known")
	}
	return dash(strings.Join(parts, "; "))
}
