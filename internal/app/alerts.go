package app

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"headrace/internal/budget"
	"headrace/internal/config"
	"headrace/internal/health"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/webhook"
)

// alerts tells operators what they want to know, each thing now and again at
// most. Without a crier it tells nobody. Safe for concurrent use.
type alerts struct {
	crier *webhook.Crier

	mu   sync.Mutex // guards told
	told map[string]time.Time
}

const (
	// alertEvery is how often one thing is told.
	alertEvery = time.Hour
	// breakerEvery is how often the same target is said to be set aside: it may
	// come and go for a while.
	breakerEvery = 5 * time.Minute
	// mostTold is how many things are remembered to have been told.
	mostTold = 10_000
	// driftPart and driftLeast are how far a reported cost is from the list price
	// before that is told, as a part of it and in money.
	driftPart  = 0.05
	driftLeast = llm.Nanodollars(1000)
)

// crier makes what brings alerts to their addresses; nil when there are none.
func crier(c *config.Config, log *slog.Logger) *webhook.Crier {
	if len(c.Alerts) == 0 {
		return nil
	}
	rules, err := webhook.NewRules(c.Webhooks.Allow)
	if err != nil {
		log.Error("alerts are not told", "error", err) // Check has said it before
		return nil
	}
	made := &webhook.Crier{Rules: rules, Log: log}
	for _, a := range c.Alerts {
		made.Ears = append(made.Ears, webhook.Ear{URL: a.URL, Key: webhook.Key(a.Secret.Reveal()), Kinds: a.Events})
	}
	return made
}

// run brings them until ctx ends.
func (a *alerts) run(ctx context.Context) { a.crier.Run(ctx) }

// due reports whether a thing was not told for a while, and notes that it is
// now.
func (a *alerts) due(thing string, every time.Duration) bool {
	if a.crier == nil {
		return false
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, ok := a.told[thing]; ok && now.Sub(last) < every {
		return false
	}
	if a.told == nil || len(a.told) >= mostTold {
		a.told = map[string]time.Time{}
	}
	a.told[thing] = now
	return true
}

func (a *alerts) tell(kind, text string, data map[string]any) {
	a.crier.Tell(webhook.Notice{Kind: kind, At: time.Now(), Text: "Headrace: " + text, Data: data})
}

// breaker tells that a target is set aside, or answers again.
func (a *alerts) breaker(t health.Target, opened bool) {
	name := t.Provider + "/" + t.Model
	data := map[string]any{"provider": t.Provider, "model": t.Model}
	switch {
	case opened && a.due("breaker "+name, breakerEvery):
		a.tell("breaker.opened", name+" fails repeatedly and is set aside", data)
	case !opened && a.due("closed "+name, breakerEvery):
		a.tell("breaker.closed", name+" answers again", data)
	}
}

// budget tells that a threshold is reached; the budget itself tells each once.
func (a *alerts) budget(id budget.ID, percent int, spent, limit llm.Nanodollars) {
	if a.crier == nil {
		return
	}
	a.tell("budget.reached", fmt.Sprintf("%d %% of the budget %s are spent: %s of %s", percent, id, budget.Dollars(spent), budget.Dollars(limit)),
		map[string]any{"budget": id.String(), "percent": percent, "spent_nanodollars": spent, "limit_nanodollars": limit})
}

// credential tells that a provider refuses a credential; the alarm tells it once
// a minute at most, this once an hour.
func (a *alerts) credential(provider string, e *llm.Error) {
	if a.due("credential "+provider, alertEvery) {
		a.tell("credential.refused", fmt.Sprintf("%s refuses a credential (%s)", provider, e.Class), map[string]any{"provider": provider, "class": e.Class, "status": e.Status})
	}
}

// row looks at what a written row says of prices.
func (a *alerts) row(e *ledger.Entry) {
	if a.crier == nil {
		return
	}
	for i := range e.Attempts {
		t := &e.Attempts[i]
		name := t.Provider + "/" + t.Model
		if !t.Priced && t.Usage.Source != "" && a.due("unpriced "+name, alertEvery) {
			a.tell("unpriced.used", name+" was used and has no price: say models."+name+".price",
				map[string]any{"provider": t.Provider, "model": t.Model, "request": e.ID.String()})
		}
		if off := t.Cost - t.Listed; t.Priced && t.HasListed && max(off, -off) >= driftLeast &&
			math.Abs(float64(off)) > driftPart*float64(max(t.Listed, 1)) && a.due("drift "+name, alertEvery) {
			a.tell("drift.price", fmt.Sprintf("%s reports %s where the list price is %s", name, budget.Dollars(t.Cost), budget.Dollars(t.Listed)),
				map[string]any{"provider": t.Provider, "model": t.Model, "reported_nanodollars": t.Cost, "listed_nanodollars": t.Listed, "request": e.ID.String()})
		}
	}
}
