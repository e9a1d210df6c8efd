package learn

import "sync"

// Stage is a point at which a request may be answered or tried again: after an
// attempt and the checks of what it gave.
type Stage struct {
	// State is what is known here: the task and the evidence of every attempt so
	// far (Key.After).
	State Key
	// Cost is what the attempt and the checks that led here cost.
	Cost float64
	// Score is how good the answer is that would be given here; negative when
	// nobody said.
	Score float64
}

// Escalation decides after each attempt whether the next rung is worth its
// price. It knows for every state how good the answer at hand is and what going
// on brought, so that a cheap attempt counts for what it makes clear as well as
// for its answer: that is what one look ahead by (p_next - p_now) x value > cost
// would miss. It is safe for concurrent use.
type Escalation struct {
	mu     sync.RWMutex // guards states
	states map[Key]*state
}

// state is what is known of a state. Stopping and going on have their own
// counts: few requests do both.
type state struct {
	labels, right float64 // of answers given here
	onward        float64 // requests that went on
	// score and cost are of what they came to in the end, under the decisions
	// that stood when they were learned.
	score, cost float64
}

// doubt is how many labels a state has before its own counts outweigh what is
// expected of any state.
const doubt = 2

// NewEscalation makes one that knows nothing.
func NewEscalation() *Escalation { return &Escalation{states: map[Key]*state{}} }

// Fit learns from whole requests, each the stages that it went through in
// order, where a success is worth value in the unit of the costs. What was
// known before is forgotten. A request that ended early teaches about the
// states it came to, and the last one it may have gone on from is unknown.
func (e *Escalation) Fit(requests [][]Stage, value float64) {
	states := map[Key]*state{}
	longest := 0
	for _, stages := range requests {
		longest = max(longest, len(stages))
		for _, s := range stages {
			k := states[s.State]
			if k == nil {
				k = &state{}
				states[s.State] = k
			}
			if s.Score >= 0 {
				k.labels++
				k.right += s.Score
			}
		}
	}
	fitted := &Escalation{states: states}
	// Backward: what going on from a stage comes to depends on the decisions at
	// the later ones alone.
	for at := longest - 2; at >= 0; at-- {
		for _, stages := range requests {
			if at+1 >= len(stages) {
				continue
			}
			score, cost, known := fitted.rest(stages, at+1, value)
			if !known {
				continue
			}
			k := states[stages[at].State]
			k.onward++
			k.score += score
			k.cost += cost
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.states = states
}

// rest gives what a request comes to from a stage on under the decisions that
// are known, the cost of getting to the stage included.
func (e *Escalation) rest(stages []Stage, at int, value float64) (score, cost float64, known bool) {
	for ; at < len(stages); at++ {
		s := stages[at]
		cost += s.Cost
		if at+1 == len(stages) || !e.onward(s.State, value) {
			return s.Score, cost, s.Score >= 0
		}
	}
	return 0, cost, false
}

// Onward reports whether the next rung should be tried in a state, where a
// success is worth value. In a state that was never seen it says no: escalation
// costs money, and has to show what it is worth.
func (e *Escalation) Onward(s Key, value float64) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.onward(s, value)
}

// Known reports whether requests have gone on from a state, so that Onward rests
// on what that brought.
func (e *Escalation) Known(s Key) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	k := e.states[s]
	return k != nil && k.onward > doubt
}

func (e *Escalation) onward(s Key, value float64) bool {
	k := e.states[s]
	if k == nil || k.onward == 0 {
		return false
	}
	now := k.right / max(k.labels, 1)
	score, cost := k.score/k.onward, k.cost/k.onward
	gain := (score - now) * k.onward / (k.onward + doubt)
	return gain*value > cost
}
