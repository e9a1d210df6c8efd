package app

import (
	"context"
	"sync"
	"time"

	"headrace/internal/gateway"
	"headrace/internal/llm"
	"headrace/internal/variant"
)

// copies are the requests of experiments that are to be asked once more.
type copies struct {
	desk  *variant.Desk
	queue chan *gateway.Copy

	mu     sync.Mutex // guards purses
	purses map[int64]*purse
}

// purse is what a run's copies spend in this process: what had been spent before
// it, what has since, and what those under way hold.
type purse struct{ before, spent, held llm.Nanodollars }

// The bounds of copies: how many wait, how many run, and for how long.
const (
	waitingCopies = 16
	runningCopies = 2
	copyTakes     = 5 * time.Minute
)

func newCopies(desk *variant.Desk) *copies {
	return &copies{desk: desk, queue: make(chan *gateway.Copy, waitingCopies), purses: map[int64]*purse{}}
}

// Take implements gateway.Copies. A copy that finds no room is not made: traffic
// comes first.
func (c *copies) Take(one *gateway.Copy) {
	select {
	case c.queue <- one:
	default:
	}
}

// Hold implements gateway.Copies. What is spent here is in the ledger a moment
// later, from where the experiment's state has it; both are never added up.
func (c *copies) Hold(e *variant.Experiment, cost llm.Nanodollars) (settle func(llm.Nanodollars), ok bool) {
	told := llm.Nanodollars(0)
	if s := c.desk.Stand(e.Run); s != nil {
		told = llm.Nanodollars(s.Spent)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.purses[e.Run]
	if p == nil {
		p = &purse{before: told}
		c.purses[e.Run] = p
	}
	if max(p.before+p.spent, told)+p.held+cost > e.Shadow.Budget {
		return nil, false
	}
	p.held += cost
	return func(actual llm.Nanodollars) {
		c.mu.Lock()
		defer c.mu.Unlock()
		p.held -= cost
		p.spent += actual
	}, true
}

// askCopies asks the copies one after another, a few at once, until ctx ends;
// done waits for the last ones.
func (a *App) askCopies(ctx context.Context) (done func()) {
	var workers sync.WaitGroup
	for range runningCopies {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case c := <-a.copies.queue:
					ctx, cancel := context.WithTimeout(ctx, copyTakes)
					a.gateway.Copy(ctx, c)
					cancel()
				}
			}
		})
	}
	return workers.Wait
}
