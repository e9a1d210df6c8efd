package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"headrace/internal/admin"
	"headrace/internal/budget"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// declared are the budgets of the configuration.
func declared(cfg *config.Config) []budget.Budget {
	var all []budget.Budget
	for _, team := range slices.Sorted(maps.Keys(cfg.Budgets.Teams)) {
		t := cfg.Budgets.Teams[team]
		alerts := t.Alerts
		if len(alerts) == 0 {
			alerts = budget.DefaultAlerts()
		}
		for _, w := range []struct {
			window budget.Window
			limit  *config.Money
		}{{budget.Daily, t.Daily}, {budget.Weekly, t.Weekly}, {budget.Monthly, t.Monthly}, {budget.Total, t.Total}} {
			if w.limit != nil {
				all = append(all, budget.Budget{ID: budget.ID{Scope: budget.Team, Subject: team, Window: w.window},
					Limit: llm.Nanodollars(*w.limit), Alerts: alerts, Fixed: true})
			}
		}
	}
	return all
}

// purses shows and changes budgets for the admin API.
type purses struct{ a *App }

// Budgets lists all budgets. A process that serves knows more of its own than
// the store does.
func (p purses) Budgets(ctx context.Context) ([]budget.State, error) {
	if !p.a.ready.Load() {
		if err := p.a.budgets.Refresh(ctx); err != nil {
			return nil, err
		}
	}
	return p.a.budgets.States(time.Now()), nil
}

// SetBudget adds or replaces a budget.
func (p purses) SetBudget(ctx context.Context, b budget.Budget) error {
	if err := p.own(b.ID); err != nil {
		return err
	}
	if err := b.Check(); err != nil {
		return err
	}
	if err := p.a.db.PutBudget(ctx, b); err != nil {
		return err
	}
	return p.a.budgets.Reload(ctx)
}

// DropBudget removes a budget.
func (p purses) DropBudget(ctx context.Context, id budget.ID) error {
	if err := p.own(id); err != nil {
		return err
	}
	was, err := p.a.db.DropBudget(ctx, id)
	switch {
	case err != nil:
		return err
	case !was:
		return llm.Errorf(llm.NotFound, "there is no budget %q", id)
	}
	return p.a.budgets.Reload(ctx)
}

// SettleBudget gives back what runs that are over had leased of the present
// window and never accounted for.
func (p purses) SettleBudget(ctx context.Context, id budget.ID) (llm.Nanodollars, error) {
	start, _ := id.Window.Bounds(time.Now())
	n, err := p.a.db.SettleLost(ctx, budget.Slot{ID: id, Start: start})
	if err != nil {
		return 0, err
	}
	return n, p.a.budgets.Reload(ctx)
}

// own refuses changes of what the configuration declares.
func (p purses) own(id budget.ID) error {
	for _, b := range declared(p.a.config()) {
		if b.ID == id {
			return llm.Errorf(llm.InvalidRequest, "budget %s is declared in the configuration: change it there", id)
		}
	}
	return nil
}

var _ admin.Budgets = purses{}
