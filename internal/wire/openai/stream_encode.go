package openai

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
	"headrace/internal/wire/sse"
)

// NewEncoder returns an encoder of one Chat Completions stream.
func (Codec) NewEncoder(o llm.StreamOptions) llm.StreamEncoder {
	return &encoder{o: o, call: -1, thought: -1}
}

// encoder writes chunks. What all chunks of a stream share is built once, so
// that an event costs one append of its own text.
type encoder struct {
	o      llm.StreamOptions
	id     string
	model  string
	made   int64
	extras []byte // members that every chunk carries, each with its comma before it
	head   []byte // everything up to the members of delta
	tail   []byte // everything behind them, in a chunk that does not finish
	ready  bool   // head and tail are built
	role   bool   // the first chunk was written
	over   bool

	call     int // the latest tool call
	args     bool
	custom   bool
	legacy   bool
	foreign  bool
	thought  int // the latest thought
	talked   bool
	gap      bool
	field    string // the plain name of the open thought's text
	detail   string // the open thought's detail type, or "" for plain text alone
	format   string
	thoughtN []byte // the open thought's index, as digits
	kind     llm.ItemKind
	usage    llm.Usage

	said, from int              // characters of content in all, and before the open block
	cites      []jsontext.Value // web citations of the open block
}

func (e *encoder) build() {
	e.ready = true
	if e.id == "" {
		e.id = e.o.ID
	}
	if e.model == "" {
		e.model = e.o.Model
	}
	if e.made == 0 {
		e.made = e.o.Created
	}
	h := append(e.head[:0], `data: {"id":`...)
	h = span.Quote(h, e.id)
	h = append(h, `,"object":"chat.completion.chunk","created":`...)
	h = strconv.AppendInt(h, e.made, 10)
	h = append(h, `,"model":`...)
	h = span.Quote(h, e.model)
	h = append(h, e.extras...)
	e.head = append(h, `,"choices":[{"index":0,"delta":{`...)
	t := append(e.tail[:0], `},"logprobs":null,"finish_reason":null}]`...)
	if e.o.IncludeUsage {
		t = append(t, `,"usage":null`...)
	}
	e.tail = append(t, "}\n\n"...)
}

// open makes sure that the first chunk, which alone has the role, is written.
func (e *encoder) open(dst []byte) []byte {
	if !e.ready {
		e.build()
	}
	if e.role {
		return dst
	}
	e.role = true
	dst = append(dst, e.head...)
	dst = append(dst, `"role":"assistant","content":"","refusal":null`...)
	return append(dst, e.tail...)
}

// Encode appends the bytes of one event.
func (e *encoder) Encode(dst []byte, ev llm.Event) []byte {
	if e.over {
		return dst
	}
	switch ev.Kind {
	case llm.EventDelta:
		return e.delta(dst, &ev)
	case llm.EventStart:
		e.id, e.model, e.made = ev.ID, ev.Model, ev.Created
		e.ready = false
		return e.open(dst)
	case llm.EventBlockStart:
		return e.block(e.open(dst), &ev.Block, ev.From == llm.OpenAI)
	case llm.EventBlockStop:
		if e.kind == llm.ItemToolCall && !e.args && e.foreign && !e.custom {
			// A call without arguments: "" is no JSON, and clients parse it.
			dst = e.arguments(dst, "{}")
		}
		e.kind = ""
		if len(e.cites) > 0 {
			dst = e.annotations(dst)
		}
	case llm.EventUsage:
		e.usage = ev.Usage
		if ev.From != llm.OpenAI {
			e.usage.Raw = nil // in words that clients of this dialect do not know
		}
	case llm.EventPing:
		return sse.AppendComment(dst, "keep-alive")
	case llm.EventFinish:
		return e.finish(e.open(dst), ev.Finish, ev.From == llm.OpenAI)
	case llm.EventError:
		e.over = true
		err := ev.Err
		if err == nil {
			err = llm.Errorf(llm.ServerError, "the stream failed")
		}
		return Codec{}.AppendStreamError(dst, err)
	}
	return dst
}

func (e *encoder) finish(dst []byte, f llm.Finish, own bool) []byte {
	e.over = true
	dst = append(dst, e.head...)
	dst = append(dst, `},"logprobs":null,"finish_reason":`...)
	if e.call < 0 && f.Reason == llm.FinishToolCalls {
		f.Reason = llm.FinishStop
	}
	dst = span.Quote(dst, writeFinish(f, own, e.legacy))
	dst = append(dst, "}]"...)
	if e.o.IncludeUsage {
		dst = append(dst, `,"usage":null`...)
	}
	dst = append(dst, "}\n\n"...)
	if e.o.IncludeUsage && e.usage.Source != "" {
		dst = append(dst, e.head[:len(e.head)-len(`[{"index":0,"delta":{`)]...)
		dst = append(dst, `[],"usage":`...)
		dst = span.AppendFlat(dst, appendUsage(nil, e.usage))
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// annotations writes the web citations of the block that has ended, which is
// what they cover.
func (e *encoder) annotations(dst []byte) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, `"annotations":[`...)
	for i, c := range e.cites {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = urlCitation(dst, c, e.from, e.said)
	}
	e.cites = e.cites[:0]
	dst = append(dst, ']')
	return append(dst, e.tail...)
}

func (e *encoder) block(dst []byte, b *llm.BlockHead, own bool) []byte {
	e.kind, e.from, e.cites = b.Kind, e.said, e.cites[:0]
	switch b.Kind {
	case llm.ItemToolCall:
		e.call++
		e.args, e.custom, e.foreign = false, b.Custom, !own
		e.legacy = own && b.Type == typeLegacyCall
		dst = append(dst, e.head...)
		switch {
		case e.legacy:
			dst = append(dst, `"function_call":{"name":`...)
			dst = span.Quote(dst, b.Name)
			dst = append(dst, `,"arguments":""}`...)
			return append(dst, e.tail...)
		case b.Custom:
			dst = e.callHead(dst, b.ID, `,"type":"custom","custom":{"name":`)
			dst = span.Quote(dst, b.Name)
			dst = append(dst, `,"input":""}}]`...)
		default:
			dst = e.callHead(dst, b.ID, `,"type":"function","function":{"name":`)
			dst = span.Quote(dst, b.Name)
			dst = append(dst, `,"arguments":""}`...)
			if !own { // from our own dialect it comes as the provider gave it
				dst = appendCallState(dst, b.Opaque)
			}
			dst = append(dst, "}]"...)
		}
		return append(dst, e.tail...)
	case llm.ItemReasoning:
		e.thought++
		e.thoughtN = strconv.AppendInt(e.thoughtN[:0], int64(e.thought), 10)
		e.gap = e.talked
		e.field, e.detail, e.format = typeContent, "", b.Name
		switch {
		case !own:
			// Details are for thinking that its provider may sign, and until it
			// has done so they name no format.
			if b.Name != "" {
				e.detail, e.format = "reasoning.text", ""
			}
		case strings.HasPrefix(b.Type, "reasoning."):
			e.field, e.detail = typeReasoning, b.Type
			if e.format == "" {
				e.format = llm.IssuerUnknown
			}
		case b.Type == typeReasoning:
			e.field = typeReasoning
		}
		for _, o := range b.Opaque {
			dst = e.opaque(dst, o, b.ID)
		}
	}
	return dst
}

func (e *encoder) callHead(dst []byte, id, then string) []byte {
	dst = append(dst, `"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(e.call), 10)
	dst = append(dst, `,"id":`...)
	dst = span.Quote(dst, id)
	return append(dst, then...)
}

// callState writes the signature of the open call, which arrives behind its
// head.
func (e *encoder) callState(dst []byte, o llm.Opaque) []byte {
	state := appendCallState(nil, []llm.Opaque{o})
	if len(state) == 0 || !e.foreign {
		return dst
	}
	dst = append(dst, e.head...)
	dst = append(dst, `"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(e.call), 10)
	dst = append(dst, state...)
	dst = append(dst, "}]"...)
	return append(dst, e.tail...)
}

// opaque writes a signature or a redacted thought as a detail of its own.
func (e *encoder) opaque(dst []byte, o llm.Opaque, id string) []byte {
	if o.Data == "" {
		return dst
	}
	dst = append(dst, e.head...)
	if o.Kind == llm.OpaqueSignature {
		dst = append(dst, `"reasoning_details":[{"type":"reasoning.text","signature":`...)
	} else {
		dst = append(dst, `"reasoning_details":[{"type":"reasoning.encrypted","data":`...)
	}
	dst = span.Quote(dst, o.Data)
	if id != "" {
		dst = append(dst, `,"id":`...)
		dst = span.Quote(dst, id)
	}
	dst = append(dst, `,"format":`...)
	dst = span.Quote(dst, o.Issuer)
	dst = append(dst, `,"index":`...)
	dst = append(dst, e.thoughtN...)
	dst = append(dst, `}]`...)
	return append(dst, e.tail...)
}

func (e *encoder) delta(dst []byte, ev *llm.Event) []byte {
	d := &ev.Delta
	dst = e.open(dst)
	switch d.Kind {
	case llm.DeltaText:
		e.said += utf8.RuneCountInString(d.Text)
		dst = append(dst, e.head...)
		dst = append(dst, `"content":`...)
		dst = span.Quote(dst, d.Text)
		return append(dst, e.tail...)
	case llm.DeltaArguments:
		return e.arguments(dst, d.Text)
	case llm.DeltaReasoning:
		return e.reasoning(dst, d.Text)
	case llm.DeltaRefusal:
		dst = append(dst, e.head...)
		dst = append(dst, `"refusal":`...)
		dst = span.Quote(dst, d.Text)
		return append(dst, e.tail...)
	case llm.DeltaOpaque:
		if e.kind == llm.ItemToolCall {
			return e.callState(dst, d.Opaque)
		}
		return e.opaque(dst, d.Opaque, "")
	case llm.DeltaNative:
		switch {
		case ev.From == llm.OpenAI:
			return e.native(dst, d)
		case ev.From == llm.Responses && d.Type == "response.output_text.annotation.added" && e.kind == llm.ItemMessage:
			if c := span.Field(d.Raw, "annotation"); span.Text(span.Field(c, "url")) != "" {
				e.cites = append(e.cites, bytes.Clone(c))
			}
		case ev.From == llm.Anthropic && d.Type == "citations_delta" && e.kind == llm.ItemMessage:
			if c := span.Field(d.Raw, "citation"); span.Text(span.Field(c, "url")) != "" {
				e.cites = append(e.cites, bytes.Clone(c))
			}
		}
	}
	return dst
}

func (e *encoder) arguments(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	e.args = true
	dst = append(dst, e.head...)
	if e.legacy {
		dst = append(dst, `"function_call":{"arguments":`...)
		dst = span.Quote(dst, s)
		dst = append(dst, '}')
		return append(dst, e.tail...)
	}
	dst = append(dst, `"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(e.call), 10)
	if e.custom {
		dst = append(dst, `,"custom":{"input":`...)
	} else {
		dst = append(dst, `,"function":{"arguments":`...)
	}
	dst = span.Quote(dst, s)
	dst = append(dst, "}}]"...)
	return append(dst, e.tail...)
}

func (e *encoder) reasoning(dst []byte, s string) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, '"')
	dst = append(dst, e.field...)
	dst = append(dst, `":`...)
	if e.gap { // thoughts are paragraphs of the one plain text
		dst = span.Quote(dst, "\n\n"+s)
	} else {
		dst = span.Quote(dst, s)
	}
	e.gap, e.talked = false, true
	if e.detail != "" {
		dst = append(dst, `,"reasoning_details":[{"type":"`...)
		if e.detail == "reasoning.summary" {
			dst = append(dst, `reasoning.summary","summary":`...)
		} else {
			dst = append(dst, `reasoning.text","text":`...)
		}
		dst = span.Quote(dst, s)
		if e.format != "" {
			dst = append(dst, `,"format":`...)
			dst = span.Quote(dst, e.format)
		}
		dst = append(dst, `,"index":`...)
		dst = append(dst, e.thoughtN...)
		dst = append(dst, "}]"...)
	}
	return append(dst, e.tail...)
}

// native writes what a decoder of this dialect carried.
func (e *encoder) native(dst []byte, d *llm.Delta) []byte {
	inner := bytes.TrimSpace(d.Raw)
	if len(inner) < 2 || inner[0] != '{' {
		return dst
	}
	inner = inner[1 : len(inner)-1]
	switch d.Type {
	case nativeChunk:
		e.extras = span.AppendFlat(append(e.extras[:0], ','), inner)
		e.build()
	case nativeDelta:
		dst = append(dst, e.head...)
		dst = span.AppendFlat(dst, inner)
		return append(dst, e.tail...)
	case nativeChoice:
		dst = append(dst, e.head...)
		dst = append(dst, `},`...)
		dst = span.AppendFlat(dst, inner)
		return e.bare(dst, span.Field(d.Raw, "logprobs") == nil)
	case nativeChoices:
		dst = append(dst, e.head[:len(e.head)-len(`{"index":0,"delta":{`)]...)
		dst = span.AppendFlat(dst, d.Raw)
		dst = append(dst, ']')
		return e.bareEnd(dst)
	}
	return dst
}

func (e *encoder) bare(dst []byte, logprobs bool) []byte {
	if logprobs {
		dst = append(dst, `,"logprobs":null`...)
	}
	dst = append(dst, `,"finish_reason":null}]`...)
	return e.bareEnd(dst)
}

func (e *encoder) bareEnd(dst []byte) []byte {
	if e.o.IncludeUsage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}
