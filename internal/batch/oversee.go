package batch

import (
	"context"
	"time"

	"headrace/internal/llm"
)

// Overseer is what whoever runs the gateway sees of everybody's jobs.
type Overseer interface {
	// AllBatchJobs lists the ready jobs of all owners below before (0: all), the
	// newest first, with counts.
	AllBatchJobs(ctx context.Context, before JobID, limit int) ([]Job, error)
	// BatchPaths lists the items of a job from an index on, without bodies and
	// answers; only those in a state if it is not empty.
	BatchPaths(ctx context.Context, id JobID, from int, state State, limit int) ([]Step, error)
	// BatchSaved sums up what the items of jobs since a time cost that were
	// answered in batches of the providers, and what they would have cost in real
	// time.
	BatchSaved(ctx context.Context, since time.Time) (Saved, error)
}

// Step is how far an item has come, and by which path.
type Step struct {
	Index          int
	CustomID       string
	Dialect        llm.Dialect
	Op             llm.Op
	Model          string
	State          State
	Path           Path
	Why            string
	Provider       string
	Target         string
	Sent           SentID
	Tries          int
	Changed        time.Time
	Cost, RealTime llm.Nanodollars
}

// Saved is what items cost in batches and would have cost in real time.
type Saved struct {
	Items           int64
	Spent, RealTime llm.Nanodollars
}
