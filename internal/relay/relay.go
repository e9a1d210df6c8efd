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

// Judge looks at the whole answers of routes that say what an answer must be.
type Judge interface {
	// Judge says in a few words what is wrong with a whole answer; "" for nothing.
	Judge(must *route.Success, d *llm.Draft, a *llm.Answer) string
	// Canonical gives a form of a whole answer that is the same for all answers
	// that say the same; nil where there is none.
	Canonical(d *llm.Draft, a *llm.Answer) []byte
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
	// Routes are those that have terms of their own, by name.
	Routes map[string]Terms
	// Drains are the providers whose answers are read on when the client leaves,
	// by id; of all others the connection is closed.
	Drains map[string]*Drain
	// Hedge says when a second target is asked beside a slow first one; nil never
	// does.
	Hedge Hedger
	// Judge is asked about whole answers where the plan says what they must be; nil
	// takes all.
	Judge Judge
	// Hold is how long lifecycle frames are held back while no content comes;
	// then they go out, which commits, and pings follow at this interval; 0: 15 s.
	Hold time.Duration
}

// Terms are what a route has in place of what Options say for all requests; the
// fields mean the same. They are whole: what is left out has its default, not
// what all requests have.
type Terms struct {
	Policy    []Rule
	Attempts  int
	Limits    Limits
	Providers map[string]Limits
}

// Relay runs attempts. Safe for concurrent use.
type Relay struct {
	o      Options
	terms  *terms
	routes map[string]*terms
}

// terms are Terms made ready.
type terms struct {
	rules    map[llm.Class]Rule
	attempts int
	limits   Limits
	own      map[string]*Limits // by provider
}

// New makes a Relay.
func New(o Options) *Relay {
	if o.Hold == 0 {
		o.Hold = 15 * time.Second
	}
	r := &Relay{o: o, terms: ready(Terms{o.Policy, o.Attempts, o.Limits, o.Providers}), routes: make(map[string]*terms, len(o.Routes))}
	for name, t := range o.Routes {
		r.routes[name] = ready(t)
	}
	return r
}

func ready(t Terms) *terms {
	if t.Policy == nil {
		t.Policy = DefaultPolicy()
	}
	m := &terms{rules: make(map[llm.Class]Rule, len(t.Policy)), attempts: t.Attempts, limits: t.Limits.orDefault(), own: make(map[string]*Limits, len(t.Providers))}
	for _, rule := range t.Policy {
		m.rules[rule.Class] = rule
	}
	for id, l := range t.Providers {
		own := l.orDefault()
		m.own[id] = &own
	}
	return m
}

// termsOf are those of a plan's route, or those of all requests.
func (r *Relay) termsOf(p *route.Plan) *terms {
	if t, ok := r.routes[p.Name]; ok {
		return t
	}
	return r.terms
}

func (m *terms) of(t *route.Target) *Limits {
	if l, ok := m.own[t.Provider]; ok {
		return l
	}
	return &m.limits
}

// most bounds the attempts of one request, whatever the policy says.
func (m *terms) most(targets int) int {
	if m.attempts > 0 {
		return m.attempts
	}
	return max(3, targets)
}

// Outcome is how a request ended.
type Outcome struct {
	Attempts []Attempt
	// OK says that the client got a complete answer.
	OK bool
	// Class and Err say why not. An answer that refuses the content is complete
	// and has the class ContentRefused, without an Err.
	Class llm.Class
	Err   *llm.Error
	// Refused says more of a content refusal, in whatever form it was told.
	Refused llm.Refused
	// Committed says that content had reached the client.
	Committed bool
	Warnings  []string
}

// Run tries the plan's targets until one answers and passes its answer to
// reply. ctx is the client's: when it ends, the upstream is closed and no
// further attempt is made. The outcome is the caller's.
func (r *Relay) Run(ctx context.Context, plan *route.Plan, d *llm.Draft, reply Reply) *Outcome {
	w := r.begin(plan, d, reply)
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
		if err == nil && reached == nothing && w.doubted != nil {
			reached, err = w.weigh(ctx)
		}
		if err == nil && reached == nothing {
			w.turn(w.room.next(w.at)) // the answer is held, for another may be better
			continue
		}
		if err == nil {
			return w.done(&w.answered().Finish)
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

// begin begins a run.
func (r *Relay) begin(plan *route.Plan, d *llm.Draft, reply Reply) *run {
	own := r.termsOf(plan)
	w := &run{relay: r, terms: own, plan: plan, asked: d, draft: d, reply: reply, most: own.most(len(plan.Targets)), mendedAt: -1}
	w.room = room{relay: r, terms: own, plan: plan, draft: d}
	return w
}
