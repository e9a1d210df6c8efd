package llm

import "time"

// BatchLine is one request of a provider's batch, in the provider's own bytes.
type BatchLine struct {
	// ID comes back with the result: 1 to 64 letters, digits, '-' and '_', the
	// narrowest set of any provider.
	ID    string
	Op    Op
	Model string
	// Path is the provider's endpoint for the line, where a batch is of one
	// endpoint: lines of one Op may have several. Empty where it does not matter.
	Path string
	Body []byte
}

// BatchPhase is how far a provider's batch has come.
type BatchPhase string

// The phases. A failed batch was refused whole: none of its lines was worked
// on. An ended one has a result for each line that it was given.
const (
	BatchRunning   BatchPhase = "running"
	BatchCanceling BatchPhase = "canceling"
	BatchEnded     BatchPhase = "ended"
	BatchFailed    BatchPhase = "failed"
)

// BatchStatus is what a provider says of a batch. Counts are what is known:
// some providers tell them only at the end.
type BatchStatus struct {
	ID    string
	Phase BatchPhase
	// Created, Expires and Ended are zero when the provider does not say.
	Created, Expires, Ended                      time.Time
	Total, Succeeded, Errored, Canceled, Expired int64
	// Why is what a failed batch failed with; empty otherwise.
	Why string
	// Ref is a name that we gave the batch, where the provider keeps one.
	Ref string
}

// BatchOutcome is how one line of a batch ended.
type BatchOutcome string

// The outcomes.
const (
	BatchSucceeded BatchOutcome = "succeeded"
	BatchErrored   BatchOutcome = "errored"
	BatchCanceled  BatchOutcome = "canceled"
	BatchExpired   BatchOutcome = "expired"
)

// BatchResult is the result of one line, in any order.
type BatchResult struct {
	// ID is the line's.
	ID      string
	Outcome BatchOutcome
	// Body is the provider's answer to the request, as it would have been to a
	// single one; nil unless Outcome is BatchSucceeded.
	Body []byte
	// Err says what an errored line ended with.
	Err *Error
	// UpstreamID is the provider's id of the line's request, if it says one.
	UpstreamID string
}

// BatchTerms are the bounds of a provider's batch API.
type BatchTerms struct {
	// Items and Bytes bound one batch; 0 means no bound is known.
	Items int
	Bytes int64
	// Window is after how long a batch expires.
	Window time.Duration
	// OneModel says that all lines of a batch must ask for the same model, OneOp
	// that they must be of one operation.
	OneModel, OneOp bool
	// Refs says that List gives the Ref of each batch.
	Refs bool
}
