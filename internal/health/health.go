// Package health knows how the targets have been doing: whether one may be
// tried now (its breaker), how fast it answers (latency sketches) and how often
// it succeeds. It is in memory and per process; others read it as values.
package health

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"headrace/internal/llm"
)

// Target is one model at one provider.
type Target struct{ Provider, Model string }

// Options set up a Table. The zero value of each says its default.
type Options struct {
	// Failures is how many failures in a row open a breaker; 0: 5.
	Failures uint
	// Rate is the share of failures among at least Least attempts within Window
	// that opens it too, for a target that fails now and then; 0: 0.5, 20 and
	// 30 s.
	Rate   float64
	Least  uint
	Window time.Duration
	// Probe is how long a breaker stays open before one attempt is let through;
	// 0: 5 s.
	Probe time.Duration
	// Repeats is the share of the attempts at a target, and of those under way, that may be
	// repeats; 0: 0.1. Three are let through whatever the share.
	Repeats float64
	// Exempt says that a target's failures are asked for, as the rehearsal
	// provider's are: it is measured and never set aside. Nil exempts none.
	Exempt func(Target) bool
	// Opened and Closed are told when a breaker changes; nil tells nobody. They
	// must not wait.
	Opened, Closed func(Target)
}

// Table knows all targets. It is safe for concurrent use.
type Table struct {
	o Options

	mu      sync.RWMutex // guards targets
	targets map[Target]*target
}

// most is how many targets are remembered: clients may ask for names without
// number. One beyond it takes the place of the one used least recently.
const most = 1024

// New makes a Table.
func New(o Options) *Table {
	if o.Failures == 0 {
		o.Failures = 5
	}
	if o.Rate == 0 {
		o.Rate = 0.5
	}
	if o.Least == 0 {
		o.Least = 20
	}
	if o.Window == 0 {
		o.Window = 30 * time.Second
	}
	if o.Probe == 0 {
		o.Probe = 5 * time.Second
	}
	if o.Repeats == 0 {
		o.Repeats = 0.1
	}
	return &Table{o: o, targets: map[Target]*target{}}
}

type target struct {
	name Target
	// breaker lets attempts through; failing in a row opens it. rate opens it
	// too, and lets nothing through of its own.
	breaker, rate circuitbreaker.CircuitBreaker[any]
	running       atomic.Int64
	repeating     atomic.Int64 // how many of those running are repeats
	saved         atomic.Int64 // thousandths of repeats that attempts have earned
	repeated      atomic.Int64 // the last repeat that was not earned, Unix nanoseconds
	used          atomic.Int64 // Unix nanoseconds
	answered      atomic.Int64 // the last success, Unix nanoseconds
	exempt        bool
	history       history
}

func (t *Table) target(name Target) *target {
	t.mu.RLock()
	g := t.targets[name]
	t.mu.RUnlock()
	if g != nil {
		return g
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if g = t.targets[name]; g != nil {
		return g
	}
	if len(t.targets) >= most {
		t.forget()
	}
	g = t.open(name)
	t.targets[name] = g
	return g
}

// forget drops the idle target that was used least recently. t.mu is held.
func (t *Table) forget() {
	var oldest *target
	for _, g := range t.targets {
		if g.running.Load() == 0 && (oldest == nil || g.used.Load() < oldest.used.Load()) {
			oldest = g
		}
	}
	if oldest != nil {
		delete(t.targets, oldest.name)
	}
}

func (t *Table) open(name Target) *target {
	g := &target{name: name, exempt: t.o.Exempt != nil && t.o.Exempt(name)}
	g.answered.Store(time.Now().UnixNano()) // a new one has that credit, too
	g.saved.Store(mostSaved)
	g.breaker = circuitbreaker.NewBuilder[any]().WithFailureThreshold(t.o.Failures).WithSuccessThreshold(1).WithDelay(t.o.Probe).
		OnOpen(func(circuitbreaker.StateChangedEvent) {
			if t.o.Opened != nil {
				t.o.Opened(name)
			}
		}).
		OnClose(func(circuitbreaker.StateChangedEvent) {
			g.rate.Close()
			if t.o.Closed != nil {
				t.o.Closed(name)
			}
		}).Build()
	g.rate = circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(t.o.Rate, t.o.Least, t.o.Window).WithDelay(t.o.Probe).
		OnOpen(func(circuitbreaker.StateChangedEvent) { g.breaker.Open() }).Build()
	return g
}

// sheds reports whether a target that turns attempts away as overloaded still
// serves others: it has answered within the time that it would be set aside for.
func (g *target) sheds(within time.Duration) bool {
	return time.Since(time.Unix(0, g.answered.Load())) < within
}

// Permit is leave to make one attempt. Whoever has one calls Done once.
type Permit struct {
	g      *target
	within time.Duration // how long a breaker stays open
	repeat bool
	probe  bool
}

// Allow asks for leave to make an attempt; repeat says that the same request
// has been tried at this target already. Without leave it gives how long the
// breaker stays open, or 0 when only a repeat is refused: too many of the
// attempts under way are repeats.
func (t *Table) Allow(name Target, repeat bool) (p Permit, wait time.Duration, ok bool) {
	g := t.target(name)
	g.used.Store(time.Now().UnixNano())
	if g.exempt {
		g.running.Add(1)
		return Permit{g: g}, 0, true
	}
	if repeat {
		if n := g.repeating.Add(1); n > freeRepeats && float64(n) > t.o.Repeats*float64(g.running.Load()+1) {
			g.repeating.Add(-1)
			return Permit{}, 0, false
		}
		if !g.spend(time.Now()) {
			g.repeating.Add(-1)
			return Permit{}, 0, false
		}
	} else if g.saved.Load() < mostSaved {
		g.saved.Add(int64(1000 * t.o.Repeats))
	}
	if !g.breaker.TryAcquirePermit() {
		if repeat {
			g.repeating.Add(-1)
		}
		return Permit{}, max(g.breaker.RemainingDelay(), time.Millisecond), false
	}
	g.running.Add(1)
	return Permit{g: g, within: t.o.Probe, repeat: repeat, probe: g.breaker.IsHalfOpen()}, 0, true
}

// freeRepeats is how many repeats run at once whatever else does.
const freeRepeats = 3

// mostSaved is how many repeats may be made at once that earlier attempts have
// earned, in thousandths; a new target has as many.
const mostSaved = 10_000

// spend takes one repeat out of what was earned. One a second needs not be. A
// share of what is under way alone would let repeats without number through
// where a target refuses at once.
func (g *target) spend(now time.Time) bool {
	if g.saved.Add(-1000) >= 0 {
		return true
	}
	g.saved.Add(1000)
	last := g.repeated.Load()
	return now.UnixNano()-last >= int64(time.Second) && g.repeated.CompareAndSwap(last, now.UnixNano())
}

// Result is how an attempt went.
type Result struct {
	// Class is empty when it succeeded.
	Class llm.Class
	// Aside says that it was none that generates: it speaks for the breaker and
	// is not measured.
	Aside bool
	// FirstByte and Total are counted from the start of the attempt; FirstByte is
	// 0 when no byte came, and of a whole answer, whose first byte is its last.
	FirstByte, Total time.Duration
	// Output is how many tokens came; 0 when unknown.
	Output int64
	// Cost is what it cost; Priced says that this is known.
	Cost   llm.Nanodollars
	Priced bool
}

// failures are the classes that are the target's fault. The others say nothing
// of its health: the request was wrong, the caller left, the account is out of
// money, or we asked too fast.
var failures = map[llm.Class]bool{
	llm.Overloaded: true, llm.ServerError: true, llm.Timeout: true,
	llm.SlowStart: true, llm.SlowStream: true, llm.MalformedUpstream: true,
}

// Done says how the attempt went and gives the permit back.
func (p Permit) Done(r Result) {
	g := p.g
	if g == nil {
		return
	}
	g.running.Add(-1)
	if p.repeat {
		g.repeating.Add(-1)
	}
	switch {
	case g.exempt:
	case r.Class == "":
		g.answered.Store(time.Now().UnixNano())
		g.rate.RecordSuccess()
		g.breaker.RecordSuccess()
	case r.Class == llm.Overloaded && !p.probe && g.sheds(p.within):
		// It does what it can; set aside it would do nothing.
	case failures[r.Class]:
		g.rate.RecordFailure()
		g.breaker.RecordFailure()
	case r.Class == llm.ClientGone || r.Class == llm.Unsupported:
		// It says nothing either way; a probe stays without an answer.
		if p.probe {
			g.breaker.RecordFailure()
		}
	default:
		// The target answered: it is alive.
		g.breaker.RecordSuccess()
	}
	if !r.Aside {
		g.history.note(r, time.Now())
	}
}

// State is what a breaker does.
type State string

// The states.
const (
	Closed   State = "closed"
	Open     State = "open"
	HalfOpen State = "half-open"
)

// State gives a target's state; Closed for one never heard of.
func (t *Table) State(name Target) State {
	t.mu.RLock()
	g := t.targets[name]
	t.mu.RUnlock()
	if g == nil {
		return Closed
	}
	return g.state()
}

func (g *target) state() State {
	switch g.breaker.State() {
	case circuitbreaker.OpenState:
		return Open
	case circuitbreaker.HalfOpenState:
		return HalfOpen
	}
	return Closed
}
