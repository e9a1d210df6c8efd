// Package steer puts the rungs of a route in order for each request, and is
// taught by what became of it.
package steer

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/learn"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/route"
)

// Store keeps snapshots of what was learned, by the name of the route.
type Store interface {
	SaveLearned(ctx context.Context, name string, data []byte, at time.Time) error
	Learned(ctx context.Context) (map[string][]byte, error)
}

// Options set up a Table. The zero value of each says its default.
type Options struct {
	// Store keeps what was learned; nil keeps nothing.
	Store Store
	// Say takes the signs of failure that nobody gave on purpose; nil drops them.
	Say func(ledger.Feedback)
	// Entry gives the row of a request that feedback comes late for; nil has none.
	Entry func(ctx context.Context, id ledger.ID) (ledger.Entry, bool, error)
	// FirstToken is the 95th percentile of a target's first bytes, as far as it is
	// known. It is asked now and then, not for each request; nil knows nothing.
	FirstToken func(provider, model string) (time.Duration, bool)
	// Aside reports whether a target is set aside after failures; nil: none is.
	Aside func(provider, model string) bool
	// Log is told what cannot be kept; nil is silent.
	Log *slog.Logger
	// Seed makes what is drawn while learning repeatable.
	Seed uint64
}

// Table has all routes with a ladder. Its methods are safe for concurrent use;
// none of those on the way of a request waits for the store or the network.
type Table struct {
	o       Options
	now     atomic.Pointer[state]
	pool    sync.Pool // of *Trip
	pending pending
	known   sessions
	seed    maphash.Seed

	mu    sync.Mutex // guards saved, and makes Set one at a time
	saved map[string][]byte

	lateMu sync.Mutex // guards late
	late   []ledger.Feedback
}

// state is what a Set puts in force.
type state struct {
	catalog *catalog.Catalog
	courses map[string]*course
}

// course is one route.
type course struct {
	name   string
	ladder *route.Ladder
	rungs  []rung
	*mind
}

// rung is one way to answer, with what it costs.
type rung struct {
	name            string
	provider, model string
	think           string
	*habits
}

// habits are what a rung's answers have been like. They outlive a reload.
type habits struct {
	output     atomic.Uint64 // tokens of an answer, a slow mean; math.Float64bits
	firstToken atomic.Int64  // nanoseconds; 0 is not known
}

// mind is what was learned of a route. It is made when it is first needed: its
// weights take some megabytes.
type mind struct {
	signature string
	rungs     []learn.Rung
	o         learn.Options
	snapshot  []byte

	once    sync.Once
	made    atomic.Bool
	learner *learn.Learner
	climb   *learn.Escalation
	taught  atomic.Bool // since the last snapshot
	// heard says that somebody has said on purpose how an answer was: only then,
	// or where the operator says what is aimed at, is it worth paying to learn.
	heard atomic.Bool

	mu    sync.Mutex // guards what follows
	log   [][]learn.Stage
	next  int
	fresh int
}

// mostLogged is how many whole requests escalation is learned from, refit after
// how many new ones it is learned anew.
const (
	mostLogged = 2000
	refit      = 25
)

// New makes a Table and loads what was learned before.
func New(ctx context.Context, o Options) (*Table, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	t := &Table{o: o, saved: map[string][]byte{}, seed: maphash.MakeSeed()}
	t.pool.New = func() any { return &Trip{} }
	t.now.Store(&state{})
	if o.Store == nil {
		return t, nil
	}
	saved, err := o.Store.Learned(ctx)
	if err != nil {
		return nil, fmt.Errorf("load what was learned: %w", err)
	}
	t.saved = saved
	return t, nil
}

// Set puts routes in force. What was learned of one stays as long as its rungs
// have the same names, and of each rung that stays otherwise.
func (t *Table) Set(c *catalog.Catalog, ladders map[string]*route.Ladder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.now.Load()
	next := &state{catalog: c, courses: make(map[string]*course, len(ladders))}
	for name, l := range ladders {
		next.courses[name] = t.course(name, l, c, before.courses[name])
	}
	t.now.Store(next)
}

func (t *Table) course(name string, l *route.Ladder, c *catalog.Catalog, before *course) *course {
	k := &course{name: name, ladder: l}
	m := &mind{o: learn.Options{Floor: l.Aim.Quality, Explore: l.Aim.Explore, Seed: t.o.Seed}}
	var signature strings.Builder
	fmt.Fprintf(&signature, "%v %v\n", l.Aim.Quality, l.Aim.Explore)
	for _, r := range l.Rungs[:min(len(l.Rungs), learn.MostRungs)] {
		provider, model, _ := strings.Cut(r.Model, "/")
		if row, ok := c.Provider(provider); ok {
			provider = row.ID
		}
		one := rung{name: strings.TrimSpace(r.Model + " " + r.Think), provider: provider, model: model, think: r.Think, habits: &habits{}}
		one.output.Store(math.Float64bits(firstGuess[r.Think]))
		if before != nil {
			for i := range before.rungs {
				if before.rungs[i].name == one.name {
					one.habits = before.rungs[i].habits
				}
			}
		}
		row, _ := c.Model(provider, model)
		m.rungs = append(m.rungs, learn.Rung{Name: one.name, Prior: learn.Prior(row)})
		k.rungs = append(k.rungs, one)
		fmt.Fprintf(&signature, "%s\n", one.name)
	}
	rise(m.rungs)
	m.signature = signature.String()
	switch {
	case before != nil && before.signature == m.signature:
		k.mind = before.mind
		return k
	case before != nil && before.made.Load():
		m.snapshot = before.keep()
	case before != nil:
		m.snapshot = before.snapshot
	default:
		m.snapshot = t.saved[name]
	}
	k.mind = m
	return k
}

// rise makes priors that do not fall: nobody puts a rung above a better one.
func rise(rungs []learn.Rung) {
	for i := 1; i < len(rungs); i++ {
		rungs[i].Prior = min(max(rungs[i].Prior, rungs[i-1].Prior+0.01), 0.95)
	}
}

// firstGuess is about how long an answer is, thoughts included, before any has
// been seen.
var firstGuess = map[string]float64{"": 600, "off": 400, "low": 800, "medium": 2000, "high": 5000, "max": 10_000}

// ready makes what is learned with.
func (t *Table) ready(k *course) {
	k.once.Do(func() {
		k.learner, k.climb = learn.New(k.mind.rungs, k.o), learn.NewEscalation()
		if k.snapshot != nil {
			if err := k.take(k.snapshot); err != nil {
				t.o.Log.Warn("what was learned of a route cannot be read; it is learned anew", "route", k.name, "error", err)
			}
			k.snapshot = nil
		}
		k.made.Store(true)
	})
}

// keep is what is stored of a mind: whether it has heard anything, and what it
// has learned.
func (m *mind) keep() []byte {
	heard := byte(0)
	if m.heard.Load() {
		heard = 1
	}
	return m.learner.AppendSnapshot([]byte{heard})
}

// take takes up what keep gave.
func (m *mind) take(data []byte) error {
	if len(data) == 0 {
		return learn.ErrSnapshot
	}
	if err := m.learner.Restore(data[1:]); err != nil {
		return err
	}
	m.heard.Store(data[0] == 1)
	return nil
}

// explores reports whether rungs are drawn evenly now and then.
func (k *course) explores() bool {
	return k.ladder.Aim != (route.Aim{}) || k.heard.Load()
}

// logged adds a request to what escalation is learned from.
func (m *mind) logged(stages []learn.Stage, value float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.log) < mostLogged {
		m.log = append(m.log, stages)
	} else {
		m.log[m.next] = stages
		m.next = (m.next + 1) % mostLogged
	}
	if m.fresh++; m.fresh >= refit {
		m.fresh = 0
		m.climb.Fit(m.log, value)
	}
}

// length is about how many tokens an answer of the rung has.
func (r *rung) length() float64 { return math.Float64frombits(r.output.Load()) }

// noteLength moves it; two at once may lose one of them.
func (r *rung) noteLength(n int64) {
	if n > 0 {
		r.output.Store(math.Float64bits(r.length() + (float64(n)-r.length())/16))
	}
}

// value is what a success is worth in nanodollars; 0 is not said.
func (k *course) value() float64 { return float64(k.ladder.Aim.Value) }

// Run settles requests that no feedback came for, keeps what was learned, and
// looks at how fast targets are, until ctx ends; then it settles and keeps the
// rest. The caller owns its goroutine.
func (t *Table) Run(ctx context.Context) {
	tick := time.NewTicker(step)
	defer tick.Stop()
	last := time.Now()
	for {
		t.watch()
		select {
		case <-ctx.Done():
			t.settle(time.Now().Add(wait + time.Second))
			rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			t.heed(rest)
			t.save(rest)
			return
		case now := <-tick.C:
			t.settle(now)
			t.heed(ctx)
			if now.Sub(last) >= saveEvery {
				last = now
				t.save(ctx)
			}
		}
	}
}

const (
	// step is how often Run looks, saveEvery how often what was learned is kept.
	step      = 2 * time.Second
	saveEvery = time.Minute
)

// watch reads how fast targets begin their answers.
func (t *Table) watch() {
	if t.o.FirstToken == nil {
		return
	}
	for _, k := range t.now.Load().courses {
		if !k.made.Load() {
			continue
		}
		for i := range k.rungs {
			r := &k.rungs[i]
			d, _ := t.o.FirstToken(r.provider, r.model)
			r.firstToken.Store(int64(d))
		}
	}
}

// save keeps what was learned since the last time.
func (t *Table) save(ctx context.Context) {
	if t.o.Store == nil {
		return
	}
	for name, k := range t.now.Load().courses {
		if !k.taught.Swap(false) {
			continue
		}
		k.learner.Review()
		if err := t.o.Store.SaveLearned(ctx, name, k.keep(), time.Now()); err != nil {
			k.taught.Store(true)
			t.o.Log.Error("what was learned of a route cannot be kept", "route", name, "error", err)
		}
	}
}

// Speed is what Options.FirstToken said last of a target of some route, for
// names that ask for the fastest.
func (t *Table) Speed(provider, model string) (time.Duration, bool) {
	if t.o.FirstToken == nil {
		return 0, false
	}
	return t.o.FirstToken(provider, model)
}

// Reading is what is believed of one rung of a route over all tasks.
type Reading struct {
	Route, Rung string
	learn.Reading
}

// Read gives what is believed of the routes that have been asked, in no order.
func (t *Table) Read() (all []Reading) {
	for name, k := range t.now.Load().courses {
		if !k.made.Load() {
			continue
		}
		for i, r := range k.learner.Read(0) {
			all = append(all, Reading{name, k.rungs[i].name, r})
		}
	}
	return all
}

// tenant is whose words and tasks are learned together: a team, or else a key.
func tenant(a *Ask) string {
	if a.Team != "" {
		return "team:" + a.Team
	}
	return a.Key
}

// Ask is a request whose rungs are to be put in order.
type Ask struct {
	ID ledger.ID
	At time.Time
	// Key and Team are who asks.
	Key, Team string
	Draft     *llm.Draft
	// Task is what the client calls it, empty mostly.
	Task string
	// Tokens is about how long the prompt is.
	Tokens int64
	// MaxCost is what the client wants it to cost at most; 0 is not said.
	MaxCost llm.Nanodollars
}
