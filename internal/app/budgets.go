package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"headrace/internal/admin"
	"headrace/internal/budget"
	"headrace/internal/config"
	"headrace/internal/ledger"
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

// marksFile says in the data directory what is free of the leases of a run.
const marksFile = "leases.free"

// boot names the time since this machine was started; empty where that is not
// known.
func boot() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id") // Linux
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// markLeases gives back what a run that was killed had leased and that no request
// had touched, says what of its leases counts as spent, and begins to write down
// the same of this run. done ends that.
func (a *App) markLeases(ctx context.Context, killed []ledger.Run) (done func()) {
	path, since := filepath.Join(a.data, marksFile), boot()
	run, left, err := budget.ReadMarks(path, since)
	if err != nil {
		a.log.Warn("what a killed run had not used of its leases is not known", "error", err)
	}
	// First the file, so that nothing is given back twice.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Error("leases of this run cannot be told from what is spent after a kill", "error", err)
		return func() {}
	}
	if len(left) > 0 && slices.ContainsFunc(killed, func(r ledger.Run) bool { return int64(r.ID) == run }) {
		a.giveBack(ctx, run, left)
	}
	a.tellLost(ctx)
	if since == "" {
		return func() {}
	}
	m, err := budget.NewMarks(path, since, int64(a.ledger.RunID()), func(err error) {
		a.log.Warn("what is free of the leases cannot be written down: all of it counts as spent after a kill", "error", err)
	})
	if err != nil {
		a.log.Warn("what is free of the leases cannot be written down: all of it counts as spent after a kill", "error", err)
		return func() {}
	}
	a.budgets.SetMarks(m)
	return func() {
		if err := m.Close(); err != nil {
			a.log.Warn("the file of free leases stays behind", "error", err)
		}
	}
}

// giveBack ends the leases of a killed run as far as nobody had used them.
func (a *App) giveBack(ctx context.Context, run int64, left []budget.Mark) {
	asks := make([]budget.Ask, len(left))
	for i, m := range left {
		asks[i] = budget.Ask{Slot: m.Slot, Take: -m.Free}
	}
	accounts, err := a.db.Lease(ctx, run, asks)
	if err != nil {
		a.log.Error("the leases of a killed run could not be given back: they count as spent", "error", err)
		return
	}
	for _, c := range accounts {
		if c.Took < 0 {
			a.log.Info("a killed run had not used this part of its lease: it is given back", "budget", c.ID.String(), "amount", budget.Dollars(-c.Took), "still_lost", budget.Dollars(c.Lost))
		}
	}
}

// tellLost says what counts as spent because it is not known whether it was.
func (a *App) tellLost(ctx context.Context) {
	states := a.budgets.States(time.Now())
	slots := make([]budget.Slot, len(states))
	for i := range states {
		slots[i] = budget.Slot{ID: states[i].ID, Start: states[i].Start}
	}
	accounts, err := a.db.Accounts(ctx, slots)
	if err != nil {
		a.log.Error("how the budgets stand cannot be read", "error", err)
		return
	}
	for _, c := range accounts {
		if c.Lost > 0 {
			note := fmt.Sprintf("budget %s: %s that a killed run had leased count as spent, for the requests that it was answering; headrace budgets settle gives back what the provider did not bill", c.ID, budget.Dollars(c.Lost))
			a.info.Notes = append(a.info.Notes, note)
			a.log.Warn(note)
		}
	}
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
