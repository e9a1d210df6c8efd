package recall

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// KindBodies is what was said in one request, of callers whose operator wants
// it kept.
const KindBodies Kind = "bodies"

// mostBodies is how many wait to be written; more are left out, and counted in
// the log.
const mostBodies = 64

// BodiesOptions set up Bodies. All are required.
type BodiesOptions struct {
	Store Store
	Seal  *Seal
	Log   *slog.Logger
}

// Bodies keeps what was said, sealed, for a time. Nothing waits for it. Safe for
// concurrent use.
type Bodies struct {
	o    BodiesOptions
	in   chan said
	lost atomic.Int64
}

// said is one that waits: text makes what is kept, nil for nothing.
type said struct {
	owner, id string
	at        time.Time
	keep      time.Duration
	text      func() []byte
}

// NewBodies makes Bodies.
func NewBodies(o BodiesOptions) *Bodies { return &Bodies{o: o, in: make(chan said, mostBodies)} }

// Note keeps what text makes, under the request's id, for so long. text is
// called later, by whoever writes, and must not change what it reads.
func (b *Bodies) Note(owner, id string, at time.Time, keep time.Duration, text func() []byte) {
	select {
	case b.in <- said{owner, id, at, keep, text}:
	default:
		b.lost.Add(1)
	}
}

// Run writes until ctx ends, and then what waits.
func (b *Bodies) Run(ctx context.Context) {
	for {
		select {
		case s := <-b.in:
			b.write(ctx, s)
			continue
		case <-ctx.Done():
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		for {
			select {
			case s := <-b.in:
				b.write(last, s)
			default:
				return
			}
		}
	}
}

func (b *Bodies) write(ctx context.Context, s said) {
	if n := b.lost.Swap(0); n > 0 {
		b.o.Log.Warn("bodies are not kept: too many wait to be written", "requests", n)
	}
	text := s.text()
	if text == nil {
		return
	}
	row := Sealed{SealedID: SealedID{Kind: KindBodies, Owner: s.owner, ID: s.id}, Created: s.at, Expires: s.at.Add(s.keep)}
	b.o.Seal.close(&row, text)
	if err := b.o.Store.PutSealed(ctx, []Sealed{row}, nil); err != nil {
		b.o.Log.Warn("bodies of a request are not kept", "request", s.id, "error", err)
	}
}

// Of gives what was kept of a request; ok is false when nothing was.
func (b *Bodies) Of(ctx context.Context, owner, id string) (text []byte, ok bool, err error) {
	row, ok, err := b.o.Store.Sealed(ctx, SealedID{Kind: KindBodies, Owner: owner, ID: id}, time.Now())
	if err != nil || !ok {
		return nil, false, err
	}
	text, err = b.o.Seal.open(&row)
	return text, err == nil, err
}
