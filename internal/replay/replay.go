package replay

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/learn"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/route"
	"headrace/internal/tokens"
)

// Policy is the policy that rows are replayed under.
type Policy struct {
	Catalog *catalog.Catalog
	Policy  *route.Policy
	// Vendor is the provider that owns the doors of a dialect.
	Vendor func(d llm.Dialect) string
	// Ratio is what was learned of how a model counts tokens; nil is nothing.
	Ratio func(model string) float64
	// Good says how well a request went, from 0 to 1; judged is false where nobody
	// knows.
	Good func(e *ledger.Entry) (good float64, judged bool)
}

// Estimate is a mean over the requests with the bounds of its 95 % interval. N is
// how many requests it rests on; 0 is no estimate.
type Estimate struct {
	Value, Low, High float64
	N                int64
}

// Report says what rows came to and would have come to.
type Report struct {
	// Requests are those that were replayed, Skipped those that were not: no chats,
	// or no provider was asked.
	Requests, Skipped int64
	// Same would have been asked of the same target, Changed of another one,
	// Refused of none.
	Same, Changed, Refused int64
	// Robust says of how many of the changed ones the chances are known that the
	// choice was made with: those estimates are doubly robust. All others rest on
	// what the targets did for other requests (direct).
	Robust int64
	// Success is a share, Cost in dollars for each request, Latency in seconds to
	// the end of an answer: as it was, and as it would have been.
	SuccessWas, Success Estimate
	CostWas, Cost       Estimate
	LatencyWas, Latency Estimate
	// CostPerSuccessWas and CostPerSuccess are in dollars; 0 when unknown.
	CostPerSuccessWas, CostPerSuccess float64
	// Unpriced counts changed requests whose new price is not known, Unheard those
	// whose new target was never seen in the rows: their success is a guess from
	// the catalogue, and their latency is not known.
	Unpriced, Unheard int64
	// Changes are the requests that would go elsewhere, latest first; at most
	// MostChanges.
	Changes []Change
}

// MostChanges bounds Report.Changes.
const MostChanges = 1000

// Change is one request that would go elsewhere.
type Change struct {
	ID       ledger.ID
	At       time.Time
	Asked    string
	From, To string
	// Why says how To came first in the plan, or why there is none.
	Why string
	// CostWas and Cost are known if CostKnown.
	CostWas, Cost llm.Nanodollars
	CostKnown     bool
	// Success is how likely it is expected to go well.
	Success float64
}

// track is what the rows say of requests that were first sent to one target.
type track struct {
	n, judged, good  float64
	output, outputs  float64
	seconds, timed   float64
	first, all, both float64 // cost of the first attempts, and of all, where both are known
}

// prior is how many requests the guess from the catalogue is worth.
const prior = 8

// Run replays rows under a policy. The rows may be in any order.
func Run(entries []ledger.Entry, p Policy) Report {
	var r Report
	seen := map[string]*track{}
	var kept []*ledger.Entry
	for i := range entries {
		e := &entries[i]
		if e.Op != llm.OpChat || len(e.Attempts) == 0 || e.Trial != nil && e.Trial.Shadows != 0 {
			r.Skipped++
			continue
		}
		kept = append(kept, e)
		learnFrom(seen, e, &p)
	}
	r.Requests = int64(len(kept))
	x := replayer{p: &p, seen: seen, r: &r}
	for _, e := range kept {
		x.one(e)
	}
	x.sum()
	slices.SortFunc(r.Changes, func(a, b Change) int { return cmp.Compare(b.ID, a.ID) })
	r.Changes = r.Changes[:min(len(r.Changes), MostChanges)]
	return r
}

func learnFrom(seen map[string]*track, e *ledger.Entry, p *Policy) {
	first := &e.Attempts[0]
	name := first.Provider + "/" + first.Model
	t := seen[name]
	if t == nil {
		t = &track{}
		seen[name] = t
	}
	t.n++
	if good, judged := p.Good(e); judged {
		t.judged++
		t.good += good
	}
	if first.Usage.Output > 0 {
		t.output += float64(first.Usage.Output)
		t.outputs++
	}
	if e.Class == "" {
		t.seconds += e.Total.Seconds()
		t.timed++
	}
	if first.Priced && e.Priced && first.Cost > 0 {
		t.first += float64(first.Cost)
		t.all += float64(e.Cost)
		t.both++
	}
}

// mean is a running mean with its spread, and the weight of guesses in it.
type mean struct {
	n, sum, squares float64
}

func (m *mean) add(v float64) { m.n++; m.sum += v; m.squares += v * v }

func (m *mean) estimate(more float64) Estimate {
	if m.n == 0 {
		return Estimate{}
	}
	v := m.sum / m.n
	variance := 0.0
	if m.n > 1 {
		variance = max(m.squares/m.n-v*v, 0) / (m.n - 1)
	}
	// The rates rest on requests that may be among these: both doubts may go the
	// same way.
	half := 1.96 * (math.Sqrt(variance) + math.Sqrt(more))
	return Estimate{v, v - half, v + half, int64(m.n)}
}

type replayer struct {
	p    *Policy
	seen map[string]*track
	r    *Report

	successWas, success, costWas, cost, latencyWas, latency mean
	// guessed counts the requests that rest on each target's rate.
	guessed map[string]float64
}

func (x *replayer) one(e *ledger.Entry) {
	p, r := x.p, x.r
	good, judged := p.Good(e)
	if judged {
		x.successWas.add(good)
	}
	if e.Priced {
		x.costWas.add(dollars(e.Cost))
	}
	if e.Class == "" {
		x.latencyWas.add(e.Total.Seconds())
	}
	first := &e.Attempts[0]
	facts := route.Facts{Model: e.Asked, Vendor: p.Vendor(e.Dialect), Needs: route.Needs{Tokens: promptOf(e), Has: e.Needs}}
	plan, fail := route.Make(facts, p.Catalog, p.Policy)
	if fail != nil {
		r.Refused++
		if judged {
			x.success.add(0)
		}
		r.Changes = append(r.Changes, Change{ID: e.ID, At: e.At, Asked: e.Asked, From: from(first), Why: fail.Message, CostWas: e.Cost})
		return
	}
	t := &plan.Targets[0]
	if t.Provider == first.Provider && t.Model == first.Model && (t.Think == "" || t.Think == thought(first)) {
		r.Same++
		if score, ok := robust(e, t, good, judged); ok {
			// It also stands for those like it that went elsewhere by chance.
			x.success.add(score)
		} else if judged {
			x.success.add(good)
		}
		if e.Priced {
			x.cost.add(dollars(e.Cost))
		}
		if e.Class == "" {
			x.latency.add(e.Total.Seconds())
		}
		return
	}
	r.Changed++
	c := Change{ID: e.ID, At: e.At, Asked: e.Asked, From: from(first), To: to(t), Why: t.Why, CostWas: e.Cost}
	rate := x.rate(t)
	c.Success = rate
	if score, ok := robust(e, t, good, judged); ok {
		r.Robust++
		x.success.add(score)
	} else if judged {
		x.success.add(rate)
		if x.guessed == nil {
			x.guessed = map[string]float64{}
		}
		x.guessed[t.String()]++
	}
	if usage, ok := x.usage(e, t); ok {
		if cost, priced := p.Catalog.Cost(t.Provider, t.Model, usage, e.At); priced {
			c.Cost, c.CostKnown = llm.Nanodollars(float64(cost)*x.beyond(t)), e.Priced
			x.cost.add(dollars(c.Cost))
		} else {
			r.Unpriced++
		}
	}
	if k := x.seen[t.String()]; k == nil {
		r.Unheard++
	} else if k.timed > 0 && e.Class == "" {
		x.latency.add(k.seconds / k.timed)
	}
	r.Changes = append(r.Changes, c)
}

// robust is the doubly robust score of a target for a request whose choice was
// made with known chances.
func robust(e *ledger.Entry, t *route.Target, good float64, judged bool) (float64, bool) {
	chances := chancesOf(e)
	at := slices.IndexFunc(chances, func(c chance) bool { return c.target == t.String() && (t.Think == "" || c.think == t.Think) })
	if at < 0 || !judged {
		return 0, false
	}
	record := learn.Record{Score: float32(good), Weight: 1}
	record.Rung = -1
	for i, c := range chances[:min(len(chances), learn.MostRungs)] {
		record.Success[i], record.Chance[i] = float32(c.success), float32(c.chance)
		if c.chosen {
			record.Rung = i
		}
	}
	if at >= learn.MostRungs || record.Rung < 0 {
		return 0, false
	}
	return learn.Value([]learn.Record{record}, func(*learn.Record) int { return at }).Value, true
}

// chance is what is known of one candidate of a choice.
type chance struct {
	target, think   string
	success, chance float64
	chosen          bool
}

// rate is how likely a request goes well that is sent to a target.
func (x *replayer) rate(t *route.Target) float64 {
	guess := x.guess(t)
	k := x.seen[t.String()]
	if k == nil {
		return guess
	}
	return (k.good + prior*guess) / (k.judged + prior)
}

func (x *replayer) guess(t *route.Target) float64 {
	m, ok := x.p.Catalog.Model(t.Provider, t.Model)
	if !ok {
		return learn.Prior(nil)
	}
	return learn.Prior(m)
}

// beyond is what a request costs beyond its first attempt, by what those did that
// were sent there first.
func (x *replayer) beyond(t *route.Target) float64 {
	if k := x.seen[t.String()]; k != nil && k.both >= 20 && k.first > 0 {
		return max(k.all/k.first, 1)
	}
	return 1
}

// usage is what a request would use at a target: its prompt as that counts it, and
// an answer as much longer or shorter as that model's are.
func (x *replayer) usage(e *ledger.Entry, t *route.Target) (llm.Usage, bool) {
	a := answered(e)
	if a == nil {
		a = e.Last()
	}
	if a.Usage.Total() == 0 {
		return llm.Usage{}, false
	}
	i := Item{Usage: a.Usage, Family: tokens.FamilyOf(a.Model)}
	learned := 1.0
	if x.p.Ratio != nil {
		learned = x.p.Ratio(t.Model)
	}
	u := i.As(tokens.FamilyOf(t.Model), learned)
	was, is := x.seen[a.Provider+"/"+a.Model], x.seen[t.String()]
	if was != nil && is != nil && was.outputs >= 20 && is.outputs >= 20 {
		u.Output = int64(float64(a.Usage.Output) * (is.output / is.outputs) / (was.output / was.outputs))
		u.Reasoning = min(u.Reasoning, u.Output)
	}
	return u, true
}

func (x *replayer) sum() {
	r := x.r
	// What rests on a target's rate is as uncertain as the rate is, all together.
	more := 0.0
	for name, n := range x.guessed {
		provider, model, _ := strings.Cut(name, "/")
		t := route.Target{Provider: provider, Model: model}
		p, judged := x.rate(&t), 0.0
		if k := x.seen[name]; k != nil {
			judged = k.judged
		}
		share := n / max(x.success.n, 1)
		more += share * share * p * (1 - p) / (judged + prior + 1)
	}
	r.SuccessWas, r.CostWas, r.LatencyWas = x.successWas.estimate(0), x.costWas.estimate(0), x.latencyWas.estimate(0)
	r.Success, r.Cost, r.Latency = x.success.estimate(more), x.cost.estimate(0), x.latency.estimate(0)
	r.Success.Low, r.Success.High = max(r.Success.Low, 0), min(r.Success.High, 1)
	if r.SuccessWas.Value > 0 {
		r.CostPerSuccessWas = r.CostWas.Value / r.SuccessWas.Value
	}
	if r.Success.Value > 0 {
		r.CostPerSuccess = r.Cost.Value / r.Success.Value
	}
}

func promptOf(e *ledger.Entry) int64 {
	if a := answered(e); a != nil {
		return a.Usage.Prompt()
	}
	return e.Last().Usage.Prompt()
}

func from(a *ledger.Attempt) string {
	s := a.Provider + "/" + a.Model
	if think := thought(a); think != "" {
		s += " thinking " + think
	}
	return s
}

func to(t *route.Target) string {
	if t.Think == "" {
		return t.String()
	}
	return fmt.Sprintf("%s thinking %s", t, t.Think)
}

// thought is how hard a rung was told to think, by the words of its reason.
func thought(a *ledger.Attempt) string {
	_, rest, ok := strings.Cut(a.Why, ", thinking ")
	if !ok {
		return ""
	}
	word, _, _ := strings.Cut(rest, ",")
	word, _, _ = strings.Cut(word, " ")
	return word
}

func dollars(n llm.Nanodollars) float64 { return float64(n) / 1e9 }
