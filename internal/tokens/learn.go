package tokens

import (
	"math"
	"sync"
)

const (
	// maxModels bounds what a Learner holds; a model beyond it takes the place
	// of the one that was heard of least recently.
	maxModels = 4096
	// least is the smallest estimate that is learned from: below it the fixed
	// cost of a prompt hides the ratio.
	least = 100
	// weight is what a new observation counts against all before it, once there
	// are 1/weight of them.
	weight = 0.05
	// A ratio outside of these bounds is taken for something else: server tools,
	// files, a provider that counts oddly.
	lowest, highest = 0.25, 4
)

// Learner learns how real usage compares with our estimates, model by model.
// The zero value is ready; it is safe for concurrent use.
type Learner struct {
	mu     sync.RWMutex // guards models and clock
	models map[string]*learned
	clock  int64
}

type learned struct {
	log   float64 // mean of the logarithm of actual/estimated
	seen  int
	heard int64
}

// Learn notes that a prompt estimated at so many tokens had so many, cached
// ones included. model is any name that is used again for Adjust, such as
// "anthropic/claude-opus-5-5". Small prompts and odd ratios teach nothing.
func (l *Learner) Learn(model string, estimated, actual int64) {
	if estimated < least || actual <= 0 {
		return
	}
	ratio := float64(actual) / float64(estimated)
	if ratio < lowest || ratio > highest {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	m := l.models[model]
	if m == nil {
		if l.models == nil {
			l.models = make(map[string]*learned)
		}
		if len(l.models) >= maxModels {
			l.forget()
		}
		m = &learned{}
		l.models[model] = m
	}
	m.seen++
	m.heard = l.clock
	m.log += (math.Log(ratio) - m.log) * max(weight, 1/float64(m.seen+1))
}

// forget drops the model heard of least recently.
func (l *Learner) forget() {
	oldest, at := "", int64(math.MaxInt64)
	for name, m := range l.models {
		if m.heard < at {
			oldest, at = name, m.heard
		}
	}
	delete(l.models, oldest)
}

// Ratio returns actual to estimated tokens as learned so far; 1 for a model
// never heard of. The first observations count little: the ratio starts from 1.
func (l *Learner) Ratio(model string) float64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if m := l.models[model]; m != nil {
		return math.Exp(m.log)
	}
	return 1
}

// Adjust applies what was learned to an estimate.
func (l *Learner) Adjust(model string, estimate int64) int64 {
	return int64(math.Round(float64(estimate) * l.Ratio(model)))
}

// Estimate is the package's Estimate for the model's family, adjusted by what
// was learned of the model.
func (l *Learner) Estimate(raw []byte, model string) int64 {
	return l.Adjust(model, Estimate(raw, FamilyOf(model)))
}
