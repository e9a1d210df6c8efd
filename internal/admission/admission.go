// Package admission decides whose turn it is when more is asked for than can be
// served at once.
package admission

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"headrace/internal/llm"
)

// Priority says how soon a request wants its turn.
type Priority int

// The priorities, the first one first.
const (
	// Interactive: a person waits.
	Interactive Priority = iota
	// Standard: nobody has said anything.
	Standard
	// Batch: it can wait.
	Batch
	priorities
)

// Priorities names the priorities.
var Priorities = [priorities]string{"interactive", "standard", "batch"}

// ParsePriority reads a priority's name.
func ParsePriority(s string) (p Priority, ok bool) {
	i := slices.Index(Priorities[:], s)
	return Priority(max(i, 0)), i >= 0
}

// Team is what one team may ask for.
type Team struct {
	// Priority is what its requests have; they may say less, not more. Says lets
	// them say any, and is Standard for those that say none.
	Priority Priority
	Says     bool
	// Weight is its share of the turns beside the other teams that wait at the
	// same priority; 0 means 1.
	Weight int
}

// Options set up a Gate.
type Options struct {
	// Most is how many requests may run at once; 0 means no limit. Least is what
	// Adapt leaves of it at least.
	Most, Least int
	// Queue is how many more may wait for their turn, each for Wait at most.
	Queue int
	Wait  time.Duration
	// Bytes bounds the bodies of all requests that run; 0 means no limit.
	Bytes int64
	// Teams are those of which something is said. All others are Standard and of
	// weight 1, and their requests may say any priority.
	Teams map[string]Team
}

// Gate lets requests in. Safe for concurrent use.
type Gate struct {
	mu      sync.Mutex // guards all below; never held over a wait
	o       Options
	limit   float64 // how many may run now, at most o.Most
	running int
	waiting int
	levels  [priorities]level
	bytes   int64
	shed    [reasons]int64
}

// Reason is why a request is turned away.
type Reason int

// The reasons.
const (
	// QueueFull: as many wait as may.
	QueueFull Reason = iota
	// NoTurn: no turn came in time.
	NoTurn
	// Displaced: one of a higher priority took its place in the queue.
	Displaced
	// BytesFull: the bodies of the requests that run fill the memory for them.
	BytesFull
	reasons
)

// Reasons names the reasons.
var Reasons = [reasons]string{"queue_full", "no_turn", "displaced", "bytes_full"}

// level is a priority's queue.
type level struct {
	teams   map[string]*flow
	waiting int
	clock   float64 // where the turns have come to
	passed  int     // turns that went to others while somebody waited
}

// flow is the queue of one team at one level. Its next turn is at pass; the
// least one is next (start-time fair queueing: Goyal, Vin, Cheng, 1996).
type flow struct {
	pass  float64
	waits []*waiter
}

type waiter struct {
	turn chan *llm.Error // capacity 1: nil is the turn
	at   *flow
}

// patience is how many turns may go by a level where somebody waits.
const patience = 16

// remembered is how many teams a level remembers before it forgets those that
// are not ahead of their time.
const remembered = 256

// New makes a gate.
func New(o Options) *Gate {
	g := &Gate{limit: float64(o.Most)}
	g.o = o
	return g
}

// Set changes the options; what runs and waits goes on.
func (g *Gate) Set(o Options) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if full := float64(g.o.Most); g.limit >= full || g.limit > float64(o.Most) {
		g.limit = float64(o.Most)
	}
	g.o = o
	g.grant()
}

// Ask is a request that wants its turn.
type Ask struct {
	// Team is whose turns it takes.
	Team string
	// Own is the priority of the caller's key by its name, which counts before
	// that of the team; empty is the team's.
	Own string
	// Says is what the request says of itself, empty when nothing: less than it
	// has, and more only with Raise, or where nobody has said what it has.
	Says  string
	Raise bool
}

// priority is what a request gets. g.mu is held.
func (g *Gate) priority(a *Ask) (Priority, *llm.Error) {
	team, known := g.o.Teams[a.Team]
	at := Standard
	if known = known && !team.Says; known {
		at = team.Priority
	}
	if own, ok := ParsePriority(a.Own); ok && a.Own != "" {
		at, known = own, true
	}
	if a.Says == "" {
		return at, nil
	}
	said, ok := ParsePriority(a.Says)
	switch {
	case !ok:
		return 0, llm.Errorf(llm.InvalidRequest, "x-headrace-priority is interactive, standard or batch")
	case !known, a.Raise, said > at:
		return said, nil
	}
	return at, nil
}

// Enter waits for the turn of a request. Without an error the request runs, and
// whoever asked calls Leave once.
func (g *Gate) Enter(ctx context.Context, a Ask) *llm.Error {
	g.mu.Lock()
	at, wrong := g.priority(&a)
	if wrong != nil {
		g.mu.Unlock()
		return wrong
	}
	team := a.Team
	if g.o.Most == 0 || g.waiting == 0 && float64(g.running) < g.limit {
		g.running++
		g.mu.Unlock()
		return nil
	}
	if g.waiting >= g.o.Queue && !g.displace(at) {
		g.shed[QueueFull]++
		fail := busy("%d requests run and %d wait", g.running, g.waiting)
		g.mu.Unlock()
		return fail
	}
	w := g.levels[at].join(team)
	g.waiting++
	wait := g.o.Wait
	g.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case fail := <-w.turn:
		return fail
	case <-ctx.Done():
	case <-timer.C:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case fail := <-w.turn: // it came just now
		if fail == nil && ctx.Err() != nil {
			g.running--
			g.grant()
			break
		}
		return fail
	default:
		g.levels[at].leave(w)
		g.waiting--
	}
	switch cause := context.Cause(ctx); {
	case cause == nil:
		g.shed[NoTurn]++
		return busy("no turn came within %v", wait)
	case errors.Is(cause, context.DeadlineExceeded):
		return llm.Errorf(llm.Timeout, "the request's deadline passed while it waited for its turn")
	default:
		if own, ok := errors.AsType[*llm.Error](cause); ok {
			return own
		}
		return &llm.Error{Class: llm.ClientGone, Message: "the client closed the connection", Cause: cause}
	}
}

// busy is the error of a request that is not served now.
func busy(format string, args ...any) *llm.Error {
	e := llm.Errorf(llm.Overloaded, "the gateway has too much to do: "+format, args...)
	e.RetryAfter = 2 * time.Second
	return e
}

// Leave ends a request that was let in.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.grant()
}

// grant gives turns while there are any. g.mu is held.
func (g *Gate) grant() {
	for g.waiting > 0 && (g.o.Most == 0 || float64(g.running) < g.limit) {
		at := g.next()
		w := g.levels[at].take(g.weight)
		g.waiting--
		g.running++
		w.turn <- nil
	}
}

func (g *Gate) weight(team string) float64 { return float64(max(g.o.Teams[team].Weight, 1)) }

// next picks the level of the next turn: the first where somebody waits, unless
// another one has waited for too many turns. g.mu is held and somebody waits.
func (g *Gate) next() Priority {
	pick := Priority(-1)
	for p := range g.levels {
		if g.levels[p].waiting == 0 {
			continue
		}
		if pick < 0 || g.levels[p].passed >= patience && g.levels[p].passed > g.levels[pick].passed {
			pick = Priority(p)
		}
	}
	for p := range g.levels {
		l := &g.levels[p]
		switch {
		case Priority(p) == pick || l.waiting == 0:
			l.passed = 0
		default:
			l.passed++
		}
	}
	return pick
}

// displace makes room in the queue for a request by turning away the latest one
// of the last priority that is behind it. g.mu is held.
func (g *Gate) displace(at Priority) bool {
	for p := priorities - 1; p > at; p-- {
		l := &g.levels[p]
		if l.waiting == 0 {
			continue
		}
		var longest *flow
		for _, f := range l.teams {
			if longest == nil || len(f.waits) > len(longest.waits) {
				longest = f
			}
		}
		w := longest.waits[len(longest.waits)-1]
		l.leave(w)
		g.waiting--
		g.shed[Displaced]++
		w.turn <- busy("requests of a higher priority wait")
		return true
	}
	return false
}

func (l *level) join(team string) *waiter {
	if l.teams == nil {
		l.teams = map[string]*flow{}
	}
	f := l.teams[team]
	if f == nil {
		if len(l.teams) >= remembered {
			for name, old := range l.teams {
				if len(old.waits) == 0 && old.pass <= l.clock {
					delete(l.teams, name)
				}
			}
		}
		f = &flow{}
		l.teams[team] = f
	}
	if len(f.waits) == 0 {
		f.pass = max(f.pass, l.clock)
	}
	w := &waiter{turn: make(chan *llm.Error, 1), at: f}
	f.waits = append(f.waits, w)
	l.waiting++
	return w
}

// take gives the waiter whose turn is next.
func (l *level) take(weight func(team string) float64) *waiter {
	var team string
	var first *flow
	for name, f := range l.teams {
		if len(f.waits) > 0 && (first == nil || f.pass < first.pass || f.pass == first.pass && name < team) {
			team, first = name, f
		}
	}
	w := first.waits[0]
	first.waits = slices.Delete(first.waits, 0, 1)
	l.waiting--
	l.clock = first.pass
	first.pass += 1 / weight(team)
	return w
}

func (l *level) leave(w *waiter) {
	i := slices.Index(w.at.waits, w)
	w.at.waits = slices.Delete(w.at.waits, i, i+1)
	l.waiting--
}

// Take takes room for n more bytes of a body; Give gives it back.
func (g *Gate) Take(n int64) *llm.Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch most := g.o.Bytes; {
	case most == 0:
	case n > most:
		return llm.Errorf(llm.TooLarge, "the request body is over the limit of %d bytes for all requests together", most)
	case g.bytes > most-n:
		g.shed[BytesFull]++
		return busy("the bodies of the requests that run fill the memory for them")
	}
	g.bytes += n
	return nil
}

// Give gives back what Take took.
func (g *Gate) Give(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bytes -= n
}

// Adapt fits the limit to how the process is doing: it is called now and then
// with whether its work waits for a processor. A late one takes a tenth off
// what runs, at once; every other call gives a twentieth back.
func (g *Gate) Adapt(late bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	most := float64(g.o.Most)
	if late {
		g.limit = max(min(g.limit, float64(g.running))*0.9, min(float64(g.o.Least), most))
		return
	}
	g.limit = min(g.limit+max(1, g.limit/20), most)
	g.grant()
}

// Reading is how a gate is doing.
type Reading struct {
	// Running and Waiting count requests, Bytes their bodies.
	Running, Waiting int
	Bytes            int64
	// Queued are those that wait, by priority.
	Queued [priorities]int
	// Limit is how many may run now, Most how many may when nothing is late; 0 is
	// no limit.
	Limit, Most int
	// Shed counts the requests that were turned away since the start, by reason.
	Shed [reasons]int64
}

// Turned is how many requests were turned away since the start.
func (r *Reading) Turned() (n int64) {
	for _, one := range r.Shed {
		n += one
	}
	return n
}

// Read gives the reading of now.
func (g *Gate) Read() Reading {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := Reading{Running: g.running, Waiting: g.waiting, Bytes: g.bytes, Limit: int(g.limit), Most: g.o.Most, Shed: g.shed}
	for p := range g.levels {
		r.Queued[p] = g.levels[p].waiting
	}
	return r
}
