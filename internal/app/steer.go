package app

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"headrace/internal/gateway"
	"headrace/internal/health"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/meter"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/steer"
)

// steering has the gateway's requests steered.
type steering struct {
	*steer.Table
	paces *paces
}

// Choose orders the targets of a plan.
func (s steering) Choose(a *gateway.Asking, plan *route.Plan) gateway.Trip {
	t := s.Table.Choose(&steer.Ask{ID: a.ID, At: a.At, Key: a.Key, Team: a.Team, Draft: a.Draft,
		Task: a.Draft.Task, Tokens: a.Tokens, MaxCost: a.Draft.MaxCost}, plan)
	if t == nil {
		return nil
	}
	return trip{t}
}

// Speed is how long a target takes to begin an answer.
func (s steering) Speed(provider, model string) (time.Duration, bool) {
	return s.paces.firstToken(provider, model)
}

// trip is a way up a ladder.
type trip struct{ *steer.Trip }

// Ended is told how the request ended.
func (t trip) Ended(row *ledger.Entry, out *relay.Outcome, cost func(*relay.Attempt) llm.Nanodollars) {
	t.Trip.Ended(row, &steer.End{Attempts: out.Attempts, OK: out.OK, Cost: cost})
}

// steerOptions say what steer knows of the other rooms.
func (a *App) steerOptions() steer.Options {
	a.paces.table = a.health
	return steer.Options{
		Store: a.db, Say: a.ledger.Say, Entry: a.ledger.Request, Log: a.log, FirstToken: a.paces.firstToken,
		Aside: func(provider, model string) bool {
			return a.health.State(health.Target{Provider: provider, Model: model}) == health.Open
		},
	}
}

// A pace is known of a target with paceLeast first bytes in the last minutes,
// and read anew after paceFresh.
const (
	paceLeast = 20
	paceSpan  = 15 * time.Minute
	paceFresh = 5 * time.Second
	mostPaces = 1000
)

// paces are how soon targets begin their answers: health's readings merge
// sketches, which is not done for each request.
type paces struct {
	table *health.Table

	mu   sync.Mutex // guards read
	read map[health.Target]pace
}

type pace struct {
	at    time.Time
	p95   time.Duration
	known bool
}

// firstToken is the 95th percentile of a target's first bytes.
func (p *paces) firstToken(provider, model string) (time.Duration, bool) {
	name, now := health.Target{Provider: provider, Model: model}, time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.read[name]
	if !ok || now.Sub(v.at) > paceFresh {
		v = pace{at: now}
		if r, ok := p.table.Read(name, paceSpan); ok && r.Latency[health.FirstByte].Count >= paceLeast {
			v.p95, v.known = r.Latency[health.FirstByte].P95, true
		}
		if p.read == nil || len(p.read) >= mostPaces {
			p.read = map[health.Target]pace{}
		}
		p.read[name] = v
	}
	return v.p95, v.known
}

const (
	// mostSeries is how many groups the figures show, the largest first; readIn how
	// long a scrape waits for them.
	mostSeries = 200
	readIn     = 2 * time.Second
)

// successes are what the requests of this UTC day came to. Tasks that no client
// has named are one: there may be as many as there are prompts.
func (a *App) successes() []meter.Success {
	ctx, cancel := context.WithTimeout(context.Background(), readIn)
	defer cancel()
	rows, err := a.ledger.Success(ctx, time.Now(), time.Time{})
	if err != nil {
		a.log.Error("the figures are shown without successes: the store cannot be read", "error", err)
		return nil
	}
	groups := map[[3]string]*ledger.Success{}
	for i := range rows {
		s := &rows[i]
		if strings.HasPrefix(s.Task, steer.Unnamed) {
			s.Task = ""
		}
		k := [3]string{s.Asked, s.Task, s.Target}
		if groups[k] == nil {
			groups[k] = &ledger.Success{Asked: s.Asked, Task: s.Task, Target: s.Target}
		}
		groups[k].Add(s)
	}
	all := slices.SortedFunc(maps.Values(groups), func(x, y *ledger.Success) int { return cmp.Compare(y.Requests, x.Requests) })
	shown := make([]meter.Success, 0, min(len(all), mostSeries))
	for _, s := range all[:min(len(all), mostSeries)] {
		one := meter.Success{Route: s.Asked, Task: s.Task, Model: s.Target, Requests: s.Requests, EndedWell: s.EndedWell, Explicit: s.Explicit,
			Implicit: s.Implicit, Successes: s.Successes, Dollars: float64(s.Cost) / 1e9}
		each, ok := s.PerSuccess()
		one.PerSuccess, one.HasPerSuccess = float64(each)/1e9, ok
		shown = append(shown, one)
	}
	return shown
}
