package health

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"

	"headrace/internal/llm"
)

// Phase is a part of an attempt whose duration is measured.
type Phase int

// The phases.
const (
	// FirstByte is from the start to the first byte of the answer.
	FirstByte Phase = iota
	// PerToken is what each output token took after the first byte.
	PerToken
	// Total is the whole attempt.
	Total
	phases
)

// Phases names the phases as metrics show them.
var Phases = [phases]string{"first_byte", "per_token", "total"}

// minutes is how far back a target's history goes.
const minutes = 15

// accuracy is the greatest relative error of a quantile.
const accuracy = 0.01

var scale = func() mapping.IndexMapping {
	m, err := mapping.NewCubicallyInterpolatedMapping(accuracy)
	if err != nil {
		panic(err) // a constant of ours is out of range
	}
	return m
}()

func newSketch() *ddsketch.DDSketch {
	return ddsketch.NewDDSketch(scale, store.NewCollapsingLowestDenseStore(2048), store.NewDenseStore())
}

// history is a ring of minutes.
type history struct {
	mu   sync.Mutex // guards the rest
	ring [minutes]minute
	ever sums
}

type minute struct {
	at     int64 // the minute since 1970
	sketch [phases]*ddsketch.DDSketch
	sums
}

// sums are what is added up.
type sums struct {
	attempts int64
	classes  map[llm.Class]int64 // those that failed; nil until one did
	output   int64
	cost     llm.Nanodollars
	unpriced int64
}

func (s *sums) note(r *Result) {
	s.attempts++
	if r.Class != "" {
		if s.classes == nil {
			s.classes = map[llm.Class]int64{}
		}
		s.classes[r.Class]++
	}
	s.output += r.Output
	if r.Priced {
		s.cost += r.Cost
	} else {
		s.unpriced++
	}
}

func (s *sums) add(o *sums) {
	s.attempts += o.attempts
	s.output += o.output
	s.cost += o.cost
	s.unpriced += o.unpriced
	for c, n := range o.classes {
		if s.classes == nil {
			s.classes = map[llm.Class]int64{}
		}
		s.classes[c] += n
	}
}

func (h *history) note(r Result, now time.Time) {
	at := now.Unix() / 60
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &h.ring[at%minutes]
	if m.at != at {
		*m = minute{at: at}
	}
	m.note(&r)
	h.ever.note(&r)
	if r.FirstByte > 0 {
		m.measure(FirstByte, r.FirstByte)
	}
	if r.Class != "" {
		return // how long a failure took says nothing of the answers
	}
	m.measure(Total, r.Total)
	if r.Output > 1 && r.FirstByte > 0 && r.Total > r.FirstByte {
		m.measure(PerToken, (r.Total-r.FirstByte)/time.Duration(r.Output))
	}
}

func (m *minute) measure(p Phase, d time.Duration) {
	if m.sketch[p] == nil {
		m.sketch[p] = newSketch()
	}
	// Only values out of a float64's reach are refused; no duration is.
	_ = m.sketch[p].Add(float64(d))
}

// Quantiles are durations of one phase.
type Quantiles struct {
	// Count is how many were measured; the others are 0 when it is.
	Count              int64
	P50, P90, P95, P99 time.Duration
}

// Reading is how a target did in the minutes looked at.
type Reading struct {
	Target
	State   State
	Running int64
	// Attempts counts those that ended, Successes those without an error class.
	Attempts, Successes int64
	// Classes counts the others by class.
	Classes map[llm.Class]int64
	// Output is the sum of output tokens, Cost of what the attempts cost, failed
	// ones included; Unpriced counts those of unknown price, which it leaves out.
	Output   int64
	Cost     llm.Nanodollars
	Unpriced int64
	// Latency has a row for each Phase.
	Latency [phases]Quantiles
}

// SuccessRate is successes to attempts of which the target could be at fault;
// 1 when there are none.
func (r *Reading) SuccessRate() float64 {
	failed := int64(0)
	for c, n := range r.Classes {
		if failures[c] {
			failed += n
		}
	}
	if failed+r.Successes == 0 {
		return 1
	}
	return float64(r.Successes) / float64(failed+r.Successes)
}

// CostPerSuccess is what an attempt that succeeded cost, the failed ones
// charged to it; ok is false when none succeeded or a price is unknown.
func (r *Reading) CostPerSuccess() (cost llm.Nanodollars, ok bool) {
	if r.Successes == 0 || r.Unpriced > 0 {
		return 0, false
	}
	return r.Cost / llm.Nanodollars(r.Successes), true
}

// Read gives a target's reading over the last span, rounded up to minutes and
// at most 15 of them; ok is false for a target never heard of.
func (t *Table) Read(name Target, span time.Duration) (r Reading, ok bool) {
	t.mu.RLock()
	g := t.targets[name]
	t.mu.RUnlock()
	if g == nil {
		return Reading{}, false
	}
	return g.read(span, time.Now()), true
}

// ReadAll gives the readings of all targets, sorted by name.
func (t *Table) ReadAll(span time.Duration) []Reading {
	now := time.Now()
	return t.all(func(g *target) Reading { return g.read(span, now) })
}

func (t *Table) all(read func(*target) Reading) []Reading {
	t.mu.RLock()
	all := slices.Collect(maps.Values(t.targets))
	t.mu.RUnlock()
	out := make([]Reading, 0, len(all))
	for _, g := range all {
		out = append(out, read(g))
	}
	slices.SortFunc(out, func(a, b Reading) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Model, b.Model))
	})
	return out
}

// Ever gives the sums of all targets since they were first heard of, sorted by
// name: counters that only grow. They have no latency.
func (t *Table) Ever() []Reading {
	return t.all(func(g *target) Reading {
		g.history.mu.Lock()
		defer g.history.mu.Unlock()
		var s sums
		s.add(&g.history.ever)
		return g.reading(&s)
	})
}

func (g *target) reading(s *sums) Reading {
	r := Reading{Target: g.name, State: g.state(), Running: g.running.Load(),
		Attempts: s.attempts, Successes: s.attempts, Classes: s.classes, Output: s.output, Cost: s.cost, Unpriced: s.unpriced}
	for _, n := range s.classes {
		r.Successes -= n
	}
	return r
}

func (g *target) read(span time.Duration, now time.Time) Reading {
	back := min(max(int64((span+time.Minute-1)/time.Minute), 1), minutes)
	oldest := now.Unix()/60 - back + 1
	var merged [phases]*ddsketch.DDSketch
	var total sums
	h := &g.history
	h.mu.Lock()
	for i := range h.ring {
		m := &h.ring[i]
		if m.at < oldest {
			continue
		}
		total.add(&m.sums)
		for p, s := range m.sketch {
			if s == nil {
				continue
			}
			if merged[p] == nil {
				merged[p] = newSketch()
			}
			_ = merged[p].MergeWith(s) // fails only between mappings, and there is one
		}
	}
	h.mu.Unlock()
	r := g.reading(&total)
	for p, s := range merged {
		if s == nil {
			continue
		}
		q := &r.Latency[p]
		q.Count = int64(s.GetCount())
		for _, at := range []struct {
			share float64
			to    *time.Duration
		}{{0.5, &q.P50}, {0.9, &q.P90}, {0.95, &q.P95}, {0.99, &q.P99}} {
			if v, err := s.GetValueAtQuantile(at.share); err == nil { // it fails only when empty
				*at.to = time.Duration(v)
			}
		}
	}
	return r
}
