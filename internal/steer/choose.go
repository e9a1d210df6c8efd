package steer

import (
	"fmt"
	"math"
	"time"

	"headrace/internal/learn"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/route"
)

// Trip is one request on its way up a ladder. Its methods are called by the
// request's goroutine alone, Ended last.
type Trip struct {
	t       *Table
	s       *state
	c       *course
	id      ledger.ID
	at      time.Time
	session uint64
	task    string // as it is shown
	look    look

	ask    learn.Ask
	choice learn.Choice
	text   learn.Features
	// drawn says that choice.Rung was decided on and asked first: then its chances
	// are true.
	drawn   bool
	ruled   string // the model that a rule of the route names, when one holds
	latched bool   // the conversation was moved up before
	rule    ledger.Rule
	why     string
	// first is the place of the target that is asked first, as Target.Rung.
	first  int
	left   []route.Left
	out    [learn.MostRungs]string // why a rung of the plan could not be chosen
	token  [learn.MostRungs]time.Duration
	priced [learn.MostRungs]bool
	cost   [learn.MostRungs]float64 // also of those left out for it
	target [learn.MostRungs]*route.Target
	most   llm.Nanodollars // what it may cost; 0 is anything

	// What follows is known when it has ended.
	rung   int // that answered, from 0; -1 for one beside the ladder
	stages []learn.Stage
	until  time.Time // when it is settled without feedback
}

// known is the weight of the labels from which on what was learned decides.
const known = 30

// Choose puts the targets of a plan in order and gives the trip that has to be
// told how it ended; nil where nothing is to be learned of it. It allocates
// little and asks nobody.
func (t *Table) Choose(a *Ask, plan *route.Plan) *Trip {
	now := t.now.Load()
	if plan.Ladder == nil {
		t.passed(now, a, plan)
		return nil
	}
	var c *course
	if plan.Ladder.Name != "" {
		c = now.courses[plan.Ladder.Name]
	}
	r, err := a.Draft.Request()
	if c == nil || c.ladder != plan.Ladder || err != nil {
		return nil // a plan of before a reload, or a request whose provider says what is wrong with it
	}
	t.ready(c)
	p := t.pool.Get().(*Trip)
	stages := p.stages[:0]
	text := p.text
	*p = Trip{t: t, s: now, c: c, id: a.ID, at: a.At, left: plan.Left, rung: -1, stages: stages}
	p.text = text
	p.begin(a, plan, r)
	return p
}

// begin looks at the request, and orders the plan.
func (p *Trip) begin(a *Ask, plan *route.Plan, r *llm.Request) {
	owner := tenant(a)
	p.look = p.t.look(a.Key, r)
	p.session = p.look.opening
	if a.Draft.Session != "" {
		p.session = p.t.named(a.Key, a.Draft.Session)
	}
	was, met := p.t.known.get(p.session)
	p.signs(&was, met)
	p.ask.Task = learn.ScopeOf(owner, p.c.name).Task(a.Task, r)
	p.task = a.Task
	p.text.Salt = uint32(learn.ScopeOf(owner))
	p.text.Read(learn.Prompt(r))
	p.ask.Text = &p.text
	p.most = p.c.ladder.Aim.MaxCost
	if a.MaxCost > 0 && (p.most == 0 || a.MaxCost < p.most) {
		p.most = a.MaxCost
	}
	here := met && was.route == p.c.name && was.rung >= 0 && was.rung < len(p.c.rungs)
	p.weigh(a, plan, &was, here)
	p.ask.Explore = !p.look.later && p.c.explores()
	p.c.learner.Decide(&p.ask, &p.choice)
	p.first = plan.Targets[0].Rung
	switch {
	case plan.Ruled():
		p.rule, p.why, p.ruled = ledger.RuleWhen, plan.Targets[0].Why, plan.Targets[0].String()
	case plan.Sorted != "":
		p.rule, p.why = ledger.RuleSorted, "the name asks for the cheapest first"
		if plan.Sorted == "nitro" {
			p.why = "the name asks for the fastest first"
		}
	case p.choice.Rung < 0:
		p.rule, p.why = ledger.RuleOnly, "nothing else can take the request"
	case p.look.later && !here && (p.look.open || p.look.bound):
		// Whoever made the state stands first already (recall).
		p.rule, p.why = ledger.RuleSession, "the conversation began before this process remembers, and its state binds it"
	default:
		p.order(plan, &was, here)
	}
	if p.rule == ledger.RuleWhen || p.rule == ledger.RuleSorted || p.rule == ledger.RuleSession && !p.drawn {
		p.sure(p.first - 1)
	}
}

// sure writes down that no chance was involved.
func (p *Trip) sure(rung int) {
	p.drawn, p.choice.Chance = false, [learn.MostRungs]float32{}
	if p.choice.Rung = rung; rung >= 0 && rung < len(p.c.rungs) {
		p.choice.Chance[rung] = 1
	}
}

// weigh says what each rung would cost, and which cannot be chosen.
func (p *Trip) weigh(a *Ask, plan *route.Plan, was *session, here bool) {
	for i := range p.ask.Cost {
		p.ask.Cost[i] = -1
	}
	usable := 0
	for i := range plan.Targets {
		t := &plan.Targets[i]
		at := t.Rung - 1
		if at < 0 || at >= len(p.c.rungs) {
			continue
		}
		r := &p.c.rungs[at]
		p.target[at] = t
		p.token[at] = time.Duration(r.firstToken.Load())
		cached := int64(0)
		if here && was.provider == r.provider && was.model == r.model && a.At.Sub(was.at) < cacheLife {
			cached = was.prompt + was.output
		}
		p.ask.Cost[at], p.priced[at] = p.price(r, a.Tokens, cached, a.Draft.Head.MaxTokens)
		usable++
	}
	p.fill()
	p.cost = p.ask.Cost
	aim := &p.c.ladder.Aim
	for _, f := range [...]func(at int) string{
		func(at int) string {
			if r := &p.c.rungs[at]; p.t.o.Aside != nil && p.t.o.Aside(r.provider, r.model) {
				return "it is set aside after failures"
			}
			return ""
		},
		func(at int) string {
			if p.most > 0 && p.priced[at] && p.ask.Cost[at] > float64(p.most) {
				return "it would cost more than the most"
			}
			return ""
		},
		func(at int) string {
			if aim.FirstToken > 0 && p.token[at] > aim.FirstToken {
				return "its first tokens take too long"
			}
			return ""
		},
	} {
		usable = p.without(f, usable)
	}
}

// without leaves out what a filter says something of, unless that is all.
func (p *Trip) without(f func(at int) string, usable int) int {
	var out [learn.MostRungs]string
	n := 0
	for at := range p.c.rungs {
		if p.ask.Cost[at] >= 0 {
			if out[at] = f(at); out[at] != "" {
				n++
			}
		}
	}
	if n == 0 || n == usable {
		return usable
	}
	for at, why := range out {
		if why != "" {
			p.ask.Cost[at], p.out[at] = -1, why
		}
	}
	return usable - n
}

// cacheLife is how long a provider keeps the prompt of a request at hand.
const cacheLife = 5 * time.Minute

// price is what a rung is expected to ask for a request, in nanodollars.
func (p *Trip) price(r *rung, prompt, cached, most int64) (cost float64, ok bool) {
	price, ok := p.s.catalog.PriceAt(r.provider, r.model, p.at)
	if !ok {
		return 0, false
	}
	rates := price.At(prompt, p.at)
	if !rates.Input.Known || !rates.Output.Known {
		return 0, false
	}
	output := r.length()
	if most > 0 {
		output = min(output, float64(most))
	}
	cached = min(cached, prompt)
	read := rates.Input
	if rates.CacheRead.Known {
		read = rates.CacheRead
	}
	return (float64(prompt-cached)*float64(rates.Input.PerMillion) + float64(cached)*float64(read.PerMillion) + output*float64(rates.Output.PerMillion)) / 1e6, true
}

// fill guesses the price of rungs without a known one: that of the rung below,
// or else of the one above.
func (p *Trip) fill() {
	last := -1.0
	for at := range p.c.rungs {
		switch {
		case p.ask.Cost[at] < 0:
		case p.priced[at]:
			last = p.ask.Cost[at]
		case last >= 0:
			p.ask.Cost[at] = last
		default:
			p.ask.Cost[at] = math.NaN()
		}
	}
	next := 1.0
	for at := len(p.c.rungs) - 1; at >= 0; at-- {
		switch {
		case math.IsNaN(p.ask.Cost[at]):
			p.ask.Cost[at] = next
		case p.ask.Cost[at] >= 0:
			next = p.ask.Cost[at]
		}
	}
}

// order puts the rung first that was decided on, unless the conversation or the
// want of knowledge says another.
func (p *Trip) order(plan *route.Plan, was *session, here bool) {
	chosen, cold := p.choice.Rung, p.choice.Labels < known && p.c.ladder.Aim.Quality == 0
	count, lowest := 0, -1
	for at := range p.c.rungs {
		if p.ask.Cost[at] >= 0 {
			if count++; lowest < 0 {
				lowest = at
			}
		}
	}
	p.drawn = true
	switch {
	case count == 1:
		p.rule, p.why = ledger.RuleOnly, "no other rung can take the request"
	case p.choice.Explored:
		p.rule, p.why = ledger.RuleExplored, "drawn evenly, to learn of all rungs"
	case cold:
		p.rule, p.why = ledger.RuleFirst, "too little is known to choose"
		chosen = lowest
	default:
		p.rule, p.why = ledger.RuleLearned, "the cheapest that does about as well as the best"
		if p.choice.Labels < known {
			p.why = "the one that is likely the best, until more is known"
		}
	}
	if cold && count > 1 {
		explore := float32(0)
		if p.ask.Explore {
			explore = float32(p.c.learner.Explore())
		}
		for at := range p.c.rungs {
			if p.choice.Chance[at] = 0; p.ask.Cost[at] >= 0 {
				p.choice.Chance[at] = explore / float32(count)
			}
		}
		p.choice.Chance[lowest] += 1 - explore
	}
	p.choice.Rung = chosen
	p.latched = here && p.look.later && was.latched
	if here && p.look.later {
		if rung, rule, why := p.stay(was, chosen); rule != "" {
			chosen, p.rule, p.why = rung, rule, why
			p.sure(rung)
		}
	}
	for i := range plan.Targets {
		if plan.Targets[i].Rung == chosen+1 {
			p.first = chosen + 1
			plan.Begin(i, p.why)
			return
		}
	}
}

// stay says whether a conversation keeps its rung, or has to leave it; an empty
// rule leaves the choice as it is.
func (p *Trip) stay(was *session, chosen int) (rung int, rule ledger.Rule, why string) {
	now := was.rung
	if p.target[now] == nil {
		return 0, "", "" // it cannot take the request any more
	}
	if p.look.open {
		return now, ledger.RuleSession, "a tool's result is on its way to it"
	}
	if was.trouble >= 2 {
		for up := now + 1; up < len(p.c.rungs); up++ {
			if p.target[up] != nil && p.out[up] == "" && (!p.look.bound || p.c.rungs[up].provider == p.c.rungs[now].provider) {
				return up, ledger.RuleLatch, "two signs of trouble in this conversation"
			}
		}
	}
	switch {
	case was.latched && chosen <= now:
		return now, ledger.RuleSession, "the conversation was moved up there for trouble"
	case p.look.bound:
		return now, ledger.RuleSession, "the conversation holds state that is bound to it"
	case chosen == now:
		return now, ledger.RuleSession, "the conversation is there, and it would be chosen again"
	case p.at.Sub(was.at) >= cacheLife || p.out[now] != "":
		return 0, "", ""
	}
	return p.pays(was, chosen)
}

// pays says whether a switch is worth the prompt cache that it loses.
func (p *Trip) pays(was *session, chosen int) (rung int, rule ledger.Rule, why string) {
	now := was.rung
	here, there := &p.c.rungs[now], &p.c.rungs[chosen]
	a, ok := p.s.catalog.PriceAt(here.provider, here.model, p.at)
	b, also := p.s.catalog.PriceAt(there.provider, there.model, p.at)
	if !ok || !also {
		return now, ledger.RuleSession, "what a switch would cost is not known"
	}
	if p.ask.Cost[chosen] > p.ask.Cost[now] {
		gain := float64(p.choice.Success[chosen]-p.choice.Success[now]) * p.c.value()
		if gain > p.ask.Cost[chosen]-p.ask.Cost[now] {
			return 0, "", ""
		}
		return now, ledger.RuleSession, "a switch would cost more than it gains"
	}
	turns := route.BreakEven(was.prompt+was.output, int64(there.length()), a.At(was.prompt, p.at), b.At(was.prompt, p.at))
	// Of a conversation nothing says how long it still is; half of them are at their
	// middle.
	if turns >= 0 && turns <= float64(was.turns) {
		return 0, "", ""
	}
	if turns < 0 {
		return now, ledger.RuleSession, "a switch would never pay for the prompt cache that it loses"
	}
	return now, ledger.RuleSession, fmt.Sprintf("a switch would pay for the prompt cache that it loses after %.1f turns", turns)
}

// Unnamed begins how a task is shown that no client has named.
const Unnamed = "~"

func taskName(k learn.Key) string { return fmt.Sprintf(Unnamed+"%012x", uint64(k)>>16) }

// Climb reports whether the next rung is to be asked after an answer that is not
// as the route wants it: while what it may gain is worth its price, within what
// the request may cost.
func (p *Trip) Climb(next *route.Target, evidence learn.Evidence, rung int, spent llm.Nanodollars) bool {
	up := next.Rung - 1
	if rung < 0 || rung >= len(p.c.rungs) || up < 0 || up >= len(p.c.rungs) {
		return true // beside the ladder nothing is known
	}
	cost := p.cost[up]
	if p.most > 0 && p.priced[up] && float64(spent)+cost > float64(p.most) {
		return false
	}
	value := p.c.value()
	if value == 0 {
		return true
	}
	if state := p.ask.Task.After(rung, evidence); p.c.climb.Known(state) {
		return p.c.climb.Onward(state, value)
	}
	// One look ahead: what failed its checks is no success, and where a second
	// opinion differs one of the two is wrong.
	have := 0.0
	if evidence == learn.Differed {
		have = float64(p.choice.Success[rung]) / 2
	}
	return !p.priced[up] || (float64(p.choice.Success[up])-have)*value > cost
}
