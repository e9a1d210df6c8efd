// Package recall holds what must come back: opaque state keyed by tool call,
// for clients that have no place for it, and stored responses; each with its
// owner and its end. What it keeps at rest is sealed, and nothing of it is
// ever logged.
package recall

import (
	"context"
	"iter"
	"log/slog"
	"time"
)

// Kind says what a sealed row holds.
type Kind string

// The kinds of row.
const (
	// KindTurn is the state of one assistant turn with tool calls.
	KindTurn Kind = "turn"
	// KindResponse is a stored response.
	KindResponse Kind = "response"
)

// SealedID names a row. The same ID of another owner is another row.
type SealedID struct {
	Kind Kind
	// Owner is the id of the virtual key that it belongs to.
	Owner string
	ID    string
}

// Sealed is a row as a store sees it. Times are kept to the millisecond.
type Sealed struct {
	SealedID
	Created, Expires time.Time
	// Key is the id of the key that Data is sealed with.
	Key  string
	Data []byte
}

// Store keeps sealed rows. Implementations are safe for concurrent use and by
// several processes at once. A row whose Expires is not after now is not
// there, whether or not it was swept.
type Store interface {
	// PutSealed writes all rows and drops all of drop, or does nothing. A row
	// replaces an earlier one of its id. Dropping what is not there is no
	// error.
	PutSealed(ctx context.Context, rows []Sealed, drop []SealedID) error
	// Sealed returns one row.
	Sealed(ctx context.Context, id SealedID, now time.Time) (Sealed, bool, error)
	// LastSealed gives the rows of a kind, the last to expire first. After an
	// error it gives no more.
	LastSealed(ctx context.Context, kind Kind, now time.Time) iter.Seq2[Sealed, error]
	// DropSealed drops one row and reports whether it was there.
	DropSealed(ctx context.Context, id SealedID, now time.Time) (bool, error)
	// SweepSealed drops what has expired and says how many rows that were.
	SweepSealed(ctx context.Context, now time.Time) (int64, error)
}

// sweepEvery is how often expired rows are dropped; the first time is soon
// after the start.
const sweepEvery = time.Hour

// Sweep drops what has expired, of every kind, until ctx ends. log, which may
// be nil, is told of failures. The caller owns the goroutine.
func Sweep(ctx context.Context, s Store, log *slog.Logger) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	for pause := time.Minute; ; pause = sweepEvery {
		sleep(ctx, pause)
		if ctx.Err() != nil {
			return
		}
		bounded, cancel := context.WithTimeout(ctx, writeIn)
		n, err := s.SweepSealed(bounded, time.Now())
		cancel()
		switch {
		case err != nil && ctx.Err() == nil:
			log.Warn("what has expired cannot be swept", "error", err)
		case n > 0:
			log.Debug("expired rows are swept", "rows", n)
		}
	}
}
