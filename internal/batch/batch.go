// Package batch answers items by a deadline at the lowest price: through the
// batch API of a provider while there is time for it, and in real time when
// there is not.
package batch

import (
	"context"
	"iter"
	"time"

	"headrace/internal/llm"
	"headrace/internal/route"
)

// Job is a set of items with one owner and one deadline. A single request
// that is answered later is a job of one item.
type Job struct {
	ID JobID
	// Owner is the id of the virtual key that it belongs to; nobody else sees it.
	Owner, Team string
	// Dialect and Form say through which door it came: Anthropic's batches,
	// OpenAI's, or a single request ("single").
	Dialect llm.Dialect
	Form    Form
	// Name is what the client calls it, Meta its own description, as received.
	Name string
	Meta []byte
	// Priority orders items that are answered in real time; see access.
	Priority          string
	Created, Deadline time.Time
	// Ended and Canceled are zero until it is so.
	Ended, Canceled time.Time
	// Counts says how many items are in which state.
	Counts Counts
	// Spent is what the items have cost, RealTime what the same answers would
	// have cost in real time, Double what was paid for answers that were dropped.
	Spent, RealTime, Double llm.Nanodollars
	// Tokens are those of all answers.
	Tokens Tokens
	// Forecast is what is expected of it, once its ways were chosen.
	Forecast Forecast
	// Webhook is the id of whom is told when the job ends; empty for none.
	Webhook string
}

// Forecast is what was expected of a job when the ways of its items were chosen;
// zero before.
type Forecast struct {
	// Share is the expected cost, 1 being real time.
	Share float64
	// InTime is the chance that a batch of it ends before Leaves, when what has
	// no answer is taken out of it to be asked in real time; the risk is the
	// rest. Both are zero when all is asked in real time.
	InTime float64
	Leaves time.Time
}

// Tokens counts tokens: Cached is a part of Prompt, Reasoning one of Output.
type Tokens struct{ Prompt, Cached, Output, Reasoning int64 }

// JobID is time-ordered; it is shown as batch_..., msgbatch_... or job_... by
// the door.
type JobID int64

// Form is the door that a job came by.
type Form string

// The forms.
const (
	FormMessages Form = "messages" // Anthropic Message Batches
	FormFiles    Form = "files"    // OpenAI Files and Batches
	FormSingle   Form = "single"   // one request, Prefer: respond-async
	FormLines    Form = "lines"    // our own: headrace batch submit
)

// Item is one request of a job.
type Item struct {
	ID    ItemID
	Job   JobID
	Index int
	// CustomID is the client's own name for it, unique in the job.
	CustomID string
	Dialect  llm.Dialect
	Op       llm.Op
	// Model is as the client wrote it.
	Model string
	// Body is the request as the client wrote it; sealed at rest.
	Body []byte

	State State
	// Path is how it is being answered, Why says why that way.
	Path Path
	Why  string
	// Target is who answers it; Batch is the provider's batch that it is in.
	Target  route.Target
	Batch   SentID
	Tries   int
	Changed time.Time
	// Answer is set once State is final.
	Answer *Answer
	// Seq numbers the answers of a job in the order they came; items that ended
	// together share one. It is set where the method says so.
	Seq int64
}

// Cursor is a place among the answers of a job: behind that one. The zero Cursor
// is before the first.
type Cursor struct {
	Seq   int64
	Index int
}

// ItemID is time-ordered and is what the provider gets as custom_id.
type ItemID int64

// Path is a way to an answer.
type Path string

// The paths.
const (
	PathBatch    Path = "batch"
	PathRealTime Path = "realtime"
)

// Answer is what an item ended with, in the client's dialect.
type Answer struct {
	// Status is the HTTP status that a single request would have had.
	Status int
	Body   []byte
	// Err is nil when it succeeded.
	Err *llm.Error
	// RequestID is the ledger row's.
	RequestID string
	Usage     llm.Usage
	// Cost is what it cost, RealTime what it would have cost in real time; Priced
	// says that both are known.
	Cost, RealTime llm.Nanodollars
	Priced         bool
}

// Provider is the batch API of one provider's account. An error is an
// *llm.Error, or that of ctx. Safe for concurrent use.
type Provider interface {
	// Terms are the bounds of one batch.
	Terms() llm.BatchTerms
	// Line writes an item in the provider's form. An error says that this item
	// cannot go by batch there.
	Line(t *route.Target, it *Item) (llm.BatchLine, *llm.Error)
	// Create starts a batch. It may have been started although an error comes
	// back: then List or its results tell. ref names it where Terms.Refs is set.
	Create(ctx context.Context, ref string, lines []llm.BatchLine) (llm.BatchStatus, error)
	Get(ctx context.Context, id string) (llm.BatchStatus, error)
	Cancel(ctx context.Context, id string) (llm.BatchStatus, error)
	// List gives the account's batches that began after since, ours or not.
	List(ctx context.Context, since time.Time) iter.Seq2[llm.BatchStatus, error]
	// Results gives what there is, in any order.
	Results(ctx context.Context, id string) iter.Seq2[llm.BatchResult, error]
	// Answer reads a succeeded result for the client of the item.
	Answer(t *route.Target, it *Item, r *llm.BatchResult) (Answer, *llm.Error)
}

// Runner answers one item now, through the same rooms as any request: its
// keys, limits, budgets and row. The ledger gets one row for each call.
type Runner interface {
	Run(ctx context.Context, j *Job, it *Item) Answer
}
