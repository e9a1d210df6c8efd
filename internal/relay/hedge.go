package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"headrace/internal/llm"
	"headrace/internal/route"
)

// Hedger says when a second target is asked while the first has given no byte:
// the tail of its latency is cut for a few more requests (Dean and Barroso, The
// Tail at Scale, 2013). Safe for concurrent use.
type Hedger interface {
	// After is how long to wait for the first byte of a target; not ok: for ever.
	After(asked string, t *route.Target) (wait time.Duration, ok bool)
	// Spare reports whether a target is well enough to be the second one.
	Spare(t *route.Target) bool
	// Budget bounds the second requests; nil allows none.
	Budget() *Budget
}

// Budget lets a share of the requests be hedged. The zero value lets none until
// requests have come. Safe for concurrent use.
type Budget struct{ saved atomic.Int64 }

// perHedge is how many requests pay for one hedge, saveMost for how many hedges
// they pay ahead at most.
const (
	perHedge = 50
	saveMost = 10
)

func (b *Budget) earn() {
	if b != nil && b.saved.Load() < perHedge*saveMost {
		b.saved.Add(1)
	}
}

func (b *Budget) spend() bool {
	for b != nil {
		n := b.saved.Load()
		if n < perHedge {
			return false
		}
		if b.saved.CompareAndSwap(n, n-perHedge) {
			return true
		}
	}
	return false
}

// errHedged ends an attempt that another one was quicker than.
var errHedged = errors.New("another target answered first")

// hedges reports whether the present attempt may be hedged, and after which
// wait.
func (w *run) hedges() (time.Duration, bool) {
	hedge := w.relay.o.Hedge
	if hedge == nil || w.draft.Op != llm.OpChat || !w.draft.Head.Stream {
		return 0, false
	}
	if w.at == 0 && !w.again() {
		hedge.Budget().earn()
	}
	if w.again() || w.at+1 >= len(w.plan.Targets) || w.sent+2 > w.most {
		return 0, false
	}
	return hedge.After(w.plan.Name, w.target())
}

// hedge is an attempt at the run's present target beside which the next one may
// be asked before the first byte. Only one of them is passed on.
type hedge struct {
	*run
	// hold is the room that the next side has; nil where none is counted.
	hold Hold
	// both says that the second target was asked.
	both bool
}

// side is one of the two attempts.
type side struct {
	o      *opened
	permit Permit
	hold   Hold
	row    int // in out.Attempts
	ended  bool
	ans    *llm.Answer
	err    error
	panics any
	took   time.Duration // to the first byte
}

// race makes the attempt. It returns when both have ended.
func (h *hedge) race(ctx context.Context, permit Permit, after time.Duration) (reached reach, failed *llm.Error) {
	// Both read the words of the draft, so they are made before.
	for _, t := range h.plan.Targets[h.at : h.at+2] {
		d := h.draft.For(t.Provider)
		if _, err := d.Request(); err != nil {
			after = forever // it fails at the first target in its own way
		}
	}
	answered := make(chan *side, 2)
	running := 0
	launch := func(t *route.Target, p Permit) *side {
		s := &side{o: h.relay.open(ctx, t, h.draft, h.terms.of(t)), permit: p, hold: h.hold, row: len(h.out.Attempts) - 1}
		h.hold = nil
		began, credential, n := h.out.Attempts[s.row].Start, h.out.Attempts[s.row].Credential, h.out.Attempts[s.row].N
		h.out.Attempts[s.row].Class = llm.Unavailable // until it has ended
		running++
		go func() { // ends with Send, which ends with its context
			defer func() {
				s.panics = recover()
				s.took = time.Since(began)
				answered <- s
			}()
			s.ans, s.err = h.relay.send(s.o, h.draft, credential, n)
		}()
		return s
	}
	sides := []*side{launch(&h.plan.Targets[h.at], permit)}
	defer func() {
		for _, s := range sides {
			s.o.cancel(errHedged)
		}
		for ; running > 0; running-- { // only after a panic
			<-answered
		}
		for _, s := range sides {
			if !s.ended {
				s.end(&h.out.Attempts[s.row], &llm.Error{Class: llm.Unavailable, Message: "the attempt ended in a panic"})
			}
			s.o.close()
		}
	}()
	timer := time.NewTimer(after)
	defer timer.Stop()
	var winner *side
	for running > 0 {
		select {
		case <-timer.C:
			if p := h.second(); p != nil {
				h.both = true
				sides = append(sides, launch(&h.plan.Targets[h.at+1], p))
			}
			continue
		case s := <-answered:
			running--
			if s.panics != nil {
				panic(s.panics)
			}
			switch {
			case context.Cause(s.o.ctx) == errHedged:
				h.spare(s)
			case s.err == nil:
				winner = s
				h.others(sides, s)
			default:
				e := h.relay.classify(ctx, s.o.ctx, s.err, s.o.t)
				if failed == nil || h.terms.rules[failed.Class].Step != StepStop {
					failed = e
				}
				h.fails(s, e)
				timer.Stop() // a failure is for the loop of attempts
				if h.terms.rules[e.Class].Step == StepStop {
					h.others(sides, s) // the same prompt is not tried elsewhere
				}
			}
		}
	}
	if winner == nil {
		return nothing, failed
	}
	a := h.toEnd(sides, winner)
	a.FirstByte = winner.took
	last := h.at+len(sides) == len(h.plan.Targets)
	reached, failed = h.pass(ctx, winner.o, winner.ans, a, last)
	a.end(failed)
	winner.end(a, failed)
	return reached, failed
}

// forever is a wait that nothing ends.
const forever = 100 * 365 * 24 * time.Hour

// second gets leave for the second target and its row; nil when it is not
// asked.
func (h *hedge) second() Permit {
	t := &h.plan.Targets[h.at+1]
	if !h.relay.o.Hedge.Spare(t) || !h.relay.o.Hedge.Budget().spend() {
		return nil
	}
	a := Attempt{N: len(h.out.Attempts) + 1, Provider: t.Provider, Model: t.Model,
		Rung: t.Rung, Why: t.Why + ", beside a slow " + h.plan.Targets[h.at].Provider, Start: time.Now(), Op: h.draft.Op, Streamed: h.draft.Head.Stream}
	if h.relay.o.Reserver != nil {
		hold, _, full := h.relay.o.Reserver.Reserve(t, h.draft, 0, 0)
		if full != nil {
			return nil
		}
		h.hold, a.Credential = hold, hold.Credential()
	}
	p, aside := h.relay.allow(t, false)
	if aside != nil {
		if h.hold != nil {
			h.hold.Done(&Attempt{}, nil)
			h.hold = nil
		}
		return nil
	}
	h.out.Attempts = append(h.out.Attempts, a)
	return p
}

// end gives back what a side had.
func (s *side) end(a *Attempt, failed *llm.Error) {
	s.ended = true
	s.permit.Done(a)
	if s.hold != nil {
		s.hold.Done(a, failed)
	}
}

// others ends those that are beside a side.
func (h *hedge) others(sides []*side, s *side) {
	for _, other := range sides {
		if other != s && !other.ended {
			other.o.cancel(errHedged)
		}
	}
}

// toEnd moves the winner's row to the end: the last attempt decides.
func (h *hedge) toEnd(sides []*side, winner *side) *Attempt {
	rows, last := h.out.Attempts, len(h.out.Attempts)-1
	for _, s := range sides {
		if s.row == last && s != winner {
			rows[winner.row], rows[last] = rows[last], rows[winner.row]
			rows[winner.row].N, rows[last].N = rows[last].N, rows[winner.row].N
			s.row, winner.row = winner.row, last
			break
		}
	}
	return &rows[winner.row]
}

// fails notes a side that failed of itself, or because it was given up.
func (h *hedge) fails(s *side, e *llm.Error) {
	a := &h.out.Attempts[s.row]
	if a.Sent = e.Class != llm.Unsupported; a.Sent {
		h.sent++
	}
	a.end(e)
	s.end(a, e)
}

// spare notes a side that is not needed any more, whatever it came to.
func (h *hedge) spare(s *side) {
	a := &h.out.Attempts[s.row]
	if s.ans != nil {
		a.Status, a.UpstreamID, a.FirstByte = s.ans.Status, s.ans.UpstreamID, s.took
		a.Usage, a.Finish = s.ans.Glance.Usage, s.ans.Glance.Finish
		if s.ans.Stream != nil {
			s.ans.Stream.Close() // what it says is of no interest: the connection goes
		}
	}
	a.Spared = true
	h.fails(s, &llm.Error{Class: llm.ClientGone, Message: errHedged.Error(), Provider: s.o.t.Provider, Model: s.o.t.Model})
}
