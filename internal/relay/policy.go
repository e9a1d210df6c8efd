package relay

import (
	"time"

	"headrace/internal/llm"
)

// Step is what relay does after a failed attempt.
type Step string

// The steps.
const (
	// StepRetry tries the same target again, and the next one when its tries
	// are used up.
	StepRetry Step = "retry"
	// StepNext goes to the next target at once.
	StepNext Step = "next"
	// StepStop gives the error to the client.
	StepStop Step = "stop"
)

// Rule is one row of the policy: what a class of error means to relay.
type Rule struct {
	Class llm.Class
	Step  Step
	// Retries is how often one target may be tried again for this class.
	Retries int
	// Backoff is the wait before the first repeat; it doubles, with jitter.
	Backoff time.Duration
	// MaxWait is the longest retry-after that is waited for when no other
	// target is left; a longer one goes to the client. With other targets left
	// relay moves on rather than wait.
	MaxWait time.Duration
	// Why is the reason, for people (headrace explain errors).
	Why string
}

// DefaultPolicy is the one table of what relay does for each class of error.
// Only attempts that have given the client nothing are ever repeated.
func DefaultPolicy() []Rule {
	const short = 250 * time.Millisecond
	return []Rule{
		{llm.RateLimited, StepRetry, 2, short, 5 * time.Second, "the target asks to slow down: another target if there is one, else its retry-after if that is short, else the client waits"},
		{llm.QuotaExhausted, StepNext, 0, 0, 0, "the account is out of quota or money: waiting does not help"},
		{llm.Overloaded, StepRetry, 2, short, 5 * time.Second, "the provider has too much to do: jittered backoff, then the next target"},
		{llm.ServerError, StepRetry, 1, short, 2 * time.Second, "the provider failed: once more, then the next target"},
		{llm.Timeout, StepNext, 0, 0, 0, "the provider did not answer in time: the same target would cost as long again"},
		{llm.SlowStart, StepNext, 0, 0, 0, "no first byte in time, nothing sent yet: the next target"},
		{llm.SlowStream, StepNext, 0, 0, 0, "the stream stalled before its content: the next target"},
		{llm.ContentRefused, StepStop, 0, 0, 0, "the provider refused the content: the same prompt is never sent there again, and to another target only where the operator says so"},
		{llm.ContextOverflow, StepStop, 0, 0, 0, "the prompt does not fit: told in words that the client's own recovery knows"},
		{llm.InvalidRequest, StepStop, 0, 0, 0, "the request itself is wrong: back to the client unchanged"},
		{llm.Auth, StepNext, 0, 0, 0, "the provider refused our credential: the next target, and an alarm for the operator"},
		{llm.ModelNotFound, StepNext, 0, 0, 0, "the provider does not have the model, or not for this account: the next target"},
		{llm.ClientGone, StepStop, 0, 0, 0, "nobody is listening: the upstream is closed and the ledger gets its row"},
		{llm.MalformedUpstream, StepRetry, 1, short, 0, "the answer is not what the dialect says: once more, then the next target"},
		{llm.Unsupported, StepNext, 0, 0, 0, "the target cannot express the request without changing its meaning: skipped, nothing was sent"},
		{llm.Unauthenticated, StepStop, 0, 0, 0, "the caller's key is missing, unknown or expired: answered at the door"},
		{llm.Forbidden, StepStop, 0, 0, 0, "the caller's key does not allow this: answered at the door, or the provider's word passed on (raw paths)"},
		{llm.PolicyBlocked, StepStop, 0, 0, 0, "a rule of the operator forbids what the request or the answer says: no other target is asked"},
		{llm.NotFound, StepStop, 0, 0, 0, "there is no such path or model: answered at the door"},
		{llm.TooLarge, StepStop, 0, 0, 0, "the body is over the limit: answered at the door, or the provider's word passed on"},
		{llm.Unavailable, StepStop, 0, 0, 0, "the gateway itself cannot serve now"},
	}
}
