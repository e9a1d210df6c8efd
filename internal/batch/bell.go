package batch

import (
	"context"
	"sync"
	"time"
)

// Bell wakes those of this process who wait for something. What other processes
// do is seen by looking now and then. The zero Bell is ready; nil rings for
// nobody. Safe for concurrent use.
type Bell struct {
	mu   sync.Mutex // guards next
	next chan struct{}
}

// Ring wakes everybody who waits.
func (b *Bell) Ring() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// Next is closed by the next Ring. It is taken before one looks whether there is
// anything to wait for.
func (b *Bell) Next() <-chan struct{} {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// Bells are shared by the Service and the Engine of a process.
type Bells struct {
	// Work: there is something to do. News: something has become of a job.
	Work, News Bell
	// calls: there may be something to ask in real time.
	calls Bell
}

func (b *Bells) work() *Bell {
	if b == nil {
		return nil
	}
	return &b.Work
}

func (b *Bells) news() *Bell {
	if b == nil {
		return nil
	}
	return &b.News
}

// pause waits, or gives the error of ctx.
func pause(ctx context.Context, d time.Duration) error { return wait(ctx, d, nil) }

// wait waits for as long, or for a bell, or gives the error of ctx.
func wait(ctx context.Context, d time.Duration, bell <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
	case <-bell:
	}
	return nil
}
