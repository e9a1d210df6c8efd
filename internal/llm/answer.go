package llm

import "net/http"

// Answer is what a provider answered to one attempt, before the client has
// seen any of it. Either Stream is set, or the answer is whole.
type Answer struct {
	// Header holds the provider's headers that may go on to a client of the
	// same dialect; never a credential, a cookie or an account name.
	Header http.Header
	// Native says that the provider speaks the client's dialect and that its
	// bytes may go to the client as they are: Body, or the Raw of each Piece.
	Native bool
	// ContentType is the provider's content type.
	ContentType string
	// Status is the provider's status, 2xx.
	Status int
	// Body is a whole answer as received.
	Body []byte
	// Response is a whole answer in words; nil when Native.
	Response *Response
	// Embeddings is the answer to an OpEmbed request, Count that to an
	// OpCountTokens one, in words; nil and 0 when Native.
	Embeddings *Embeddings
	Count      int64
	// Glance is what a whole answer says at first sight.
	Glance Glance
	// TextBytes is how much text a whole answer holds; it may be 0 when Glance
	// has usage.
	TextBytes int
	Stream    Stream
	// Losses lists what the request could not express at this target.
	Losses []Loss
	// UpstreamID is the provider's own request id, for its support.
	UpstreamID string
}

// Stream is a streamed answer. Not safe for concurrent use, but Close may be
// called at any time.
type Stream interface {
	// Next waits for the next piece, which is valid until the next call. After
	// the last one it returns io.EOF, whether or not the answer was complete:
	// a terminal event in the pieces says so. Any other error is the
	// connection's.
	Next() (Piece, error)
	// Buffered reports whether Next would not wait.
	Buffered() bool
	Close() error
}

// Piece is one step of a streamed answer.
type Piece struct {
	// Raw are the bytes for a client of the same dialect; empty when the piece
	// is not for it.
	Raw []byte
	// Data is the data of the frame in Raw, where that is one with events.
	Data []byte
	// Events say what the piece means. In a native stream that has begun its
	// content only usage, finish and error are told.
	Events []Event
	// TextBytes is about how many bytes of text the piece carries, counted
	// without decoding it.
	TextBytes int
}

// Content reports whether the event is content: what commits an answer.
func (e *Event) Content() bool { return e.Kind == EventBlockStart || e.Kind == EventDelta }

// Terminal reports whether the event ends the stream.
func (e *Event) Terminal() bool { return e.Kind == EventFinish || e.Kind == EventError }
