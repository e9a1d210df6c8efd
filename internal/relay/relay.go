// Package relay is the attempt loop: it sends a request to the targets of a
// plan, one after another, until one answers, and passes the answer on. It
// holds back what is not yet content, so that until then any target may be
// tried; after that commit point an answer can only end complete, with an
// error in the client's dialect, or with a broken connection.
package relay

import (
	"context"
	"time"

	"headrace/internal/llm"
	"headrace/internal/route"
)

// Sender makes one attempt at one target. A failure is an *llm.Error, or the
// context's error. Nothing of the answer has reached the client when it
// returns.
type Sender interface {
	Send(ctx context.Context, t *route.Target, d *llm.Draft) (*llm.Answer, error)
}

// Breaker says whether a target may be tried now. Safe for concurrent use.
type Breaker interface {
	// Allow asks for leave to make an attempt; repeat says that this request has
	// been tried at the target already. Nil means no: wait is then how long the
	// target is set aside, or 0 when only the repeat is one too many.
	Allow(t *route.Target, repeat bool) (p Permit, wait time.Duration)
}

// Permit is leave for one attempt.
type Permit interface {
	// Done says how the attempt went. It is called once.
	Done(a *Attempt)
}

// Options set up a Relay. The zero value of each says its default.
type Options struct {
	Sender Sender
	// Prepare fits the draft to a target before each attempt; nil leaves it.
	Prepare func(t *route.Target, d llm.Draft) llm.Draft
	// Breaker sets failing targets aside; nil tries all.
	Breaker Breaker
	// Reserver takes room for each attempt; nil takes none.
	Reserver Reserver
	// Policy has a row for each class; nil means DefaultPolicy.
	Policy []Rule
	// Attempts is how many requests to providers one client request may cost;
	// 0: 3, or the number of targets if that is more.
	Attempts int
	// Limits bound an attempt at any provider but those in Providers, which have
	// their own, by id.
	Limits    Limits
	Providers map[string]Limits
	// Drains are the providers whose answers are read on when the client leaves,
	// by id; of all others the connection is closed.
	Drains map[string]*Drain
	// Hedge says when a second target is asked beside a slow first one; nil never
	// does.
	Hedge Hedger
	// Hold is how long lifecycle frames are held back while no content comes;
	// then they go out, which commits, and pings follow at this interval; 0: 15 s.
	Hold time.Duration
}

// Relay runs attempts. Safe for concurrent use.
type Relay struct {
	o     Options
	rules map[llm.Class]Rule
}

// New makes a Relay.
func New(o Options) *Relay {
	if o.Policy == nil {
		o.Policy = DefaultPolicy()
	}
	o.Limits = o.Limits.orDefault()
	own := make(map[string]Limits, len(o.Providers))
	for id, l := range o.Providers {
		own[id] = l.orDefault()
	}
	o.Providers = own
	if o.Hold == 0 {
		o.Hold = 15 * time.Second
	}
	r := &Relay{o: o, rules: make(map[llm.Class]Rule, len(o.Policy))}
	for _, rule := range o.Policy {
		r.rules[rule.Class] = rule
	}
	return r
}

func (r *Relay) limits(t *route.Target) Limits {
	if l, ok := r.o.Providers[t.Provider]; ok {
		return l
	}
	return r.o.Limits
}

// attempts bounds the attempts of one request, whatever the policy says.
func (r *Relay) attempts(targets int) int {
	if r.o.Attempts > 0 {
		return r.o.Attempts
	}
	return max(3, targets)
}

// Outcome is how a request ended.
type Outcome struct {
	Attempts []Attempt
	// OK says that the client got a complete answer.
	OK bool
	// Class and Err say why not.
	Class llm.Class
	Err   *llm.Error
	// Committed says that content had reached the client.
	Committed bool
	Warnings  []string
}

// Run tries the plan's targets until one answers and passes its answer to
// reply. ctx is the client's: when it ends, the upstream is closed and no
// further attempt is made.
func (r *Relay) Run(ctx context.Context, plan *route.Plan, d *llm.Draft, reply Reply) Outcome {
	w := run{relay: r, plan: plan, asked: d, draft: d, reply: reply, most: r.attempts(len(plan.Targets)), mendedAt: -1}
	w.room = room{relay: r, plan: plan, draft: d}
	defer w.room.close(&w.out)
	for w.sent < w.most && w.room.more(&w.at) {
		w.prepare()
		draft, permit, ok := w.admit(ctx)
		if !ok {
			if w.gone(ctx) {
				break
			}
			w.turn(w.room.next(w.at))
			continue
		}
		reached, err := w.send(ctx, draft, permit)
		if err == nil {
			w.out.OK, w.out.Committed = true, true
			return w.out
		}
		if reached != nothing {
			return w.broke(ctx, reached, err)
		}
		if !w.next(ctx, err) {
			break
		}
	}
	return w.refuse(ctx)
}
