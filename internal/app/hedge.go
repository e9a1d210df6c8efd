package app

import (
	"sync"
	"time"

	"headrace/internal/config"
	"headrace/internal/health"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// A target is hedged where its first bytes have a long tail: p99 is over
// hedgeTail times p50, by at least hedgeLeast of them in the last minutes. A
// short tail gains nothing by a second request.
const (
	hedgeTail  = 4
	hedgeLeast = 100
	hedgeSpan  = 15 * time.Minute
	// hedgeFresh is how long a reading is used.
	hedgeFresh = 5 * time.Second
)

// hedges is what outlives a snapshot. Safe for concurrent use.
type hedges struct {
	budget relay.Budget

	mu    sync.Mutex // guards waits
	waits map[health.Target]hedgeWait
}

// hedgeWait is how long to wait for a target; 0 is for ever.
type hedgeWait struct {
	read time.Time
	wait time.Duration
}

// hedger is the relay.Hedger of a configuration.
type hedger struct {
	*hedges
	table  *health.Table
	routes map[string]bool
}

// hedger gives nil when no route is hedged.
func (a *App) hedger(cfg *config.Config) relay.Hedger {
	if len(cfg.Retries.Hedge) == 0 {
		return nil
	}
	h := hedger{hedges: &a.hedges, table: a.health, routes: map[string]bool{}}
	for _, name := range cfg.Retries.Hedge {
		h.routes[name] = true
	}
	return h
}

// After is the p95 of a target's first bytes, where they have a long tail.
func (h hedger) After(asked string, t *route.Target) (time.Duration, bool) {
	if !h.routes[asked] {
		return 0, false
	}
	name := health.Target{Provider: t.Provider, Model: t.Model}
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	w, ok := h.waits[name]
	if !ok || now.Sub(w.read) > hedgeFresh {
		w = hedgeWait{read: now}
		if r, ok := h.table.Read(name, hedgeSpan); ok {
			if q := r.Latency[health.FirstByte]; q.Count >= hedgeLeast && q.P99 > hedgeTail*q.P50 {
				w.wait = q.P95
			}
		}
		if h.waits == nil {
			h.waits = map[health.Target]hedgeWait{}
		}
		h.waits[name] = w // routes name only so many targets
	}
	return w.wait, w.wait > 0
}

// Spare reports whether a target's breaker is closed.
func (h hedger) Spare(t *route.Target) bool {
	return h.table.State(health.Target{Provider: t.Provider, Model: t.Model}) == health.Closed
}

// Budget is one for all routes.
func (h hedger) Budget() *relay.Budget { return &h.budget }
