package ledger

import (
	"context"
	"fmt"
	"time"

	"headrace/internal/llm"
)

// Store keeps the ledger. Implementations are safe for concurrent use and by
// several processes at once.
type Store interface {
	Writer
	Reader
}

// Writer is the side of a Store that the ledger itself uses.
type Writer interface {
	// Begin notes that a run of the program starts to write, and returns the
	// runs that began and never ended: those that were killed. Each is
	// returned once.
	Begin(ctx context.Context, run Run) (killed []Run, err error)
	// WriteBatch writes all of a batch or nothing. A batch that is written
	// already (same run and number) is no error and changes nothing, so one
	// whose fate is unknown can be tried again. A *TakenError says that
	// entries have IDs that are there already; the rest can be tried again
	// under the same number. The batch is the caller's after the call.
	WriteBatch(ctx context.Context, b *Batch) error
	// End notes that a run stopped with everything written.
	End(ctx context.Context, run ID, at time.Time) error
}

// Reader is the side that is looked at.
type Reader interface {
	// Request returns one entry, with its attempts.
	Request(ctx context.Context, id ID) (Entry, bool, error)
	// Recent returns what the filter lets through; see [Filter] for the order.
	Recent(ctx context.Context, f Filter) ([]Entry, error)
	// Usage returns the tallies of whole UTC hours: from the hour that since is
	// in until before the hour that until begins, or through the hour that
	// until is inside of. A zero since or until is open. Rows are ordered by
	// cost, then requests, highest first; ByDay by day, latest first.
	Usage(ctx context.Context, by By, since, until time.Time) ([]UsageRow, error)
	// Success returns what the requests of whole UTC days came to, by name, task
	// and target, with the feedback that has come since: from the day that since is
	// in through the one that until is in. A zero since or until is open. The order
	// is that of the three.
	Success(ctx context.Context, since, until time.Time) ([]Success, error)
}

// Run is one life of the program as a writer of the ledger.
type Run struct {
	// ID is the time-ordered id of the run.
	ID ID
	// Written is when it last wrote, or when it began.
	Written time.Time
}

// TakenError says that some entries of a batch have an ID that another entry
// has, in the store or earlier in the batch. Nothing was written.
type TakenError struct {
	// At are their places in Batch.Entries, rising.
	At []int
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("%d request ids are taken", len(e.At))
}

// Batch is what is written at once.
type Batch struct {
	Run ID
	// N counts the batches of a run from 1.
	N int64
	// At is when it is written.
	At time.Time
	// Entries are settled: priced and cut to size.
	Entries []Entry
	// Hours is the roll-up of Entries, Successes another one.
	Hours     []Hour
	Successes []DaySuccess
	// Feedback is about entries that are written, in this batch or before; what is
	// about others is left out.
	Feedback []Feedback
}

// DefaultLimit and MaxLimit are how many entries Recent gives.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Filter chooses entries. Zero fields let everything through.
type Filter struct {
	// After is a Seq: only entries written later, in the order of writing. It
	// is how a log is followed without a gap. Without it (0) the latest
	// requests come first, by ID; any negative number follows from the first
	// entry there is.
	After int64
	// Before gives only IDs below it: the next page.
	Before ID
	// Since and Until bound the start of a request: Since <= At < Until. Stores
	// look among the IDs of that time and a minute around it.
	Since, Until time.Time
	KeyID        string
	// Asked is the name asked for; Provider and Model are those of any attempt.
	Asked, Provider, Model string
	Class                  llm.Class
	// Failed lets only requests with a class through.
	Failed bool
	// Limit is how many at most; 0 means DefaultLimit, more than MaxLimit
	// means MaxLimit.
	Limit int
}

// Lines is the limit that applies.
func (f *Filter) Lines() int {
	switch {
	case f.Limit <= 0:
		return DefaultLimit
	case f.Limit > MaxLimit:
		return MaxLimit
	}
	return f.Limit
}

// match is the filter for entries that are not in the store yet.
func (f *Filter) match(e *Entry) bool {
	ms := e.At.UnixMilli()
	switch {
	case f.Before != 0 && e.ID >= f.Before,
		!f.Since.IsZero() && ms < f.Since.UnixMilli(),
		!f.Until.IsZero() && ms >= f.Until.UnixMilli(),
		f.KeyID != "" && e.KeyID != f.KeyID,
		f.Asked != "" && e.Asked != f.Asked,
		f.Class != "" && e.Class != f.Class,
		f.Failed && e.Class == "":
		return false
	}
	if f.Provider == "" && f.Model == "" {
		return true
	}
	for i := range e.Attempts {
		a := &e.Attempts[i]
		if (f.Provider == "" || a.Provider == f.Provider) && (f.Model == "" || a.Model == f.Model) {
			return true
		}
	}
	return false
}
