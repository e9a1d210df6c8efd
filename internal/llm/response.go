package llm

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Response is a whole answer in the gateway's own words.
type Response struct {
	From Dialect
	// ID is the provider's id of the answer.
	ID    string
	Model string
	// Created is in Unix seconds; 0 when the dialect has no such field.
	Created int64
	// Items are what the assistant produced, in order.
	Items  []Item
	Finish Finish
	Usage  Usage
	Ext    []Member
	// Echo is that of StreamOptions.
	Echo []Member
}

// FinishReason is why an answer ended.
type FinishReason string

// The finish reasons. The zero value means that the answer has not ended.
const (
	FinishStop         FinishReason = "stop"
	FinishStopSequence FinishReason = "stop_sequence"
	FinishLength       FinishReason = "length"
	// FinishContext says that the context window was full.
	FinishContext   FinishReason = "context"
	FinishToolCalls FinishReason = "tool_calls"
	// FinishRefusal covers a model's refusal and a provider's content filter.
	FinishRefusal FinishReason = "refusal"
	// FinishPaused wants the turn sent back to go on (Anthropic pause_turn).
	FinishPaused FinishReason = "paused"
	// FinishFailed says that the model failed in a way its vendor names.
	FinishFailed FinishReason = "failed"
	// FinishOther is a reason we do not know; Native holds it.
	FinishOther FinishReason = "other"
)

// Finish is how an answer ended.
type Finish struct {
	Reason FinishReason
	// Native is the word the provider used.
	Native string
	// StopSequence is the sequence that matched, where the dialect says.
	StopSequence string
	// Details is the native detail object (Anthropic stop_details).
	Details jsontext.Value
	// Refused says more of a FinishRefusal.
	Refused Refused
	// Took is set by whoever answers, for dialects that say it.
	Took Took
}

// Took is how long an answer took. Of one that came whole it is not known how
// long its prompt alone took: Prompt and Output are then both the time of all.
// The zero value was not measured.
type Took struct {
	// Total is all of it, from the arrival of the request.
	Total time.Duration
	// Wait is the part before the provider that answered was asked.
	Wait time.Duration
	// Prompt is the part up to the first word, Output the part from there on.
	Prompt, Output time.Duration
}

// UsageSource says where usage figures come from.
type UsageSource string

// The sources of usage; the zero value means that there is none.
const (
	UsageProvider  UsageSource = "provider"
	UsageEstimated UsageSource = "estimated"
	// UsageDrained: the provider's, from an answer that was read to its end after
	// the client had left.
	UsageDrained UsageSource = "drained"
)

// Usage counts tokens in disjoint buckets: the prompt is Input + CacheRead +
// CacheWrite5m + CacheWrite1h, the answer is Output, and Reasoning is the part
// of Output that was thinking.
type Usage struct {
	Input        int64
	CacheRead    int64
	CacheWrite5m int64
	CacheWrite1h int64
	Output       int64
	Reasoning    int64
	Source       UsageSource
	// Reported is what the provider says that the answer cost; negative or
	// zero with HasReported unset means that it does not say.
	Reported    Nanodollars
	HasReported bool
	// Tier is how the provider says that it served the answer where that sets its
	// price: its service tier in its own word and lower case ("flex", "priority",
	// "fast"), empty when unsaid. Geo is where ("us"), where it says that.
	Tier, Geo string
	// Raw is the provider's usage object, the last one seen.
	Raw jsontext.Value
}

// Prompt is the whole prompt, cached or not.
func (u Usage) Prompt() int64 { return u.Input + u.CacheRead + u.CacheWrite5m + u.CacheWrite1h }

// Total is prompt and output.
func (u Usage) Total() int64 { return u.Prompt() + u.Output }

// Nanodollars is money in 1e-9 US dollars. Every sum of money in the program
// has this type; int64 holds about nine billion dollars.
type Nanodollars int64

// ModelInfo is one line of a model list as clients see it.
type ModelInfo struct {
	// ID is the name to ask for, such as "anthropic/claude-opus-5-5".
	ID      string
	Name    string
	OwnedBy string
	// Created is in Unix seconds; 0 when unknown.
	Created           int64
	Window, MaxOutput int64
	Capability        Capability
	// Gives are the kinds of output, such as "embedding"; nil means text alone.
	Gives []string
}
