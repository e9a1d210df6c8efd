package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"headrace/internal/admin"
	"headrace/internal/config"
	"headrace/internal/llm"
)

type budgetsCommand struct {
	List   budgetsList   `cmd:"" default:"1" help:"List budgets and how they stand."`
	Set    budgetsSet    `cmd:"" help:"Add a budget of one key, team or tag, or replace the one of the same window."`
	Remove budgetsRemove `cmd:"" help:"Remove a budget; what was spent is kept."`
	Settle budgetsSettle `cmd:"" help:"Give back what a run that was killed had in memory. Until then it counts as spent."`
}

type budgetsList struct{}

func (*budgetsList) Run(ctx context.Context, p *process) error {
	var list admin.BudgetList
	raw, err := p.ask(ctx, http.MethodGet, "budgets", nil, nil, &list)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	t := table{head: []string{"budget", "limit", "spent", "reserved", "lease", "lost", "left", "resets", ""}, right: columns(1, 2, 3, 4, 5, 6)}
	for _, b := range list.Budgets {
		var words []string
		if b.Reached > 0 {
			words = append(words, fmt.Sprintf("%d %% reached", b.Reached))
		}
		if b.Lost > 0 {
			words = append(words, "a killed run may have spent what is lost: budgets settle")
		}
		if b.Declared {
			words = append(words, "from the configuration")
		}
		t.row(b.ID, dollars(b.Limit), dollars(b.Spent), dollars(b.Reserved), dollars(b.Lease), dollars(b.Lost), dollars(b.Left), date(b.Resets), strings.Join(words, ", "))
	}
	return t.write(p.out)
}

// of names whose budget it is: one of three flags.
type of struct {
	Key  string `xor:"of" required:"" placeholder:"KEY" help:"The budget of this key, by its id or by its name if no other has it."`
	Team string `xor:"of" required:"" placeholder:"NAME" help:"The budget of this team."`
	Tag  string `xor:"of" required:"" placeholder:"TAG" help:"The budget of requests with this x-headrace-tags tag."`
}

// scopeOf gives the scope and its subject; a key may be named.
func (o *of) scopeOf(ctx context.Context, p *process) (scope, subject string, err error) {
	switch {
	case o.Key != "":
		subject, err = p.keyID(ctx, o.Key)
		return "key", subject, err
	case o.Team != "":
		return "team", o.Team, nil
	}
	return "tag", o.Tag, nil
}

type budgetsSet struct {
	of     `embed:""`
	Window string `arg:"" enum:"daily,weekly,monthly,total" help:"daily, weekly, monthly or total; windows follow the UTC calendar."`
	Limit  string `arg:"" help:"US dollars, such as 25 or 0.50; 0 lets nothing through."`
	Alerts []int  `placeholder:"PERCENT" help:"Percentages of the limit that are logged; 80,100 when left out."`
}

func (b *budgetsSet) Run(ctx context.Context, p *process) error {
	var limit config.Money
	if err := limit.UnmarshalText([]byte(strings.TrimPrefix(b.Limit, "$"))); err != nil {
		return &failure{ExitUsage, err}
	}
	scope, subject, err := b.scopeOf(ctx, p)
	if err != nil {
		return err
	}
	var done admin.BudgetAnswer
	raw, err := p.ask(ctx, http.MethodPost, "budgets", nil, admin.BudgetSpec{Scope: scope, Subject: subject, Window: b.Window,
		Limit: llm.Nanodollars(limit), Alerts: b.Alerts}, &done)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	_, err = fmt.Fprintf(p.out, "%s: %s, %s spent\n", clean(done.Budget.ID), dollars(done.Budget.Limit), dollars(done.Budget.Spent))
	return err
}

type budgetsRemove struct {
	of     `embed:""`
	Window string `arg:"" enum:"daily,weekly,monthly,total" help:"Which one."`
}

func (b *budgetsRemove) Run(ctx context.Context, p *process) error {
	scope, subject, err := b.scopeOf(ctx, p)
	if err != nil {
		return err
	}
	var gone admin.BudgetGone
	raw, err := p.ask(ctx, http.MethodDelete, "budgets/"+scope+"/"+b.Window+"/"+url.PathEscape(subject), nil, nil, &gone)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	_, err = fmt.Fprintf(p.out, "%s is removed\n", clean(gone.ID))
	return err
}

type budgetsSettle struct {
	of     `embed:""`
	Window string `arg:"" enum:"daily,weekly,monthly,total" help:"Which one."`
}

func (b *budgetsSettle) Run(ctx context.Context, p *process) error {
	scope, subject, err := b.scopeOf(ctx, p)
	if err != nil {
		return err
	}
	var done admin.BudgetSettled
	raw, err := p.ask(ctx, http.MethodPost, "budgets/settle", nil, admin.BudgetName{ID: scope + "/" + b.Window + "/" + subject}, &done)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	_, err = fmt.Fprintf(p.out, "%s: %s given back\n", clean(done.ID), dollars(done.Given))
	return err
}
