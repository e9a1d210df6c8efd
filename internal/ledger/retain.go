package ledger

import (
	"context"
	"log/slog"
	"time"
)

// Retention bounds what is kept of the ledger. Zero members are no bound.
type Retention struct {
	// Age is how long after its beginning an entry is kept.
	Age time.Duration
	// Rows is how many entries are kept.
	Rows int64
	// Bytes is the size of the whole store above which entries are dropped.
	Bytes int64
}

// Size is how large a store is.
type Size struct {
	// Rows counts entries, Bytes is the space that is in use.
	Rows, Bytes int64
}

// Pruner drops old entries. Roll-ups and what budgets have spent stay.
type Pruner interface {
	// Size returns how large the store is; it is cheap.
	Size(ctx context.Context) (Size, error)
	// Prune drops the entries that were written first, with their attempts and
	// charges: at most rows of them and, unless before is zero, only those that
	// began before it. The last entry stays. It returns how many were dropped.
	Prune(ctx context.Context, rows int, before time.Time) (int, error)
}

const (
	// pruneEvery is how often Retain looks, pruneRows how much it drops at once
	// and prunePause how long it leaves the store to others in between.
	pruneEvery = 10 * time.Second
	pruneRows  = 1000
	prunePause = 20 * time.Millisecond
)

// Retain holds the store to the bounds until ctx ends. The caller owns its
// goroutine.
func Retain(ctx context.Context, p Pruner, r Retention, log *slog.Logger) {
	if r == (Retention{}) {
		return
	}
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	failing := false
	for {
		err := PruneTo(ctx, p, r, time.Now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			log.Error("old requests cannot be dropped", "error", err)
		case err == nil && failing:
			log.Info("old requests are dropped again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// PruneTo drops entries in small batches until the store keeps to the bounds.
func PruneTo(ctx context.Context, p Pruner, r Retention, now time.Time) error {
	for {
		size, err := p.Size(ctx)
		if err != nil {
			return err
		}
		n := 0
		switch {
		case r.Bytes > 0 && size.Bytes > r.Bytes:
			n, err = p.Prune(ctx, pruneRows, time.Time{})
		case r.Rows > 0 && size.Rows > r.Rows:
			n, err = p.Prune(ctx, int(min(size.Rows-r.Rows, pruneRows)), time.Time{})
		case r.Age > 0:
			n, err = p.Prune(ctx, pruneRows, now.Add(-r.Age))
		}
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(prunePause):
		}
	}
}
