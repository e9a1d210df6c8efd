// Package learn knows what feedback taught of the rungs of a route: how likely
// each succeeds at a task, which of them is worth trying for the next request,
// and whether the answer to that can be trusted. Its readings are values; it
// calls nobody.
package learn

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"headrace/internal/catalog"
)

// MostRungs is how many rungs a ladder has at most. More than four teach
// themselves slowly: every label goes to one of them.
const MostRungs = 8

// Rung is one way to answer: a model and how hard it thinks.
type Rung struct {
	// Name tells rungs apart in stored state, such as
	// "anthropic/claude-haiku-5-5 low".
	Name string
	// Prior is the chance of success expected before anything is known, worth
	// Options.PriorLabels labels; see Prior. 0: from .70 for the first rung to .85
	// for the last, since nobody puts a dearer rung above a better one.
	Prior float64
}

// Prior guesses a chance of success from the catalogue: dearer and newer
// models succeed more often, by a little. It is worth a few labels and no more.
// A model without a known price is put in the middle.
func Prior(m *catalog.Model) float64 {
	p := 0.75
	if m == nil || len(m.Prices) == 0 {
		return p
	}
	if usd := m.Prices[len(m.Prices)-1].Output.USD(); usd > 0 {
		// From ten cents to a hundred dollars a million tokens: .65 to .85.
		p = 0.65 + 0.2*min(max((math.Log10(usd)+1)/3, 0), 1)
	}
	if y := m.Released.Year(); y > 2023 {
		p += 0.02 * float64(min(y-2023, 4))
	}
	return min(p, 0.93)
}

// Options set up a Learner. The zero value of each says its default.
type Options struct {
	// Delta is how much success may be given up against the best rung, as a
	// difference of chances; 0: 0.02. Negative gives up none.
	Delta float64
	// Explore is the share of the requests that may be explored with whose rung
	// is drawn evenly; 0: 0.05. Negative explores nothing.
	Explore float64
	// Floor is the least share of the best rung's success that is held to, such
	// as 0.95. With a floor Delta is not the operator's but what the guard last
	// found to keep it; 0: no guard.
	Floor float64
	// HalfLife is after how many labels of a task one counts half; 0: 2,000.
	HalfLife float64
	// PriorLabels is how many labels the prior of a task is worth; 0: 8.
	PriorLabels float64
	// Seed makes what is drawn while learning repeatable; 0 is a seed as well.
	Seed uint64
}

const (
	// draws is how many samples of each posterior stand ready: a decision takes
	// one, and the share of those that choose a rung is its exact chance.
	draws = 32
	// mostTasks bounds what is remembered; one task more takes the place of the
	// one taught least recently.
	mostTasks = 4096
)

// cell is what is known of the rungs at one task.
type cell struct {
	n, s [MostRungs]float64 // weight of labels and of successes, decayed
	mean [MostRungs]float32
	draw [draws][MostRungs]float32
	slow [MostRungs]watch
	used uint64
}

// Learner learns one route. It is safe for concurrent use; decisions do not
// wait for one another.
type Learner struct {
	o     Options
	rungs []Rung
	delta atomic.Uint64 // math.Float64bits

	mu      sync.RWMutex // guards what follows
	root    cell
	tasks   map[Key]*cell
	text    *residual
	replay  []lesson
	lessons int
	cursor  int
	guard   guard
	random  *rand.Rand
	clock   uint64
}

// New makes a Learner for rungs in the order of the ladder, cheapest first; at
// most MostRungs count.
func New(rungs []Rung, o Options) *Learner {
	if o.Delta == 0 {
		o.Delta = 0.02
	}
	if o.Explore == 0 {
		o.Explore = 0.05
	}
	o.Delta, o.Explore = max(o.Delta, 0), min(max(o.Explore, 0), 1)
	if o.HalfLife == 0 {
		o.HalfLife = 2000
	}
	if o.PriorLabels == 0 {
		o.PriorLabels = 8
	}
	l := &Learner{o: o, rungs: append([]Rung(nil), rungs[:min(len(rungs), MostRungs)]...), tasks: map[Key]*cell{}, random: rand.New(rand.NewPCG(o.Seed, 1))}
	for i := range l.rungs {
		if l.rungs[i].Prior <= 0 || l.rungs[i].Prior >= 1 {
			l.rungs[i].Prior = 0.7 + 0.15*float64(i)/float64(max(len(l.rungs)-1, 1))
		}
	}
	l.text = newResidual(len(l.rungs))
	l.setDelta(o.Delta)
	if o.Floor > 0 {
		l.setDelta(strongest)
	}
	l.refresh(&l.root, nil)
	return l
}

func (l *Learner) setDelta(d float64) { l.delta.Store(math.Float64bits(d)) }

// Delta is what is given up now; negative means that the guard lets only the
// best rung answer.
func (l *Learner) Delta() float64 { return math.Float64frombits(l.delta.Load()) }

// Explore is the share of the requests that may be explored with whose rung is
// drawn evenly.
func (l *Learner) Explore() float64 { return l.o.Explore }

// Ask is a request that a rung is wanted for.
type Ask struct {
	Task Key
	// Text are the features of its prompt; nil: only the task counts.
	Text *Features
	// Cost is what each rung is expected to cost, in any one unit. A negative
	// one says that the rung cannot be used: filtered out, or over a limit.
	Cost [MostRungs]float64
	// Explore says that the request may be explored with; false inside a session.
	Explore bool
	// Draw is random; 0 draws it here.
	Draw uint64
}

// Choice is what was decided, and all that is needed to learn from it later
// and to explain it. It holds no pointers.
type Choice struct {
	// Rung is the index of the chosen rung; -1 when none can be used.
	Rung int
	// Explored says that the rung was drawn evenly.
	Explored bool
	// Chance is the chance that each rung had to be chosen.
	Chance [MostRungs]float32
	// Success is each rung's expected success.
	Success [MostRungs]float32
	// Closed are the rungs that have collapsed at this task, as bits.
	Closed uint8
	// Cost is that of the Ask.
	Cost [MostRungs]float32
	// Labels is the weight of all labels that the beliefs rest on.
	Labels float32
}

// Decide chooses a rung: for one draw from what is believed of each, the
// cheapest within Delta of the best (satisficing Thompson sampling). It
// allocates nothing and waits for nobody but a Teach under way.
func (l *Learner) Decide(a *Ask, c *Choice) {
	random := a.Draw
	if random == 0 {
		random = rand.Uint64()
	}
	delta := float32(l.Delta())
	n := len(l.rungs)
	var odds [MostRungs]float32

	l.mu.RLock()
	k := l.tasks[a.Task]
	if k == nil {
		k = &l.root
	}
	if a.Text != nil {
		l.text.logits(a.Text, &odds)
		for r := range n {
			odds[r] = float32(math.Exp(min(max(float64(odds[r]), -surest), surest)))
		}
	} else {
		for r := range n {
			odds[r] = 1
		}
	}
	*c = Choice{Rung: -1}
	for r := n; r < MostRungs; r++ {
		c.Cost[r] = -1
	}
	strong := -1
	var usable [MostRungs]bool
	count, open := 0, 0
	for r := range n {
		c.Cost[r] = float32(a.Cost[r])
		c.Success[r] = tilt(k.mean[r], odds[r])
		c.Labels += float32(l.root.n[r])
		if k.slow[r].closed || l.root.slow[r].closed {
			c.Closed |= 1 << r
		}
		if a.Cost[r] >= 0 {
			usable[r] = true
			count++
			if strong < 0 || l.root.mean[r] > l.root.mean[strong] {
				strong = r
			}
			if c.Closed&(1<<r) == 0 {
				open++
			}
		}
	}
	if count == 0 {
		l.mu.RUnlock()
		return
	}
	explore := float32(0)
	if a.Explore && count > 1 {
		explore = float32(l.o.Explore)
	}
	var wins [MostRungs]int
	take := int(random % draws)
	chosen := -1
	if delta < 0 {
		wins[strong], chosen = draws, strong
	}
	for d := 0; d < draws && delta >= 0; d++ {
		row := &k.draw[d]
		var p [MostRungs]float32
		best := float32(-1)
		for r := range n {
			if usable[r] && (open == 0 || c.Closed&(1<<r) == 0) {
				p[r] = row[r]
				if a.Text != nil {
					p[r] = tilt(p[r], odds[r])
				}
				best = max(best, p[r])
			}
		}
		pick := -1
		for r := range n {
			if usable[r] && (open == 0 || c.Closed&(1<<r) == 0) && p[r] >= best-delta && (pick < 0 || a.Cost[r] < a.Cost[pick]) {
				pick = r
			}
		}
		wins[pick]++
		if d == take {
			chosen = pick
		}
	}
	l.mu.RUnlock()

	for r := range n {
		c.Chance[r] = (1 - explore) * float32(wins[r]) / draws
		if usable[r] {
			c.Chance[r] += explore / float32(count)
		}
	}
	// The low bits chose the draw; the high ones say whether to explore.
	if u := float32(random>>40) / (1 << 24); u < explore {
		c.Explored = true
		nth := int(u / explore * float32(count))
		for r := range n {
			if usable[r] {
				if chosen = r; nth == 0 {
					break
				}
				nth--
			}
		}
	}
	c.Rung = chosen
}

// surest bounds what a text says, in logits: its odds are neither 0 nor
// infinite, which no certain chance could be tilted by.
const surest = 30

// tilt moves a chance by odds.
func tilt(p, odds float32) float32 { return p * odds / (1 - p + p*odds) }

// Outcome is what became of a request.
type Outcome struct {
	Task Key
	Text *Features // as in the Ask; it is copied
	Rung int
	// Score is 1 for a success, 0 for none, or between.
	Score float64
	// Weight is how much the label counts; 0: 1. Implicit signals are worth less
	// than what a user says (Implicit).
	Weight float64
	// Choice is how the rung came to be chosen; nil when it was not by Decide:
	// then nothing can be said of how other rungs would have done.
	Choice *Choice
}

// Implicit is the weight of a signal that nobody gave on purpose.
const Implicit = 0.3

// lesson is kept to be gone through again.
type lesson struct {
	text   Features
	rung   int
	score  float32
	weight float32
	logit  float32 // of what the task alone said
}

const (
	// mostLessons is how many prompts are gone through again (3 MB), again how
	// many of them for each new one, in turn. Drawn at random the first ones would
	// be learned by heart, which cost .02 of the area under the gain curve.
	mostLessons = 1024
	again       = 4
)

// Teach learns from an outcome.
func (l *Learner) Teach(o *Outcome) {
	if o.Rung < 0 || o.Rung >= len(l.rungs) || math.IsNaN(o.Score) {
		return
	}
	score := min(max(o.Score, 0), 1)
	weight := min(o.Weight, 1)
	if weight <= 0 {
		weight = 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	k := l.tasks[o.Task]
	if k == nil {
		k = l.admit(o.Task)
	}
	k.used = l.clock
	logit := log(k.mean[o.Rung])
	expected := float64(k.mean[o.Rung])
	if o.Choice != nil {
		expected = float64(o.Choice.Success[o.Rung])
	}
	if o.Text != nil {
		l.text.see(o.Text)
		l.learn(o.Text, o.Rung, float32(score), float32(weight), logit)
		for range min(again, len(l.replay)) {
			l.cursor = (l.cursor + 1) % len(l.replay)
			p := &l.replay[l.cursor]
			l.learn(&p.text, p.rung, p.score, p.weight, p.logit)
		}
		l.keep(lesson{*o.Text, o.Rung, float32(score), float32(weight), logit})
	}
	l.count(k, o.Rung, score, weight)
	l.count(&l.root, o.Rung, score, weight)
	l.watch(k, o.Rung, score, weight, expected)
	l.refresh(&l.root, nil)
	l.refresh(k, &l.root)
	if o.Choice != nil && l.o.Floor > 0 && l.guard.add(o, score, weight) {
		l.setDelta(l.guard.delta(l.o.Floor, l.Delta(), l.best()))
	}
}

// best is the rung with the greatest success over all tasks.
func (l *Learner) best() int {
	best := 0
	for r := range l.rungs {
		if l.root.mean[r] > l.root.mean[best] && !l.root.slow[r].closed {
			best = r
		}
	}
	return best
}

// Review goes once more through the prompts that are kept. Those that came last
// have been gone through least: it is worth doing now and then while few labels
// come, and before a snapshot. It takes some 20 us a prompt, and lets decisions
// pass between them.
func (l *Learner) Review() {
	for i := 0; ; i++ {
		l.mu.Lock()
		if i >= len(l.replay) {
			l.mu.Unlock()
			return
		}
		p := &l.replay[i]
		l.learn(&p.text, p.rung, p.score, p.weight, p.logit)
		l.mu.Unlock()
	}
}

func (l *Learner) keep(s lesson) {
	if len(l.replay) < mostLessons {
		l.replay = append(l.replay, s)
	} else {
		l.replay[l.lessons%mostLessons] = s
	}
	l.lessons++
}

func (l *Learner) learn(f *Features, rung int, score, weight, logit float32) {
	var out [MostRungs]float32
	l.text.logits(f, &out)
	p := 1 / (1 + math.Exp(-float64(logit+out[rung])))
	l.text.step(f, rung, (float32(p)-score)*weight)
}

// log is the logit of a chance.
func log(p float32) float32 {
	q := min(max(float64(p), 1e-3), 1-1e-3)
	return float32(math.Log(q / (1 - q)))
}

// admit makes the cell of a task, for which another may have to go.
func (l *Learner) admit(task Key) *cell {
	if len(l.tasks) >= mostTasks {
		var oldest Key
		var at uint64 = math.MaxUint64
		for key, k := range l.tasks {
			if k.used < at {
				oldest, at = key, k.used
			}
		}
		delete(l.tasks, oldest)
	}
	k := &cell{}
	l.tasks[task] = k
	l.refresh(k, &l.root)
	return k
}

func (l *Learner) count(k *cell, rung int, score, weight float64) {
	keep := math.Exp2(-weight / l.o.HalfLife)
	k.n[rung] = k.n[rung]*keep + weight
	k.s[rung] = k.s[rung]*keep + weight*score
}

// refresh computes a cell's posteriors and draws from them. The prior of a task
// is what its rungs do elsewhere (over), moved by how much harder or easier the
// task has shown itself with all rungs together.
func (l *Learner) refresh(k, over *cell) {
	var prior [MostRungs]float64
	for r := range l.rungs {
		prior[r] = l.rungs[r].Prior
		if over != nil {
			prior[r] = float64(over.mean[r])
		}
	}
	if over != nil {
		var n, s, e float64
		for r := range l.rungs {
			n += k.n[r]
			s += k.s[r]
			e += k.n[r] * prior[r]
		}
		if n > 0 {
			e /= n
			harder := log(float32((s+pull*e)/(n+pull))) - log(float32(e))
			odds := float32(math.Exp(float64(harder)))
			for r := range l.rungs {
				prior[r] = float64(tilt(float32(prior[r]), odds))
			}
		}
	}
	w := l.o.PriorLabels
	for r := range l.rungs {
		a, b := k.s[r]+w*prior[r], k.n[r]-k.s[r]+w*(1-prior[r])
		k.mean[r] = float32(a / (a + b))
		for d := range draws {
			k.draw[d][r] = float32(beta(l.random, a, b))
		}
	}
}

// pull is how many labels of a task stand against its being harder or easier
// than others.
const pull = 4

// beta draws from a Beta distribution.
func beta(r *rand.Rand, a, b float64) float64 {
	x, y := gamma(r, a), gamma(r, b)
	if x+y == 0 {
		return a / (a + b)
	}
	return min(max(x/(x+y), 1e-6), 1-1e-6)
}

// gamma draws from a Gamma distribution (Marsaglia and Tsang, 2000).
func gamma(r *rand.Rand, a float64) float64 {
	if a < 1 {
		return gamma(r, a+1) * math.Pow(r.Float64(), 1/max(a, 1e-9))
	}
	d := a - 1./3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if u := r.Float64(); u < 1-0.0331*x*x*x*x || math.Log(u) < 0.5*x*x+d*(1-v+math.Log(v)) {
			return d * v
		}
	}
}

// Reading is what is believed of a rung at a task.
type Reading struct {
	// Mean is the expected success, Labels the weight of what it rests on.
	Mean, Labels float64
	// Closed says that the rung has collapsed there.
	Closed bool
}

// Read gives what is believed of each rung at a task, text aside.
func (l *Learner) Read(task Key) []Reading {
	l.mu.RLock()
	defer l.mu.RUnlock()
	k := l.tasks[task]
	if k == nil {
		k = &l.root
	}
	readings := make([]Reading, len(l.rungs))
	for r := range readings {
		readings[r] = Reading{float64(k.mean[r]), k.n[r], k.slow[r].closed || l.root.slow[r].closed}
	}
	return readings
}
