package steer

import (
	"context"
	"sync"
	"time"

	"headrace/internal/learn"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// The signs of failure that nobody gives on purpose, as Feedback.Signal.
const (
	SignRefused   = "refused"
	SignTruncated = "truncated"
	SignInvalid   = "invalid"
	SignToolError = "tool_error"
	SignSameAgain = "same_prompt"
	SignMovedUp   = "moved_up"
)

const (
	// wait is how long an answer waits for feedback before it counts as what it
	// seems to be; mostPending bounds how many do.
	wait        = 5 * time.Minute
	mostPending = 4096
)

// pending are trips that have ended and are not settled.
type pending struct {
	mu    sync.Mutex // guards what follows
	trips map[ledger.ID]*Trip
	queue []ledger.ID // in the order of Trip.until; some are settled already
}

// add gives the trip that has to be settled for it, or nil.
func (q *pending) add(p *Trip) (settle *Trip) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.trips == nil {
		q.trips = map[ledger.ID]*Trip{}
	}
	q.trips[p.id] = p
	q.queue = append(q.queue, p.id)
	if len(q.trips) > mostPending {
		return q.oldest()
	}
	return nil
}

// oldest takes the one that has waited longest. It needs mu.
func (q *pending) oldest() *Trip {
	for len(q.queue) > 0 {
		id := q.queue[0]
		q.queue = q.queue[1:]
		if p := q.trips[id]; p != nil {
			delete(q.trips, id)
			return p
		}
	}
	return nil
}

// take takes a trip out; nil when it is settled.
func (q *pending) take(id ledger.ID) *Trip {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.trips[id]
	delete(q.trips, id)
	return p
}

// over takes one that has waited long enough; nil when there is none.
func (q *pending) over(now time.Time) *Trip {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.queue) > 0 {
		p := q.trips[q.queue[0]]
		if p != nil && now.Before(p.until) {
			return nil
		}
		q.queue = q.queue[1:]
		if p != nil {
			delete(q.trips, p.id)
			return p
		}
	}
	return nil
}

// End is how a request ended.
type End struct {
	Attempts []relay.Attempt
	OK       bool
	// Cost is what each attempt cost as far as it is known, Finish how the answer
	// ended that the client got.
	Cost func(a *relay.Attempt) llm.Nanodollars
}

// Ended takes how the request ended, writes the choice to its row, and learns
// what can be learned at once. The trip is not the caller's any more.
func (p *Trip) Ended(row *ledger.Entry, end *End) {
	if p.task == "" {
		p.task = taskName(p.ask.Task)
	}
	choice := p.shown()
	row.Label.Task, row.Choice = p.task, choice
	final := -1
	for i := range end.Attempts {
		if a := &end.Attempts[i]; end.OK && a.Class == "" && !a.Opinion && a.Sent {
			if final >= 0 {
				choice.Held++
			}
			final = i
		}
	}
	p.walk(end, final)
	if final < 0 {
		p.t.pool.Put(p) // what failed is its providers' affair, and says nothing of the rung
		return
	}
	a := &end.Attempts[final]
	choice.Answered, choice.Fault = final+1, fault(a)
	p.rung = min(a.Rung, len(p.c.rungs)+1) - 1
	if p.rung == len(p.c.rungs) {
		p.rung = -1 // a rule's model
	}
	p.t.known.change(p.session, func(v *session) {
		turns := 1
		if p.look.later {
			turns += v.turns
		}
		*v = session{id: p.id, at: p.at, route: p.c.name, rung: p.rung, provider: a.Provider, model: a.Model, turns: turns,
			prompt: a.Usage.Prompt(), output: a.Usage.Output, said: p.look.said, trouble: v.trouble, well: choice.Fault == ""}
		if v.latched = p.latched || p.rule == ledger.RuleLatch; p.rule == ledger.RuleLatch {
			v.trouble = 0
		}
		if choice.Fault != "" || choice.Held > 0 {
			v.trouble++
		}
	})
	if sign := sign(a); sign != "" {
		p.t.say(ledger.Feedback{Request: p.id, At: p.at, Signal: sign})
		p.teach(0, learn.Implicit)
		p.end(0)
		return
	}
	p.until = time.Now().Add(wait)
	if old := p.t.pending.add(p); old != nil {
		old.silent()
	}
}

// Dropped ends a trip of which nothing became.
func (p *Trip) Dropped() { p.t.pool.Put(p) }

// fault says in words what was wrong with the answer that the client got.
func fault(a *relay.Attempt) string {
	switch {
	case a.Wrong != "":
		return a.Wrong
	case a.Finish.Reason == llm.FinishRefusal:
		return "it was refused"
	case a.Finish.Reason == llm.FinishLength, a.Finish.Reason == llm.FinishContext:
		return "it was cut"
	}
	return ""
}

// sign names the same; "" for nothing.
func sign(a *relay.Attempt) string {
	switch {
	case a.Finish.Reason == llm.FinishRefusal:
		return SignRefused
	case a.Finish.Reason == llm.FinishLength, a.Finish.Reason == llm.FinishContext:
		return SignTruncated
	case a.Wrong != "":
		return SignInvalid
	}
	return ""
}

// evidence is what is known of an answer.
func evidence(a *relay.Attempt) learn.Evidence {
	switch {
	case a.Wrong != "":
		return learn.Failed
	case a.Differed:
		return learn.Differed
	case a.Agreed:
		return learn.Agreed
	case a.Checked:
		return learn.Passed
	}
	return learn.Unchecked
}

// Wants reports whether the next rung is to be asked after the last of the
// attempts (Climb); cost says what one cost.
func (p *Trip) Wants(next *route.Target, past []relay.Attempt, cost func(a *relay.Attempt) llm.Nanodollars) bool {
	spent, last := llm.Nanodollars(0), -1
	for i := range past {
		if spent += cost(&past[i]); !past[i].Opinion {
			last = i
		}
	}
	if last < 0 {
		return true
	}
	return p.Climb(next, evidence(&past[last]), past[last].Rung-1, spent)
}

// walk notes the stages that the request went through, how long its answers
// were, and that answers which were not passed on were no success.
func (p *Trip) walk(end *End, final int) {
	for i := range end.Attempts {
		a := &end.Attempts[i]
		cost := float64(0)
		if a.Sent {
			cost = float64(end.Cost(a))
		}
		if a.Opinion {
			if n := len(p.stages); n > 0 {
				p.stages[n-1].Cost += cost
			}
			continue
		}
		at := a.Rung - 1
		if !a.Sent || a.Class != "" || at < 0 || at >= len(p.c.rungs) {
			continue
		}
		p.c.rungs[at].noteLength(a.Usage.Output)
		stage := learn.Stage{State: p.ask.Task.After(at, evidence(a)), Cost: cost, Score: -1}
		if a.Wrong != "" {
			stage.Score = 0
		}
		p.stages = append(p.stages, stage)
		if i != final && a.Wrong != "" {
			o := learn.Outcome{Task: p.ask.Task, Text: &p.text, Rung: at, Weight: learn.Implicit}
			if p.drawn && at == p.choice.Rung {
				o.Choice = &p.choice
			}
			p.c.learner.Teach(&o)
			p.c.taught.Store(true)
		}
	}
}

// teach learns a score of the rung that answered.
func (p *Trip) teach(score, weight float64) {
	if p.rung < 0 || p.rung >= len(p.c.rungs) {
		return
	}
	o := learn.Outcome{Task: p.ask.Task, Text: &p.text, Rung: p.rung, Score: score, Weight: weight}
	if p.drawn && p.rung == p.choice.Rung {
		o.Choice = &p.choice
	}
	p.c.learner.Teach(&o)
	p.c.taught.Store(true)
}

// end is the last that is done with a trip.
func (p *Trip) end(score float64) {
	if n := len(p.stages); n > 0 {
		p.stages[n-1].Score = score
		p.c.logged(p.stages, p.c.value())
		p.stages = nil
	}
	p.t.pool.Put(p)
}

// silent settles a trip that nothing was heard of: it was as it seemed.
func (p *Trip) silent() {
	p.teach(1, learn.Implicit)
	p.end(1)
}

// settle settles the trips that have waited long enough.
func (t *Table) settle(now time.Time) {
	for p := t.pending.over(now); p != nil; p = t.pending.over(now) {
		p.silent()
	}
}

// signs notes what a request says of the one before it in its conversation.
func (p *Trip) signs(was *session, met bool) {
	if !met || was.id == 0 {
		return
	}
	sign := ""
	switch {
	case was.said == p.look.said && was.well && p.at.Sub(was.at) < wait:
		sign = SignSameAgain
	case p.look.errors > 0 && p.look.open:
		sign = SignToolError
	case was.well && was.trouble == 1: // a turn without; two stand until they are heeded
		was.trouble = 0
		p.t.known.change(p.session, func(v *session) { v.trouble = 0 })
	}
	if sign == "" {
		return
	}
	was.trouble++
	p.t.known.change(p.session, func(v *session) { v.trouble++ })
	p.t.failed(was.id, sign, p.at)
}

// failed takes a sign that an earlier request was no success.
func (t *Table) failed(id ledger.ID, sign string, now time.Time) {
	if p := t.pending.take(id); p != nil {
		p.teach(0, learn.Implicit)
		p.end(0)
	}
	t.say(ledger.Feedback{Request: id, At: now, Signal: sign})
}

func (t *Table) say(f ledger.Feedback) {
	if t.o.Say != nil {
		t.o.Say(f)
	}
}

// passed notes a request that names a model in a conversation that has a name:
// its client may have moved up from a route's answer.
func (t *Table) passed(now *state, a *Ask, plan *route.Plan) {
	if a.Draft.Session == "" || a.Draft.Op != llm.OpChat || len(plan.Targets) == 0 {
		return
	}
	key := t.named(a.Key, a.Draft.Session)
	to := &plan.Targets[0]
	was, met := t.known.get(key)
	if met && was.route != "" && a.At.Sub(was.at) < wait {
		before, ok := now.catalog.PriceAt(was.provider, was.model, a.At)
		after, also := now.catalog.PriceAt(to.Provider, to.Model, a.At)
		if ok && also && after.Output.USD() > before.Output.USD() {
			t.failed(was.id, SignMovedUp, a.At)
		}
	}
	t.known.change(key, func(v *session) {
		*v = session{id: a.ID, at: a.At, rung: -1, provider: to.Provider, model: to.Model}
	})
}

// Last gives the last request of a conversation that its client names.
func (t *Table) Last(key, name string) (ledger.ID, bool) {
	v, ok := t.known.get(t.named(key, name))
	return v.id, ok && v.id != 0
}

// Feedback takes what somebody says of an answer on purpose; whoever calls it
// has made sure that it is theirs. It waits for nothing: of a request that is
// settled already it is learned a little later.
func (t *Table) Feedback(f ledger.Feedback) {
	if p := t.pending.take(f.Request); p != nil {
		p.c.heard.Store(true)
		p.teach(f.Score, 1)
		p.end(f.Score)
		return
	}
	t.lateMu.Lock()
	defer t.lateMu.Unlock()
	if len(t.late) < mostPending {
		t.late = append(t.late, f)
	}
}

// heed learns what came late, from the rows.
func (t *Table) heed(ctx context.Context) {
	t.lateMu.Lock()
	late := t.late
	t.late = nil
	t.lateMu.Unlock()
	if t.o.Entry == nil {
		return
	}
	for _, f := range late {
		e, ok, err := t.o.Entry(ctx, f.Request)
		if err != nil {
			t.o.Log.Error("feedback is not learned from: its request cannot be read", "request", f.Request.String(), "error", err)
			continue
		}
		if ok && e.Choice != nil {
			t.recall(&e, f.Score)
		}
	}
}

// recall learns a score from the row of a request.
func (t *Table) recall(e *ledger.Entry, score float64) {
	c := t.now.Load().courses[e.Choice.Route]
	a := e.Answered()
	if c == nil || a == nil {
		return
	}
	t.ready(c)
	c.heard.Store(true)
	o := learn.Outcome{Task: learn.Key(e.Choice.Key), Rung: -1, Score: score}
	choice := learn.Choice{Rung: -1}
	for i := range choice.Cost {
		choice.Cost[i] = -1
	}
	for _, k := range e.Choice.Candidates {
		at := k.Rung - 1
		if at < 0 || at >= len(c.rungs) || c.rungs[at].think != k.Think || c.ladder.Rungs[at].Model != k.Target {
			continue // it is another ladder by now
		}
		choice.Chance[at], choice.Success[at] = float32(k.Chance), float32(k.Success)
		if k.Left == "" {
			choice.Cost[at] = float32(k.Cost)
		}
		if k.Rung == e.Choice.Rung {
			choice.Rung = at
		}
		if a.Provider+"/"+a.Model == c.rungs[at].provider+"/"+c.rungs[at].model && (o.Rung < 0 || k.Rung == e.Choice.Rung) {
			o.Rung = at
		}
	}
	if o.Rung < 0 {
		return
	}
	if drawn := e.Choice.Rule == ledger.RuleLearned || e.Choice.Rule == ledger.RuleExplored || e.Choice.Rule == ledger.RuleFirst; drawn && o.Rung == choice.Rung {
		o.Choice = &choice
	}
	c.learner.Teach(&o)
	c.taught.Store(true)
}

// shown is the choice as the ledger keeps it.
func (p *Trip) shown() *ledger.Choice {
	c := &ledger.Choice{Route: p.c.name, Key: uint64(p.ask.Task), Rule: p.rule, Why: p.why, Rung: p.first,
		Labels: float64(p.choice.Labels), Delta: p.c.learner.Delta()}
	if at := p.first - 1; at >= 0 && at < len(p.c.rungs) {
		c.Chance = float64(p.choice.Chance[at])
	} else {
		c.Chance = 1
	}
	left := map[int]string{}
	for _, l := range p.left {
		if l.Rung > 0 {
			left[l.Rung] = l.Why
		} else {
			c.Candidates = append(c.Candidates, ledger.Candidate{Target: l.Target, Left: l.Why}) // a rule's model
		}
	}
	if p.ruled != "" {
		c.Candidates = append(c.Candidates, ledger.Candidate{Rung: p.first, Target: p.ruled, Chance: 1})
	}
	for at := range p.c.rungs {
		k := ledger.Candidate{Rung: at + 1, Target: p.c.ladder.Rungs[at].Model, Think: p.c.rungs[at].think, Left: left[at+1],
			FirstTokenMS: p.token[at].Milliseconds(), Success: round(p.choice.Success[at]), Chance: round(p.choice.Chance[at]),
			Closed: p.choice.Closed&(1<<at) != 0}
		if k.Left == "" {
			k.Left = p.out[at]
		}
		if p.priced[at] {
			k.Cost, k.Priced = llm.Nanodollars(p.cost[at]), true
		}
		c.Candidates = append(c.Candidates, k)
	}
	return c
}

// round keeps rows short: chances are in hundredths of a percent.
func round(p float32) float64 { return float64(int(p*10_000+0.5)) / 10_000 }
