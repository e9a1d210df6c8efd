package batch

import (
	"context"
	"errors"
	"time"

	"headrace/internal/llm"
)

// Sent is a batch at a provider. Its row is there before the POST: one that
// stands at PhaseHeld may have arrived or not.
type Sent struct {
	ID SentID
	// Provider is the account: a provider's name for its first one, with "#" and
	// the name of the credential for another. Model is what it knows the model as; empty when the
	// batch has several.
	Provider, Model string
	// Upstream is the provider's id; empty until it is known.
	Upstream string
	Phase    Phase
	Items    int
	Created  time.Time
	// Canceled is when we asked for its end, Ended when it came.
	Canceled, Ended time.Time
	// Due is when to look next, Polls how often it was looked at.
	Due   time.Time
	Polls int
}

// SentID is time-ordered; it is the ref that the provider gets.
type SentID int64

// Phase is how far a batch at a provider has come, as we know it.
type Phase string

// The phases. An intent that was claimed for its POST is held.
const (
	PhaseIntent    Phase = "intent"
	PhaseHeld      Phase = "held"
	PhaseRunning   Phase = "running"
	PhaseCanceling Phase = "canceling"
	PhaseOver      Phase = "over"
)

// Idempotency is a client's key for a submission; the zero value is none.
type Idempotency struct {
	// Key is the client's, Digest that of all it submitted under it.
	Key, Digest string
}

// Row is an item as it is stored: Body and Sealed are sealed.
type Row struct {
	Item
	Deadline time.Time
	// Size is the length of the plain body; Item.Body is only read with it where
	// the method says so.
	Size int64
	// Sealed is the answer.
	Sealed []byte
}

// Move brings items from one state to another, if they are in it still.
type Move struct {
	Items []ItemID
	From  State
	To    State
	Path  Path
	Why   string
	// Provider and Model are the target; empty leaves it.
	Provider, Model string
	// Due is when to go on.
	Due time.Time
	// Tried counts the attempt.
	Tried bool
}

// Held is the money that is held for an item while it is in a batch.
type Held struct {
	Item   ItemID
	Job    JobID
	Amount llm.Nanodollars
}

// Final is the one answer of an item.
type Final struct {
	Item           ItemID
	State          State
	Why            string
	Sealed         []byte
	Cost, RealTime llm.Nanodollars
	Tokens         Tokens
}

// Errors of a Store.
var (
	// ErrConflict says that the idempotency key stands for something else.
	ErrConflict = errors.New("the idempotency key was used for another submission")
	// ErrDuplicate says that two items of a job have the same custom id.
	ErrDuplicate = errors.New("the custom id is there twice")
	// ErrNotFound says that the owner has no such job.
	ErrNotFound = errors.New("no such job")
)

// Claim says what work to take: what is due and nobody holds a lease of.
type Claim struct {
	Worker     string
	Now, Until time.Time
	Limit      int
}

// Store keeps jobs, items and batches. Several processes may use the same data
// at once: work is taken by leases. Safe for concurrent use.
type Store interface {
	// BeginBatchJob writes a job that nobody sees before CommitBatchJob.
	BeginBatchJob(ctx context.Context, j *Job) error
	// AddBatchItems writes items of such a job, all or none; ErrDuplicate. One in a
	// final state has its answer already.
	AddBatchItems(ctx context.Context, rows []Row) error
	// CommitBatchJob makes the job ready and returns its id, or drops it and
	// returns the job that was submitted under the same key before, or
	// ErrConflict. A key is forgotten after keep.
	CommitBatchJob(ctx context.Context, owner string, id JobID, key Idempotency, now time.Time, keep time.Duration) (JobID, error)
	// DropBatchJob deletes a job and all of it.
	DropBatchJob(ctx context.Context, owner string, id JobID) error
	BatchJob(ctx context.Context, owner string, id JobID) (Job, error)
	// BatchJobOf reads a ready job of any owner, without counts.
	BatchJobOf(ctx context.Context, id JobID) (Job, bool, error)
	// BatchJobs lists the owner's ready jobs below before (0: all), the newest
	// first.
	BatchJobs(ctx context.Context, owner string, before JobID, limit int) ([]Job, error)
	// OpenBatchJobs lists ready jobs that have not ended, with counts.
	OpenBatchJobs(ctx context.Context) ([]Job, error)
	// EndBatchJobs notes the end of jobs all of whose items are final, and gives
	// them. With the end of one that has a webhook it writes the message to it.
	EndBatchJobs(ctx context.Context, now time.Time) ([]JobID, error)
	// CancelBatchJob marks the job; the engine ends its items.
	CancelBatchJob(ctx context.Context, owner string, id JobID, now time.Time) error
	// BatchItems gives items from index on with bodies and answers.
	BatchItems(ctx context.Context, job JobID, from, limit int) ([]Row, error)
	// AnsweredBatchItems gives answered items behind a place, in the order their
	// answers came, with bodies, answers and Seq.
	AnsweredBatchItems(ctx context.Context, job JobID, after Cursor, limit int) ([]Row, error)
	// ClaimBatchItems takes items in a state, the earliest deadline first, without
	// bodies.
	ClaimBatchItems(ctx context.Context, state State, c Claim) ([]Row, error)
	// BatchItem reads one with its body.
	BatchItem(ctx context.Context, id ItemID) (Row, bool, error)
	// BatchItemState is empty for an item that is not there.
	BatchItemState(ctx context.Context, id ItemID) (State, error)
	// MoveBatchItems says how many were moved. It ends their leases.
	MoveBatchItems(ctx context.Context, m Move) (int64, error)
	// MoveBatchJob moves all items of a job that are in a state.
	MoveBatchJob(ctx context.Context, job JobID, m Move) (int64, error)
	// FinishBatchItem answers an item. False says that it had an answer: this one
	// is dropped and its cost counted as paid twice.
	FinishBatchItem(ctx context.Context, f Final, now time.Time) (bool, error)
	// ReopenBatchItems queues a job's failed, expired and canceled items again.
	ReopenBatchItems(ctx context.Context, owner string, id JobID, deadline, now time.Time) (int64, error)
	// IntendBatch writes an intent and puts those items that are coalescing still
	// into it; it says how many.
	IntendBatch(ctx context.Context, s *Sent, items []ItemID) (int64, error)
	// SaveBatch writes what is known of a batch and ends its lease; when it runs, its
	// submitted items run too.
	SaveBatch(ctx context.Context, s *Sent) error
	// ClaimBatches takes batches of a phase that are due.
	ClaimBatches(ctx context.Context, phase Phase, c Claim) ([]Sent, error)
	// SentItems gives what is in a batch and has no answer, with bodies.
	SentItems(ctx context.Context, id SentID) ([]Row, error)
	// AddBatchTime notes how long a batch took, once; the last most of each
	// provider and model are kept. BatchTimes tells them, the oldest first.
	AddBatchTime(ctx context.Context, provider, model string, id SentID, took time.Duration, most int) error
	BatchTimes(ctx context.Context, add func(provider, model string, took time.Duration)) error
	// HoldBatchItems writes what is held for items in a batch; HeldBatchItems tells
	// it of those that are in one still.
	HoldBatchItems(ctx context.Context, held map[ItemID]llm.Nanodollars) error
	HeldBatchItems(ctx context.Context, each func(Held)) error
	// ForecastBatchJob writes what is expected of a job.
	ForecastBatchJob(ctx context.Context, id JobID, f Forecast) error
	// NextBatchWork says when the next batch is to be looked at, or the next item
	// tried again; zero when none is.
	NextBatchWork(ctx context.Context, now time.Time) (time.Time, error)
	// BatchesOf lists the batches that have items of a job without an answer.
	BatchesOf(ctx context.Context, job JobID) ([]Sent, error)
	// FreeBatches ends the leases of a worker that is starting.
	FreeBatches(ctx context.Context, worker string) error
	// KnownBatch says whether a batch of the provider is one that we know.
	KnownBatch(ctx context.Context, provider, upstream string) (bool, error)
	// SweepBatches deletes jobs that ended before, jobs never committed from
	// before, and keys that have expired.
	SweepBatches(ctx context.Context, ended, begun, now time.Time) (int64, error)
}
