package gateway

import (
	"strconv"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// Steer puts the rungs of a route in order, and learns from what became of
// them. No method waits.
type Steer interface {
	// Choose orders the targets of a plan with a ladder, and notes a request of a
	// conversation that has a name. Nil is nothing to be told the end of.
	Choose(a *Asking, plan *route.Plan) Trip
	// Last gives the last request of a conversation that its client names.
	Last(key, session string) (ledger.ID, bool)
	// Feedback takes what somebody says on purpose of an answer of theirs.
	Feedback(f ledger.Feedback)
	// Speed is how long a target takes to begin an answer, if that is known.
	Speed(provider, model string) (time.Duration, bool)
}

// Asking is a request whose rungs are to be put in order.
type Asking struct {
	ID        ledger.ID
	At        time.Time
	Key, Team string
	Draft     *llm.Draft
	// Tokens is about how long the prompt is.
	Tokens int64
}

// Trip is one request on its way up a ladder.
type Trip interface {
	// Wants reports whether the next rung is worth asking after the last of the
	// attempts, whose answer is not as the route wants it.
	Wants(next *route.Target, past []relay.Attempt, cost func(*relay.Attempt) llm.Nanodollars) bool
	// Ended is told how the request ended, last of all, and writes the choice to
	// its row.
	Ended(row *ledger.Entry, out *relay.Outcome, cost func(*relay.Attempt) llm.Nanodollars)
}

// steer has the targets of a plan put in order.
func (x *exchange) steer(p *access.Principal, d *llm.Draft, n *route.Needs, plan *route.Plan) {
	if t := x.row.Trial; t != nil && t.Shadows != 0 {
		return // nobody sees what a copy is answered
	}
	if x.g.o.Steer == nil || d.Op != llm.OpChat || plan.Ladder == nil && d.Session == "" {
		return
	}
	a := Asking{ID: x.row.ID, At: x.reply.start, Key: p.KeyID, Team: p.Team, Draft: d, Tokens: n.Tokens}
	x.reply.trip = x.g.o.Steer.Choose(&a, plan)
}

// Climb implements relay.Climber.
func (r *reply) Climb(next *route.Target, past []relay.Attempt) bool {
	return r.trip == nil || r.trip.Wants(next, past, r.cost)
}

// cost is what an attempt cost, as far as that is known.
func (r *reply) cost(a *relay.Attempt) llm.Nanodollars {
	if a.Usage.Source == "" {
		return 0
	}
	cost, _ := r.catalog.Cost(a.Provider, a.Model, a.Usage, a.Start)
	return cost
}

// heard takes the verdict on the last answer of its conversation that a request
// brings along: success, failure, or a number from 0 to 1.
func (x *exchange) heard(p *access.Principal, d *llm.Draft, lines []string) *llm.Error {
	if len(lines) == 0 {
		return nil
	}
	score, err := strconv.ParseFloat(lines[0], 64)
	switch word := strings.ToLower(strings.TrimSpace(lines[0])); {
	case word == "success":
		score, err = 1, nil
	case word == "failure":
		score, err = 0, nil
	}
	if err != nil || len(lines) > 1 || !(score >= 0 && score <= 1) {
		return llm.Errorf(llm.InvalidRequest, "x-headrace-feedback is success, failure or a number from 0 to 1, of the last answer of this conversation")
	}
	if x.g.o.Steer == nil {
		return nil
	}
	if d.Session == "" {
		return llm.Errorf(llm.InvalidRequest, "x-headrace-feedback is about the last answer of a conversation: say which it is in x-headrace-session, or POST to /v1/feedback")
	}
	if id, ok := x.g.o.Steer.Last(p.KeyID, d.Session); ok {
		x.g.tell(ledger.Feedback{Request: id, At: x.reply.start, Explicit: true, Signal: "feedback", Score: score})
	} else {
		x.reply.warned = append(x.reply.warned, "x-headrace-feedback: no earlier request of this conversation is known")
	}
	return nil
}

// tell gives feedback to those who want it.
func (g *Gateway) tell(f ledger.Feedback) {
	g.o.Ledger.Say(f)
	if g.o.Steer != nil {
		g.o.Steer.Feedback(f)
	}
}
