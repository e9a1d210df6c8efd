package guard

import (
	"cmp"
	"slices"
	"sync"
)

// Tally counts what rules have found since the start. Safe for concurrent use;
// a nil one counts nothing.
type Tally struct {
	mu sync.Mutex
	n  map[Total]int64
}

// Total is how often a rule found something on one side. As a key its N is 0.
type Total struct {
	Side       Side
	Rule, Kind string
	Do         Do
	N          int64
}

// Add counts what a report has found.
func (t *Tally) Add(side Side, counts []Count) {
	if t == nil || len(counts) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[Total]int64{}
	}
	for _, c := range counts {
		t.n[Total{Side: side, Rule: c.Rule, Kind: c.Kind, Do: c.Do}] += int64(c.N)
	}
}

// Totals gives the figures by side, rule and kind.
func (t *Tally) Totals() []Total {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Total, 0, len(t.n))
	for k, n := range t.n {
		k.N = n
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b Total) int {
		return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Do, b.Do))
	})
	return all
}
