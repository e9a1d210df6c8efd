package study

import (
	"context"
	"time"

	"headrace/internal/ledger"
)

// Store keeps what experiments have shown. Implementations are safe for
// concurrent use and by several processes at once.
type Store interface {
	// Trials gives the requests that took part in an experiment and were written
	// after a place (ledger.Entry.Seq), in the order of writing.
	Trials(ctx context.Context, after int64, most int) ([]ledger.Entry, error)
	// Said gives those of the requests of experiments that something was said of at
	// a time or later: written after one place and not after another, in the order of
	// writing, with all that was said.
	Said(ctx context.Context, since time.Time, after, until int64, most int) ([]ledger.Entry, error)
	// Verdict gives how well a request counts by Saved.Verdicts, if it is there.
	Verdict(ctx context.Context, id ledger.ID) (score float64, ok bool, err error)
	// Request gives one request.
	Request(ctx context.Context, id ledger.ID) (ledger.Entry, bool, error)
	// StudyRuns gives all runs, and the place up to which the ledger was read.
	StudyRuns(ctx context.Context) (runs []Run, read int64, err error)
	// StudyUnit gives one unit.
	StudyUnit(ctx context.Context, run, unit int64) (u Unit, ok bool, err error)
	// StudyPins gives the units of a run that were seen last, without their sums.
	StudyPins(ctx context.Context, run int64, most int) ([]Unit, error)
	// SaveStudy writes all of it or nothing.
	SaveStudy(ctx context.Context, s Saved) error
	// AddOrder notes an order and gives its number; Orders gives those after one.
	AddOrder(ctx context.Context, o Order) error
	Orders(ctx context.Context, after int64) ([]Order, error)
}

// Run is one definition of an experiment with its State as JSON.
type Run struct {
	ID      int64
	Name    string
	State   []byte
	Written time.Time
}

// Saved is what one step of reading the ledger changes.
type Saved struct {
	Runs  []Run
	Units []Unit
	// Verdicts are how well requests count that something was said of.
	Verdicts map[ledger.ID]float64
	// Read is the place up to which the ledger was read.
	Read int64
}

// Act is what an operator wants of an experiment.
type Act string

// The acts.
const (
	// Start begins it now, or lets it go on.
	Start Act = "start"
	// Stop gives everybody what they ask for.
	Stop Act = "stop"
	// Decide gives everybody an arm.
	Decide Act = "decide"
)

// Order is an Act for a run. It is carried out by the process that serves.
type Order struct {
	// ID is given by the store, rising.
	ID  int64
	Run int64
	Act Act
	// Arm is the arm that is decided for; empty takes the winner.
	Arm string
	At  time.Time
	// Who gave it.
	Who string
}
