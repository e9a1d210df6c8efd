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

type explainRequest struct {
	ID string `arg:"" name:"request-id" help:"The id of a request: x-headrace-request-id, req_..."`
}

func (e *explainRequest) Run(ctx context.Context, p *process) error {
	var x admin.Explanation
	raw, err := p.ask(ctx, http.MethodGet, "requests/"+url.PathEscape(e.ID)+"/explain", nil, nil, &x)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	return p.explain(&x)
}

// explain prints why a request went where it went.
func (p *process) explain(x *admin.Explanation) error {
	r := &x.Request
	answered := "nobody answered"
	if r.Provider != "" {
		answered = "answered by " + r.Provider + "/" + r.Model
	}
	end := "ended well"
	switch {
	case r.Class != "":
		end = string(r.Class)
	case x.Fault != "":
		end = "but " + x.Fault
	}
	fmt.Fprintf(p.out, "%s  %s  asked for %s, %s, %s\n", clean(r.ID), r.Start.Format("2006-01-02 15:04:05"), clean(r.Asked), clean(answered), clean(end))
	if x.Task != "" {
		fmt.Fprintf(p.out, "task    %s\n", clean(x.Task))
	}
	if x.Rule != "" {
		fmt.Fprintf(p.out, "chosen  %s\n", clean(strings.TrimSuffix(fmt.Sprintf("%s, with a chance of %s: %s", x.Rule, percent(x.Chance), x.Why), ": ")))
		given := "nothing, so the best answers"
		if x.Delta >= 0 {
			given = percent(x.Delta) + " of success against the best"
		}
		fmt.Fprintf(p.out, "rests   on feedback worth %.1f labels; may give up %s\n", x.Labels, given)
	} else {
		fmt.Fprintf(p.out, "chosen  %s\n", clean(x.Why))
	}
	fmt.Fprintln(p.out)
	t := table{head: []string{"", "target", "thinking", "success", "chance", "cost", "first token", ""}, right: columns(3, 4, 5, 6)}
	for _, c := range x.Candidates {
		mark := ""
		switch {
		case c.First:
			mark = "->"
		case c.Asked:
			mark = "+"
		}
		cost, pace, success := "-", "-", "-"
		if c.ExpectedCost != nil {
			cost = dollars(*c.ExpectedCost)
		}
		if c.ExpectedFirstToken > 0 {
			pace = fmt.Sprintf("%d ms", c.ExpectedFirstToken)
		}
		if x.Rule != "" && c.Rung > 0 {
			success = percent(c.ExpectedSuccess)
		}
		why := c.Left
		if c.Collapsed {
			why = strings.TrimSpace(why + " it has collapsed")
		}
		t.row(mark, c.Target, dash(c.Thinking), success, percent(c.Chance), cost, pace, why)
	}
	if err := t.write(p.out); err != nil {
		return err
	}
	if len(r.Attempts) > 0 {
		fmt.Fprintln(p.out)
	}
	a := table{head: []string{"#", "target", "status", "took", "cost", "why", "then"}, right: columns(0, 3, 4)}
	for _, one := range r.Attempts {
		cost := "unpriced"
		if one.Cost.Priced {
			cost = dollars(one.Cost.Nanodollars)
		}
		then := cmp.Or(one.Message, string(one.Class), "answered")
		if one.Class != "" && one.Message != "" {
			then = string(one.Class) + ": " + one.Message
		}
		a.row(fmt.Sprint(one.N), one.Provider+"/"+one.Model, fmt.Sprint(one.Status), fmt.Sprintf("%d ms", one.Total), cost, one.Why, then)
	}
	if len(a.rows) > 0 {
		if err := a.write(p.out); err != nil {
			return err
		}
	}
	for _, f := range x.Feedback {
		kind := "implicit"
		if f.Explicit {
			kind = "explicit"
		}
		fmt.Fprintf(p.out, "\n%s  %s %s: %s", f.At.Format("2006-01-02 15:04:05"), kind, clean(f.Signal), percent(f.Score))
	}
	if len(x.Feedback) > 0 {
		fmt.Fprintln(p.out)
	}
	_, err := fmt.Fprintf(p.out, "\ncounts as %s of a success\n", percent(x.Success))
	return err
}

// percent writes a part of one.
func percent(p float64) string { return fmt.Sprintf("%.4g %%", 100*p) }

type successCommand struct {
	By    []string `default:"route,task,model" enum:"route,task,model" help:"What a row stands for: route, task, model or some of them."`
	Since string   `placeholder:"7d" help:"Leave out what is older, in whole days: 7d, 2026-11-23."`
	Until string   `placeholder:"TIME" help:"Leave out what is newer, written like --since."`
}

func (s *successCommand) Run(ctx context.Context, p *process) error {
	q := url.Values{"by": {strings.Join(s.By, ",")}}
	if s.Since != "" {
		q.Set("since", s.Since)
	}
	if s.Until != "" {
		q.Set("until", s.Until)
	}
	var a admin.SuccessAnswer
	raw, err := p.ask(ctx, http.MethodGet, "success", q, nil, &a)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	n := len(s.By)
	t := table{head: append(append([]string{}, s.By...), "requests", "escalated", "ended well", "said good", "signs of failure", "successes", "cost", "each success", ""),
		right: columns(n, n+1, n+2, n+3, n+4, n+5, n+6, n+7)}
	for _, r := range a.Rows {
		var row []string
		for _, by := range s.By {
			row = append(row, dash(map[string]string{"route": r.Route, "task": r.Task, "model": r.Model}[by]))
		}
		said, each, word := "-", "-", ""
		if r.Explicit > 0 {
			said = fmt.Sprintf("%s of %s", percent(r.ExplicitScore), number(r.Explicit))
		}
		if r.CostPerSuccess != nil {
			each = dollars(*r.CostPerSuccess)
		}
		if r.Unpriced > 0 {
			word = fmt.Sprintf("+ %s unpriced", number(r.Unpriced))
		}
		t.row(append(row, number(r.Requests), number(r.Escalated), number(r.EndedWell), said, number(r.Implicit), fmt.Sprintf("%.4g", r.Successes), dollars(r.Cost), each, word)...)
	}
	return t.write(p.out)
}
