package anthropic

import (
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// NewEncoder writes one Messages stream: message_start once, blocks strictly
// one after another with indexes of its own, message_delta with the stop
// reason and all of the usage, message_stop. A text block is opened with its
// first byte of text, so there is never an empty one. Tool input whose call
// was never opened, or is closed, ends the stream with an error event, since
// it could only be shown wrong.
func (Codec) NewEncoder(o llm.StreamOptions) llm.StreamEncoder { return &encoder{o: o} }

type encoder struct {
	o              llm.StreamOptions
	started, ended bool
	id             string
	// inside says that a block of the events is open: its number, what it is,
	// and whether it has been opened on the wire (shown) as block number wire.
	inside bool
	index  int
	head   llm.BlockHead
	from   llm.Dialect
	ext    []llm.Member
	shown  bool
	wire   int
	// signature is what a thinking block will be closed with; custom says
	// that the quote around a custom tool's text is open.
	signature string
	foreign   []llm.Opaque
	custom    bool

	calls, refusal bool
	usage          llm.Usage
	usageFrom      llm.Dialect
}

// Encode implements llm.StreamEncoder.
func (e *encoder) Encode(dst []byte, ev llm.Event) []byte {
	if e.ended {
		return dst
	}
	switch ev.Kind {
	case llm.EventStart:
		return e.start(dst, &ev)
	case llm.EventPing:
		return append(dst, "event: ping\ndata: {\"type\":\"ping\"}\n\n"...)
	case llm.EventUsage:
		e.usage, e.usageFrom = ev.Usage, ev.From
		return dst
	case llm.EventBlockStart:
		return e.blockStart(e.stop(e.begin(dst)), &ev)
	case llm.EventDelta:
		return e.delta(e.begin(dst), &ev)
	case llm.EventBlockStop:
		if e.inside && ev.Index == e.index {
			return e.stop(dst)
		}
		return dst
	case llm.EventFinish:
		return e.finish(e.stop(e.begin(dst)), &ev)
	case llm.EventError:
		e.ended = true
		return Codec{}.AppendStreamError(dst, ev.Err)
	}
	return dst
}

// begin writes message_start if it was not.
func (e *encoder) begin(dst []byte) []byte {
	if e.started {
		return dst
	}
	return e.start(dst, &llm.Event{Kind: llm.EventStart})
}

func (e *encoder) start(dst []byte, ev *llm.Event) []byte {
	if e.started {
		return dst
	}
	e.started = true
	e.id = ev.ID
	if e.id == "" {
		e.id = e.o.ID
	}
	model := ev.Model
	if model == "" {
		model = e.o.Model
	}
	if e.id == "" {
		e.id = "msg_" + hash(model+"\x00"+strconv.FormatInt(max(ev.Created, e.o.Created), 10))
	}
	b := append(dst, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"...)
	b = span.Quote(b, e.id)
	b = append(b, `,"type":"message","role":"assistant","model":`...)
	b = span.Quote(b, model)
	b = append(b, `,"content":[],"stop_reason":null,"stop_sequence":null`...)
	own := ev.From == llm.Anthropic
	details, container, diagnostics := false, false, false
	if own {
		for _, m := range ev.Ext {
			details = details || m.Name == "stop_details"
			container = container || m.Name == "container"
			diagnostics = diagnostics || m.Name == "diagnostics"
			b = appendFlat(key(b, m.Name), m.Value)
		}
	}
	if !details {
		b = append(b, `,"stop_details":null`...)
	}
	if !container {
		b = append(b, `,"container":null`...)
	}
	if !diagnostics {
		b = append(b, `,"diagnostics":null`...)
	}
	u := ev.Usage
	if u.Source == "" {
		// Claude Code reads the size of the prompt here, so an estimate is
		// better than nothing; message_delta brings the truth.
		u = llm.Usage{Input: e.o.PromptEstimate, Output: 1}
	} else if u.Output == 0 && !own {
		u.Output = 1
	}
	if e.usage.Source == "" && ev.Usage.Source != "" {
		e.usage, e.usageFrom = ev.Usage, ev.From
	}
	b = appendUsage(key(b, "usage"), &u, own)
	return append(b, "}}\n\n"...)
}

func (e *encoder) blockStart(dst []byte, ev *llm.Event) []byte {
	e.inside, e.index, e.head, e.from, e.ext = true, ev.Index, ev.Block, ev.From, ev.Ext
	e.shown, e.signature, e.foreign, e.custom = false, "", nil, false
	switch e.head.Kind {
	case llm.ItemReasoning:
		if _, ok := genuine(e.head.Opaque, llm.OpaqueRedacted); !ok {
			if s, ok := genuine(e.head.Opaque, llm.OpaqueSignature); ok {
				e.signature = s
			}
			for _, o := range e.head.Opaque {
				if o.Issuer != llm.IssuerAnthropic {
					e.foreign = append(e.foreign, o)
				}
			}
		}
		return e.show(dst)
	case llm.ItemToolCall:
		e.calls = true
		return e.show(dst)
	case llm.ItemOpaque:
		if e.from == llm.Anthropic && len(e.head.Raw) > 0 {
			return e.show(dst)
		}
	}
	return dst
}

// show opens the block on the wire.
func (e *encoder) show(dst []byte) []byte {
	if e.shown {
		return dst
	}
	e.shown = true
	b := append(dst, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"...)
	b = strconv.AppendInt(b, int64(e.wire), 10)
	b = append(b, `,"content_block":`...)
	switch e.head.Kind {
	case llm.ItemReasoning:
		if data, ok := genuine(e.head.Opaque, llm.OpaqueRedacted); ok {
			b = append(b, `{"type":"redacted_thinking","data":`...)
			b = span.Quote(b, data)
		} else {
			b = append(b, `{"type":"thinking","thinking":"","signature":""`...)
		}
	case llm.ItemToolCall:
		b = append(b, `{"type":"tool_use","id":`...)
		b = span.Quote(b, toolID(e.head.ID, e.id+"."+strconv.Itoa(e.index)))
		b = span.Quote(key(b, "name"), e.head.Name)
		b = append(b, `,"input":{}`...)
	case llm.ItemOpaque:
		b = appendFlat(b, e.head.Raw)
		return append(b, "}\n\n"...)
	default:
		b = append(b, `{"type":"text","text":""`...)
	}
	citations := false
	if e.from == llm.Anthropic {
		for _, m := range e.ext {
			citations = citations || m.Name == "citations"
			b = appendFlat(key(b, m.Name), m.Value)
		}
	}
	if e.head.Kind == llm.ItemMessage && !citations {
		b = append(b, `,"citations":null`...)
	}
	return append(b, "}}\n\n"...)
}

// piece opens a delta frame; the caller ends it.
func (e *encoder) piece(dst []byte) []byte {
	b := append(dst, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
	b = strconv.AppendInt(b, int64(e.wire), 10)
	return append(b, `,"delta":`...)
}

func (e *encoder) delta(dst []byte, ev *llm.Event) []byte {
	d := &ev.Delta
	want := llm.ItemMessage
	switch d.Kind {
	case llm.DeltaReasoning, llm.DeltaOpaque:
		want = llm.ItemReasoning
	case llm.DeltaArguments:
		want = llm.ItemToolCall
	case llm.DeltaNative:
		if !e.inside || ev.Index != e.index || ev.From != llm.Anthropic || len(d.Raw) == 0 {
			return dst
		}
		b := appendFlat(e.piece(e.show(dst)), d.Raw)
		return append(b, "}\n\n"...)
	}
	if d.Kind == llm.DeltaOpaque && e.inside && ev.Index == e.index && e.head.Kind != llm.ItemReasoning {
		return dst // state that belongs to no thinking has no place here
	}
	if !e.inside || ev.Index != e.index || e.head.Kind != want {
		if d.Kind == llm.DeltaArguments {
			e.ended = true
			return Codec{}.AppendStreamError(dst, llm.Errorf(llm.MalformedUpstream, "tool input without its call"))
		}
		dst = e.blockStart(e.stop(dst), &llm.Event{Index: ev.Index, Block: llm.BlockHead{Kind: want}})
	}
	switch d.Kind {
	case llm.DeltaOpaque:
		if d.Opaque.Issuer == llm.IssuerAnthropic && d.Opaque.Kind == llm.OpaqueSignature {
			e.signature = d.Opaque.Data
		} else if d.Opaque.Data != "" {
			e.foreign = append(e.foreign[:0:0], d.Opaque)
		}
		return dst
	case llm.DeltaReasoning:
		if d.Text == "" && len(ev.Ext) == 0 {
			return dst
		}
		b := append(e.piece(e.show(dst)), `{"type":"thinking_delta","thinking":`...)
		return e.end(span.Quote(b, d.Text), ev)
	case llm.DeltaArguments:
		if d.Text == "" {
			return dst
		}
		b := append(e.piece(e.show(dst)), `{"type":"input_json_delta","partial_json":`...)
		if e.head.Custom {
			s := string(span.Escape(nil, d.Text))
			if !e.custom {
				e.custom = true
				s = `{"input":"` + s
			}
			return e.end(span.Quote(b, s), ev)
		}
		return e.end(span.Quote(b, d.Text), ev)
	}
	if d.Text == "" {
		return dst
	}
	e.refusal = e.refusal || d.Kind == llm.DeltaRefusal
	b := append(e.piece(e.show(dst)), `{"type":"text_delta","text":`...)
	return e.end(span.Quote(b, d.Text), ev)
}

// end closes a delta frame, with the members that no word holds.
func (e *encoder) end(b []byte, ev *llm.Event) []byte {
	if ev.From == llm.Anthropic {
		for _, m := range ev.Ext {
			b = appendFlat(key(b, m.Name), m.Value)
		}
	}
	return append(b, "}}\n\n"...)
}

// stop closes the open block.
func (e *encoder) stop(dst []byte) []byte {
	if !e.inside {
		return dst
	}
	e.inside = false
	if !e.shown {
		return dst
	}
	b := dst
	if e.head.Kind == llm.ItemReasoning {
		s := e.signature
		if s == "" {
			s = foreignSignature(e.foreign)
		}
		if s != "" {
			b = append(e.piece(b), `{"type":"signature_delta","signature":`...)
			b = append(span.Quote(b, s), "}}\n\n"...)
		}
	}
	if e.head.Kind == llm.ItemToolCall && e.head.Custom {
		last := `"}`
		if !e.custom {
			last = `{"input":""}`
		}
		b = append(e.piece(b), `{"type":"input_json_delta","partial_json":`...)
		b = append(span.Quote(b, last), "}}\n\n"...)
	}
	b = append(b, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"...)
	b = strconv.AppendInt(b, int64(e.wire), 10)
	e.wire++
	return append(b, "}\n\n"...)
}

func (e *encoder) finish(dst []byte, ev *llm.Event) []byte {
	e.ended = true
	own := ev.From == llm.Anthropic
	if ev.Finish.Reason == llm.FinishFailed && !own {
		why := "the model failed"
		if ev.Finish.Native != "" {
			why += ": " + ev.Finish.Native
		}
		return Codec{}.AppendStreamError(dst, llm.Errorf(llm.ServerError, "%s", why))
	}
	b := append(dst, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
	b = appendStop(b, &ev.Finish, ev.From, e.calls, e.refusal)
	container := false
	if own {
		for _, m := range ev.Ext {
			if name, ok := strings.CutPrefix(m.Name, "delta."); ok {
				container = container || name == "container"
				b = appendFlat(key(b, name), m.Value)
			}
		}
	}
	if !container {
		b = append(b, `,"container":null`...)
	}
	b = append(b, '}')
	u := e.usage
	if u.Source == "" {
		u.Input = e.o.PromptEstimate
	}
	b = appendUsage(key(b, "usage"), &u, e.usageFrom == llm.Anthropic)
	if own {
		for _, m := range ev.Ext {
			if !strings.HasPrefix(m.Name, "delta.") {
				b = appendFlat(key(b, m.Name), m.Value)
			}
		}
	}
	return append(b, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
}

// appendFlat appends a JSON text on one line, as a stream's data line wants it:
// a line break in JSON can only stand between tokens, where a space does.
func appendFlat(dst, raw []byte) []byte {
	from := len(dst)
	dst = append(dst, raw...)
	for i := from; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}
