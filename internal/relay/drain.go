package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"headrace/internal/llm"
)

// Drain lets answers of one provider be read to their end after their clients
// have left: it bills them whole anyway, so that closing the connection saves
// nothing and loses the usage. Safe for concurrent use; it outlives a Relay.
type Drain struct {
	// Most is how many are read at once; with more, connections are closed.
	Most int
	// For and Bytes bound what is read of each: time since the client left, and
	// bytes.
	For   time.Duration
	Bytes int64

	mu      sync.Mutex // guards what follows
	running map[*leaving]bool
	closed  bool
}

// Close ends all that is read for nobody, and whatever would be.
func (d *Drain) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for l := range d.running {
		l.cancel(errDrained)
	}
}

// errDrained ends a drain that goes beyond its bounds.
var errDrained = errors.New("the answer is not read to its end")

// leaving is what happens to one attempt when its client leaves. The nil
// pointer is an attempt that ends then.
type leaving struct {
	drain  *Drain
	cancel context.CancelCauseFunc

	mu      sync.Mutex // guards what follows
	decided bool
	drains  bool
	timer   *time.Timer
	bytes   int64
}

// attend makes the context of an attempt whose client may leave. done ends it.
func (d *Drain) attend(ctx context.Context) (actx context.Context, cancel context.CancelCauseFunc, l *leaving, done func()) {
	actx, cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	l = &leaving{drain: d, cancel: cancel}
	stop := context.AfterFunc(ctx, func() {
		if !l.left(ctx) {
			cancel(context.Cause(ctx))
		}
	})
	return actx, cancel, l, func() {
		stop()
		l.end()
	}
}

// left is told that the client cannot be reached any more, and says whether the
// answer is read on.
func (l *leaving) left(ctx context.Context) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.decided {
		return l.drains
	}
	l.decided = true
	if gone := clientGone(ctx); gone != nil && gone.Class != llm.ClientGone {
		return false // it is still there: its deadline passed, or we stop
	}
	d := l.drain
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.running) >= d.Most {
		return false
	}
	if d.running == nil {
		d.running = map[*leaving]bool{}
	}
	d.running[l] = true
	l.drains = true
	l.timer = time.AfterFunc(d.For, func() { l.cancel(errDrained) })
	return true
}

// draining reports whether the answer is read for nobody.
func (l *leaving) draining() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.drains
}

// read counts what was read for nobody.
func (l *leaving) read(n int) {
	if l.bytes += int64(n); l.bytes > l.drain.Bytes {
		l.cancel(errDrained)
	}
}

func (l *leaving) end() {
	l.mu.Lock()
	l.decided = true
	drains := l.drains
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	if drains {
		l.drain.mu.Lock()
		delete(l.drain.running, l)
		l.drain.mu.Unlock()
	}
}
