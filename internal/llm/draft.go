package llm

import "net/http"

// Span is a half-open range of bytes, [From, To). The zero Span means that
// the thing is not there.
type Span struct{ From, To int }

// Head is what a body says at first sight: its top-level members by place,
// and the few values that routing needs. It is read by the same scan that
// writes later splices, so what was authorised is what is sent.
type Head struct {
	// Model is the model name, unescaped.
	Model string
	// Stream says whether a streamed answer is asked for.
	Stream bool
	// MaxTokens is the output cap, or 0 when there is none.
	MaxTokens int64
	// IncludeUsage says that the client asked for a usage chunk (OpenAI).
	IncludeUsage bool
	// Tools says that tools are offered.
	Tools bool
	// EndUser and CacheKey are the client's own ids, mostly empty.
	EndUser, CacheKey string
	// PreviousID is the id of the stored answer that the request goes on from
	// (Responses); empty when it brings its whole conversation.
	PreviousID string
	// Store is what the request says of storing its answer (Responses, where
	// the default is true, and Chat Completions, where it is false); nil when
	// unsaid.
	Store *bool
	// Background says that the answer is to be made without the client waiting
	// (Responses).
	Background bool
	// Members are the top-level members in source order.
	Members []Place
}

// Place is where a top-level member stands: Key covers the quoted name, Value
// the value, both without surrounding white space.
type Place struct {
	Name       string
	Key, Value Span
}

// At returns the span of the named member's value.
func (h *Head) At(name string) (Span, bool) {
	for i := range h.Members {
		if h.Members[i].Name == name {
			return h.Members[i].Value, true
		}
	}
	return Span{}, false
}

// EditKind says what an Edit changes.
type EditKind string

// The edits. All but EditReshape and EditStrip are scalars that a codec of the same dialect
// can splice without decoding.
const (
	// EditModel sets the model to Text.
	EditModel EditKind = "model"
	// EditMaxTokens sets the output cap to Number.
	EditMaxTokens EditKind = "max_tokens"
	// EditUsage asks the provider for a usage chunk, which is taken out of the
	// answer again when the client did not ask for it.
	EditUsage EditKind = "usage"
	// EditStrip leaves out all state that only its maker can read; Text says why,
	// for the client. It is made through the words.
	EditStrip EditKind = "strip"
	// EditReshape fits the request's top-level members to the target's
	// Capability (thinking, effort, sampling, forced tool choice). It is used
	// when the client named a route: an explicit model is sent as it is.
	EditReshape EditKind = "reshape"
	// EditThink notes that the request was made to say how hard to think: Text is
	// off, low, medium, high or max. It changes nothing more; the client is told.
	EditThink EditKind = "think"
)

// Edit is one change to a request on its way to a target.
type Edit struct {
	Kind   EditKind
	Text   string
	Number int64
}

// Draft is a request on its way through the rooms: the bytes as received,
// what they say at first sight, and an append-only list of edits. It is a
// value; With gives a longer one and leaves the old as it was. Not safe for
// concurrent use.
type Draft struct {
	Dialect Dialect
	Op      Op
	// Raw is the body as received (decompressed); nobody writes to it.
	Raw  []byte
	Head Head
	// Header holds the request headers that may go on to a provider of the
	// same dialect (an allow-list of the dialect), never a credential.
	Header http.Header
	// Form is which of a dialect's several forms of the operation this is:
	// Gemini's "embedContent" beside batchEmbedContents, Ollama's "generate"
	// beside chat. Empty for the only or the usual one.
	Form string
	// Method and Path belong to OpRaw: Path is what follows the vendor prefix.
	// Query goes on to a provider of the same dialect. Method is POST when
	// empty.
	Method, Path, Query string
	// Rehearse is the client's x-headrace-rehearse header; only the rehearsal
	// provider is ever sent it.
	Rehearse string
	// Think is how hard the client wants it thought about (off, low, medium, high,
	// max or a number of tokens; x-headrace-thinking or thinking_config); empty
	// leaves it to the body and the route.
	Think string
	// Task is what the client calls the kind of request (x-headrace-task); MaxCost
	// is what all attempts at it may be expected to cost (x-headrace-max-cost), 0
	// being anything.
	Task    string
	MaxCost Nanodollars
	// HeldBy is the provider that itself holds what the request goes on from
	// (Responses); empty when the request brings its whole conversation. Whole
	// is the same request with that conversation written out, for every other
	// target; nil when nobody else has it.
	HeldBy string
	Whole  *Draft
	// MadeBy are the makers of the state in Raw, where the request is of a
	// dialect whose bytes are passed on: a provider that is not all of them
	// cannot take it as it is. The words say of each state by whom it is.
	MadeBy []string
	// Words says that the answer is to be read in words, although its bytes could
	// be passed on.
	Words bool
	// Session is the same for the requests of one conversation, as far as the
	// client says so; empty when it does not.
	Session string
	// Credential is the index of the provider's credential that this attempt is
	// sent with.
	Credential int
	// Trace is the request's place in a trace, nil when nobody is told; Attempt
	// is which attempt of the request this is, from 1.
	Trace   *Trace
	Attempt int
	Edits   []Edit
	lazy    *lazy
}

type lazy struct {
	decode  func([]byte) (*Request, error)
	embed   func([]byte) (*EmbedRequest, error)
	refine  func(*Request) *Request
	done    bool
	request *Request
	inputs  *EmbedRequest
	err     error
}

// NewDraft makes a Draft; decode is called at most once, on first demand.
func NewDraft(d Dialect, op Op, raw []byte, head Head, decode func([]byte) (*Request, error)) Draft {
	return Draft{Dialect: d, Op: op, Raw: raw, Head: head, lazy: &lazy{decode: decode}}
}

// Request decodes the body in full, once for all drafts made from this one.
// The edits are not applied to it; encoders read them from Edits.
func (d *Draft) Request() (*Request, error) {
	l := d.lazy
	if l == nil || l.decode == nil {
		return nil, Errorf(Unsupported, "a %s request cannot be decoded", d.Op)
	}
	if !l.done {
		l.request, l.err = l.decode(d.Raw)
		if l.err == nil && l.refine != nil {
			l.request = l.refine(l.request)
		}
		l.done = true
	}
	return l.request, l.err
}

// Decoded reports whether the words of a chat request have been read already, so
// that looking at them costs nothing.
func (d *Draft) Decoded() bool { return d.lazy != nil && d.lazy.done && d.lazy.request != nil }

// NewEmbedDraft makes a Draft of OpEmbed; decode is called at most once, on
// first demand.
func NewEmbedDraft(d Dialect, raw []byte, head Head, decode func([]byte) (*EmbedRequest, error)) Draft {
	return Draft{Dialect: d, Op: OpEmbed, Raw: raw, Head: head, lazy: &lazy{embed: decode}}
}

// Embed decodes the body of an OpEmbed request, once for all drafts made from
// this one. As with Request, the edits are not applied.
func (d *Draft) Embed() (*EmbedRequest, error) {
	l := d.lazy
	if l == nil || l.embed == nil {
		return nil, Errorf(Unsupported, "a %s request has no inputs to embed", d.Op)
	}
	if !l.done {
		l.inputs, l.err = l.embed(d.Raw)
		l.done = true
	}
	return l.inputs, l.err
}

// Refine has f complete the request once it is decoded, for all drafts made
// from this one: f returns it as it is, or a copy. It must come before Request.
func (d *Draft) Refine(f func(*Request) *Request) {
	if d.lazy != nil {
		d.lazy.refine = f
	}
}

// For gives the draft as a provider can take it: Whole where another one holds
// the conversation.
func (d *Draft) For(provider string) Draft {
	if d.Whole == nil || provider == d.HeldBy {
		return *d
	}
	whole := *d.Whole
	whole.Edits, whole.Trace = d.Edits, d.Trace
	return whole
}

// With returns the draft with one more edit.
func (d Draft) With(e Edit) Draft {
	d.Edits = append(d.Edits[:len(d.Edits):len(d.Edits)], e)
	return d
}

// Respelled returns the draft with other bytes that mean the same kind of
// request; they are decoded anew on demand.
func (d Draft) Respelled(raw []byte, head Head) Draft {
	d.Raw, d.Head = raw, head
	if d.lazy != nil {
		d.lazy = &lazy{decode: d.lazy.decode, embed: d.lazy.embed, refine: d.lazy.refine}
	}
	return d
}

// Edit returns the last edit of a kind.
func (d *Draft) Edit(k EditKind) (Edit, bool) {
	for i := len(d.Edits) - 1; i >= 0; i-- {
		if d.Edits[i].Kind == k {
			return d.Edits[i], true
		}
	}
	return Edit{}, false
}
