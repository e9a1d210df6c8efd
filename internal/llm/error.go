package llm

import (
	"fmt"
	"time"
)

// Class is what kind of failure an error is. It decides what relay does next
// (relay/policy.go) and what status the client sees.
type Class string

// The classes that a provider's answer can have.
const (
	RateLimited       Class = "rate_limited"
	QuotaExhausted    Class = "quota_exhausted"
	Overloaded        Class = "overloaded"
	ServerError       Class = "server_error"
	Timeout           Class = "timeout"
	SlowStart         Class = "slow_start"
	SlowStream        Class = "slow_stream"
	ContentRefused    Class = "content_refused"
	ContextOverflow   Class = "context_overflow"
	InvalidRequest    Class = "invalid_request"
	Auth              Class = "auth"
	ModelNotFound     Class = "model_not_found"
	ClientGone        Class = "client_gone"
	MalformedUpstream Class = "malformed_upstream"
)

// The classes that only the gateway itself gives, before any provider is
// asked.
const (
	// Unauthenticated: the caller's key is missing, unknown or expired.
	Unauthenticated Class = "unauthenticated"
	// Forbidden: the caller may not use this model or path; on a raw path it is
	// the provider that says so.
	Forbidden Class = "forbidden"
	// PolicyBlocked: a rule of the operator forbids what the request or the answer
	// says.
	PolicyBlocked Class = "policy_blocked"
	// NotFound: no such path or thing.
	NotFound Class = "not_found"
	// TooLarge: the body is over the limit.
	TooLarge Class = "too_large"
	// Unsupported: no target can express what is asked.
	Unsupported Class = "unsupported"
	// Unavailable: the gateway itself cannot serve now.
	Unavailable Class = "unavailable"
)

// Classes lists every class, for tables that must have a row for each.
func Classes() []Class {
	return []Class{RateLimited, QuotaExhausted, Overloaded, ServerError, Timeout, SlowStart, SlowStream,
		ContentRefused, ContextOverflow, InvalidRequest, Auth, ModelNotFound, ClientGone, MalformedUpstream,
		Unauthenticated, Forbidden, PolicyBlocked, NotFound, TooLarge, Unsupported, Unavailable}
}

// Error is a failure with its class: the one error type that crosses rooms.
type Error struct {
	Class Class
	// Status is the HTTP status that the provider answered with, or 0.
	Status int
	// Provider and Model name the target that failed; empty for our own.
	Provider, Model string
	// Type, Code and Param are the native error's own words.
	Type, Code, Param string
	// Message is for a person. It never holds a credential.
	Message string
	// RetryAfter is how long to wait; 0 means unsaid.
	RetryAfter time.Duration
	// NoRepeat says that the same request at the same target will not do
	// better: the provider says so (x-should-retry: false), or the request alone
	// is over the account's limit.
	NoRepeat bool
	// From and Body are the provider's error body as received, for a client
	// of the same dialect; Body is nil when there is none to pass on.
	From        Dialect
	Body        []byte
	ContentType string
	// UpstreamID is the provider's request id, for its support.
	UpstreamID string
	// Refused says more of a content refusal.
	Refused Refused
	Cause   error
}

// Error gives the class, the target and the message.
func (e *Error) Error() string {
	s := string(e.Class)
	if e.Provider != "" {
		s += " at " + e.Provider
		if e.Model != "" {
			s += "/" + e.Model
		}
	}
	if e.Status != 0 {
		s += fmt.Sprintf(" (%d)", e.Status)
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error of our own.
func Errorf(class Class, format string, args ...any) *Error {
	return &Error{Class: class, Message: fmt.Sprintf(format, args...)}
}
