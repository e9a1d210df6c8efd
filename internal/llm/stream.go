package llm

import "net/http"

// StreamDecoder turns the frames of one provider stream into events. Not safe
// for concurrent use.
type StreamDecoder interface {
	// Decode appends the events of one frame, given its event name (nil when it
	// has none) and its data (nil for comments and blank frames). An error is a
	// *Error of class MalformedUpstream: the frame is not what the dialect
	// says; the stream cannot go on. Strings in the events are copies.
	Decode(dst []Event, name, data []byte) ([]Event, error)
	// Close says that the provider ended the stream. It appends what is missing
	// of the terminal event: nothing after one was given, EventFinish when the
	// answer was complete in the dialect's terms, else EventError of class
	// MalformedUpstream.
	Close(dst []Event) []Event
}

// StreamEncoder turns events into the bytes of one client stream, with exactly
// one terminal form. Not safe for concurrent use.
type StreamEncoder interface {
	// Encode appends the bytes for one event. After a terminal event it appends
	// nothing more.
	Encode(dst []byte, e Event) []byte
}

// StreamOptions is what a StreamEncoder needs to know beside the events.
type StreamOptions struct {
	// IncludeUsage: the client asked for usage (OpenAI stream_options).
	IncludeUsage bool
	// PromptEstimate is our own count of the prompt, for dialects that name it
	// first and providers that tell it last; 0 when there is none.
	PromptEstimate int64
	// ID, Model and Created stand in where EventStart has none.
	ID, Model string
	Created   int64
	// Echo are the members with which an answer repeats its request, where the
	// dialect's answers do (Responses); nil means the dialect's defaults.
	Echo []Member
	// Array: the client asked for a JSON array that grows instead of an event
	// stream (Gemini without alt=sse).
	Array bool
}

// Encoded is a request written for one target.
type Encoded struct {
	// Body is the body in segments, to be sent one after another. They may
	// share memory with the request as received.
	Body [][]byte
	// Header holds headers that belong to the body (anthropic-version,
	// anthropic-beta), mostly nil.
	Header http.Header
	// Losses lists what the target cannot express.
	Losses []Loss
	// Names maps tool names on the wire back to the client's; nil when they
	// are the same.
	Names map[string]string
	// Customs holds the names on the wire of custom tools that were offered as
	// functions: the arguments of their calls are {"input":"the text"}. Nil
	// when there are none.
	Customs map[string]bool
	// DropUsage says that a usage chunk of the answer's stream was asked for by
	// the gateway and must not reach the client.
	DropUsage bool
}

// Glance is what a whole answer says at first sight.
type Glance struct {
	ID, Model string
	Usage     Usage
	Finish    Finish
}
