package rehearsal

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

var errClosed = errors.New("rehearsal: read on a closed body")

// body is an answer's body that makes its bytes as it is read: nothing runs
// beside the reader, so there is nothing to leak. Each Read gives bytes of one
// piece at most, and waits for the pause before a piece. Close may be called
// while another goroutine reads; Read itself is for one goroutine.
type body struct {
	ctx context.Context // the request's: a body ends with it, as http.Transport's do
	// next appends the next piece and says how long to wait before it; more is
	// false when there was none.
	next   func(dst []byte) (out []byte, wait time.Duration, more bool)
	buf    []byte // room for one piece
	rest   []byte // of buf, not yet read
	left   int64  // bytes until the cut; negative when there is none
	done   bool
	once   sync.Once
	closed chan struct{}
}

func newBody(ctx context.Context, cut int64, next func([]byte) ([]byte, time.Duration, bool)) *body {
	return &body{ctx: ctx, next: next, left: cut, closed: make(chan struct{})}
}

// Read gives the next bytes. It returns io.ErrUnexpectedEOF at a cut, the
// cause of the request's context when that has ended, io.EOF at the end.
func (b *body) Read(p []byte) (int, error) {
	if err := wait(b.ctx, b.closed, 0); err != nil {
		return 0, err
	}
	for {
		if len(b.rest) > 0 {
			if b.left == 0 {
				return 0, io.ErrUnexpectedEOF
			}
			if len(p) == 0 {
				return 0, nil
			}
			if b.left > 0 && int64(len(p)) > b.left {
				p = p[:b.left]
			}
			n := copy(p, b.rest)
			b.rest = b.rest[n:]
			if b.left > 0 {
				b.left -= int64(n)
			}
			return n, nil
		}
		if b.done {
			return 0, io.EOF
		}
		out, pause, more := b.next(b.buf[:0])
		if !more {
			b.done = true
			continue
		}
		b.buf, b.rest = out, out
		if err := wait(b.ctx, b.closed, pause); err != nil {
			return 0, err
		}
	}
}

// Close ends the body; a Read that waits returns at once.
func (b *body) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// wait waits for d, for the context or for the channel, whichever is first;
// with no d, and for a line of a batch, it only looks whether one of them has
// ended.
func wait(ctx context.Context, closed <-chan struct{}, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-closed:
		return errClosed
	default:
	}
	if d <= 0 || inBatch(ctx) {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-closed:
		return errClosed
	case <-t.C:
		return nil
	}
}
