package variant

import (
	"sync"
	"sync/atomic"
	"time"
)

// Phase is where an experiment stands.
type Phase string

// The phases.
const (
	// Waiting: its start is still to come, or it was told to wait.
	Waiting Phase = "waiting"
	Running Phase = "running"
	// Stopped: everybody gets what was asked for, as if there were no experiment.
	Stopped Phase = "stopped"
	// Decided: everybody new gets the winner.
	Decided Phase = "decided"
)

// Stand is how an experiment stands now; immutable.
type Stand struct {
	Phase Phase
	// Shares are those in force, adding up to 1; nil means the planned ones. An
	// arm that was stopped has none.
	Shares []float64
	// Halted are the arms that were stopped; nil for none.
	Halted []bool
	// Winner is the place of the arm that was decided for.
	Winner int
	// Spent is what copies have cost so far.
	Spent int64
}

// Ask is a request that may take part in an experiment.
type Ask struct {
	// On is the name that was asked for.
	On string
	// Owner is whose sessions and users these are; KeyID is the key.
	Owner, KeyID string
	// User is the client's own user; empty when it names none.
	User string
	// Session gives the id of the conversation. It is called at most once, and
	// only when it is needed.
	Session func() string
	Now     time.Time
}

// Given is the arm that a request gets.
type Given struct {
	Experiment *Experiment
	// Arm is its place among the arms.
	Arm  int
	Unit int64
	// Shares are the chances that the unit had of each arm when it was given one
	// under the shares in force. They are not to be changed.
	Shares []float64
	// Counts says that the request is an observation; the experiment may be
	// decided already.
	Counts bool
}

// The is the arm itself.
func (g *Given) The() *Arm { return &g.Experiment.Arms[g.Arm] }

// Desk gives arms to requests. The zero value has no experiments. It is safe for
// concurrent use; nothing in it waits.
type Desk struct {
	mu sync.Mutex // held by who changes the table
	// table is nil when there are no experiments.
	table atomic.Pointer[table]
}

type table struct {
	on  map[string][]*place
	run map[int64]*place
}

// place is one experiment at the desk.
type place struct {
	experiment *Experiment
	planned    []float64
	stand      atomic.Pointer[Stand]
	pins       *pins
}

// Set puts experiments in place of those that are there. What is known of a run
// that stays is kept.
func (d *Desk) Set(list []*Experiment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.table.Load()
	if len(list) == 0 {
		d.table.Store(nil)
		return
	}
	next := &table{on: map[string][]*place{}, run: map[int64]*place{}}
	for _, e := range list {
		p := &place{experiment: e, planned: e.Shares(), pins: &pins{}}
		p.stand.Store(&Stand{Phase: Waiting})
		if old != nil && old.run[e.Run] != nil {
			was := old.run[e.Run]
			p.pins = was.pins
			p.stand.Store(was.stand.Load())
		}
		next.on[e.On] = append(next.on[e.On], p)
		next.run[e.Run] = p
	}
	d.table.Store(next)
}

// Steer says how a run stands. A run that is not there is left alone.
func (d *Desk) Steer(run int64, s *Stand) {
	if t := d.table.Load(); t != nil && t.run[run] != nil {
		t.run[run].stand.Store(s)
	}
}

// Pin notes the arm of a unit that was given before, as after a restart.
func (d *Desk) Pin(run, unit int64, arm int) {
	if t := d.table.Load(); t != nil && t.run[run] != nil {
		t.run[run].pins.put(unit, int8(arm))
	}
}

// Stands reports whether any experiment stands on a name.
func (d *Desk) Stands(on string) bool {
	t := d.table.Load()
	return t != nil && t.on[on] != nil
}

// Stand is how a run stands; nil for one that is not there.
func (d *Desk) Stand(run int64) *Stand {
	if t := d.table.Load(); t != nil && t.run[run] != nil {
		return t.run[run].stand.Load()
	}
	return nil
}

// Assign gives a request its arm; nil when it takes no part in any experiment.
func (d *Desk) Assign(a *Ask) *Given {
	t := d.table.Load()
	if t == nil {
		return nil
	}
	var decided *place
	for _, p := range t.on[a.On] {
		switch s := p.stand.Load(); {
		case s.Phase == Running && !p.over(a.Now):
			return p.assign(a, s)
		case s.Phase == Decided:
			decided = p
		}
	}
	if decided == nil {
		return nil
	}
	return decided.assign(a, decided.stand.Load())
}

// over reports whether the time of the experiment has passed.
func (p *place) over(now time.Time) bool {
	stop := p.experiment.Stop
	return !stop.IsZero() && !now.Before(stop)
}

func (p *place) assign(a *Ask, s *Stand) *Given {
	e := p.experiment
	owner, value := a.Owner, ""
	switch e.Unit {
	case User:
		value = a.User
	case Key:
		owner, value = "", a.KeyID
	default:
		value = a.Session()
	}
	if value == "" {
		return nil
	}
	g := &Given{Experiment: e, Unit: e.Hash(owner, value), Shares: s.Shares, Counts: s.Phase == Running}
	if g.Shares == nil {
		g.Shares = p.planned
	}
	halted := func(arm int) bool { return s.Halted != nil && s.Halted[arm] }
	pinned, known := p.pins.get(g.Unit)
	known = known && int(pinned) < len(e.Arms) && !halted(int(pinned))
	if s.Phase == Decided {
		// A conversation ends as it began; whoever comes later gets the winner.
		if g.Arm = s.Winner; known && e.Unit == Session {
			g.Arm = int(pinned)
		}
		return g
	}
	if known {
		g.Arm = int(pinned)
		return g
	}
	g.Arm = e.Pick(g.Unit, g.Shares)
	p.pins.put(g.Unit, int8(g.Arm))
	return g
}

// mostPins is how many units of an experiment are remembered at least, where
// there are so many: those seen last. Others get what the hash says, which is the
// same unless shares have changed.
const mostPins = 1 << 16

// pins remembers the arms of units in two generations: when the young one is
// full it becomes the old one, whose place is free.
type pins struct {
	mu         sync.Mutex // guards young and old
	young, old map[int64]int8
}

func (p *pins) get(unit int64) (arm int8, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if arm, ok = p.young[unit]; ok {
		return arm, true
	}
	if arm, ok = p.old[unit]; ok {
		p.add(unit, arm)
	}
	return arm, ok
}

func (p *pins) put(unit int64, arm int8) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(unit, arm)
}

// add needs mu.
func (p *pins) add(unit int64, arm int8) {
	if len(p.young) >= mostPins || p.young == nil {
		p.young, p.old = make(map[int64]int8), p.young
	}
	p.young[unit] = arm
}
