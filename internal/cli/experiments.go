package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"headrace/internal/admin"
)

type experimentsCommand struct {
	List   experimentsList   `cmd:"" default:"withargs" help:"List experiments, or show one."`
	Start  experimentsStart  `cmd:"" help:"Begin an experiment now, or let it go on."`
	Stop   experimentsStop   `cmd:"" help:"Stop an experiment: everybody gets what they ask for."`
	Decide experimentsDecide `cmd:"" help:"Give everybody new one arm."`
}

type experimentsList struct {
	Name string `arg:"" optional:"" help:"Show this one with its arms."`
}

func (e *experimentsList) Run(ctx context.Context, p *process) error {
	if e.Name != "" {
		return e.one(ctx, p)
	}
	var list admin.ExperimentList
	raw, err := p.ask(ctx, http.MethodGet, "experiments", nil, nil, &list)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	if len(list.Experiments) == 0 {
		_, err := fmt.Fprintln(p.err, "there are no experiments: write some under experiments: in the configuration")
		return err
	}
	t := table{head: []string{"name", "on", "unit", "metric", "phase", "units", "winner", "decision"}, right: columns(5)}
	for i := range list.Experiments {
		one := &list.Experiments[i]
		units := int64(0)
		for _, a := range one.Arms {
			units += a.Units
		}
		t.row(one.Name, one.On, one.Unit, one.Metric, one.Phase, number(units), dash(one.Winner), one.Decision)
	}
	return t.write(p.out)
}

func (e *experimentsList) one(ctx context.Context, p *process) error {
	var got admin.ExperimentAnswer
	raw, err := p.ask(ctx, http.MethodGet, "experiments/"+url.PathEscape(e.Name), nil, nil, &got)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	x := &got.Experiment
	fmt.Fprintf(p.out, "%s on %s, by %s, %s: %s\n%s\n", clean(x.Name), clean(x.On), x.Unit, x.Metric, x.Phase, clean(x.Decision))
	fmt.Fprintf(p.out, "Sample ratio: %s (evidence %.3g, alarm at %.3g). Error bound: %.3g.\n\n", map[bool]string{true: "BROKEN", false: "as planned"}[x.SampleRatio.Broken], x.SampleRatio.Evidence, x.SampleRatio.Alarm, x.Error)
	t := table{head: []string{"arm", "is", "share", "units", "requests", "succeeded", "cost", x.Metric, "95 %", "against " + x.Arms[0].Name, "always valid", "guardrails"}, right: columns(2, 3, 4, 5, 6)}
	for i := range x.Arms {
		a := &x.Arms[i]
		t.row(a.Name, armIs(a), fmt.Sprintf("%.1f %%", 100*a.Share), number(a.Units), number(a.Requests), fmt.Sprintf("%.6g of %d", a.Succeeded, a.Judged), dollars(a.Cost),
			value(a.Value), interval(a.Value), value(a.Difference), interval(a.Difference), guardrails(a))
	}
	if err := t.write(p.out); err != nil || x.Shadow == nil {
		return err
	}
	fmt.Fprintf(p.out, "\nCopies: %s of the requests, %d so far, %s of %s spent\n", fmt.Sprintf("%.1f %%", 100*x.Shadow.Share), x.Shadow.Copies, dollars(x.Shadow.Spent), dollars(x.Shadow.Budget))
	pairs := table{head: []string{"on the same requests", "pairs", "success", "always valid", "cost of a request", "always valid"}, right: columns(1)}
	for _, pair := range x.Shadow.Pairs {
		pairs.row(pair.B+" less "+pair.A, number(pair.N), value(pair.Success), interval(pair.Success), value(pair.Cost), interval(pair.Cost))
	}
	return pairs.write(p.out)
}

// armIs says what an arm changes.
func armIs(a *admin.ExperimentArm) string {
	var parts []string
	if a.Model != "" {
		parts = append(parts, a.Model)
	}
	if a.Thinking != "" {
		parts = append(parts, "thinking "+a.Thinking)
	}
	for _, s := range a.Set {
		parts = append(parts, s.Name+" "+s.Value)
	}
	return cmp.Or(strings.Join(parts, ", "), "as it is")
}

func value(b *admin.Bounded) string {
	if b == nil {
		return "-"
	}
	return fmt.Sprintf("%.6g", b.Value)
}

func interval(b *admin.Bounded) string {
	if b == nil {
		return "-"
	}
	return fmt.Sprintf("%.6g to %.6g", b.Low, b.High)
}

func guardrails(a *admin.ExperimentArm) string {
	if a.Stopped != "" {
		return "STOPPED by " + a.Stopped
	}
	var parts []string
	for _, g := range a.Guardrails {
		parts = append(parts, g.Name+" "+g.Verdict)
	}
	return dash(strings.Join(parts, ", "))
}

type experimentsStart struct {
	Name string `arg:"" help:"The experiment."`
}

func (e *experimentsStart) Run(ctx context.Context, p *process) error {
	return p.experiment(ctx, e.Name, "start", nil)
}

type experimentsStop struct {
	Name string `arg:"" help:"The experiment."`
}

func (e *experimentsStop) Run(ctx context.Context, p *process) error {
	return p.experiment(ctx, e.Name, "stop", nil)
}

type experimentsDecide struct {
	Name string `arg:"" help:"The experiment."`
	Arm  string `arg:"" optional:"" help:"The arm that everybody new gets; the winner when left out."`
}

func (e *experimentsDecide) Run(ctx context.Context, p *process) error {
	return p.experiment(ctx, e.Name, "decide", admin.ExperimentDecision{Arm: e.Arm})
}

// experiment gives an order.
func (p *process) experiment(ctx context.Context, name, order string, in any) error {
	var done admin.ExperimentOrder
	raw, err := p.ask(ctx, http.MethodPost, "experiments/"+url.PathEscape(name)+"/"+order, nil, in, &done)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	_, err = fmt.Fprintf(p.out, "%s: %s is carried out within a few seconds by the gateway that serves\n", clean(done.Name), done.Order)
	return err
}
