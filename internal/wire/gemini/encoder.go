package gemini

import (
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// NewEncoder writes one stream of generateContent answers: data lines of one
// line of JSON each and nothing else, since Google's SDKs read a comment or an
// event name as an error; or, when the client asked without alt=sse, one JSON
// array that grows. A call is written whole, when its block ends. The usage and
// the finish reason stand in the last frame.
func (c Codec) NewEncoder(o llm.StreamOptions) llm.StreamEncoder {
	o.Array = o.Array || c.Array
	return &encoder{o: o}
}

type encoder struct {
	o         llm.StreamOptions
	ended     bool
	frames    int
	id, model string
	// tail is `,"modelVersion":...,"responseId":...}`, the same in each frame.
	tail []byte
	// inside says that a block of the events is open: its number, what it is,
	// what it was opened with.
	inside  bool
	index   int
	head    llm.BlockHead
	from    llm.Dialect
	opaque  []llm.Opaque
	held    []byte // text or arguments that wait for the block's end
	spoke   bool   // some text of the block has been written
	calls   int
	refusal bool

	outer     []llm.Member
	usage     llm.Usage
	usageFrom llm.Dialect
}

// Encode implements llm.StreamEncoder.
func (e *encoder) Encode(dst []byte, ev llm.Event) []byte {
	if e.ended {
		return dst
	}
	switch ev.Kind {
	case llm.EventStart:
		if e.id == "" {
			e.id = ev.ID
		}
		if e.model == "" {
			e.model = ev.Model
		}
		if ev.From == llm.Gemini && e.frames == 0 {
			e.outer = ev.Ext
		}
		if ev.Usage.Source != "" && e.usage.Source == "" {
			e.usage, e.usageFrom = ev.Usage, ev.From
		}
	case llm.EventUsage:
		e.usage, e.usageFrom = ev.Usage, ev.From
	case llm.EventBlockStart:
		dst = e.start(e.stop(dst), &ev)
	case llm.EventDelta:
		return e.delta(dst, &ev)
	case llm.EventBlockStop:
		if e.inside && ev.Index == e.index {
			return e.stop(dst)
		}
	case llm.EventFinish:
		return e.finish(e.stop(dst), &ev)
	case llm.EventError:
		e.ended = true
		return appendStreamError(dst, ev.Err, e.o.Array, e.frames > 0)
	}
	return dst
}

// begin opens a frame.
func (e *encoder) begin(dst []byte) []byte {
	if e.tail == nil {
		id, model := e.id, e.model
		if id == "" {
			id = e.o.ID
		}
		if model == "" {
			model = e.o.Model
		}
		b := make([]byte, 0, 64+len(id)+len(model))
		if model != "" {
			b = span.Quote(append(b, `,"modelVersion":`...), model)
		}
		if id != "" {
			b = span.Quote(append(b, `,"responseId":`...), id)
		}
		e.tail = append(b, '}')
	}
	switch {
	case !e.o.Array:
		dst = append(dst, "data: "...)
	case e.frames == 0:
		dst = append(dst, '[')
	default:
		dst = append(dst, ",\r\n"...)
	}
	e.frames++
	return dst
}

// end closes a frame whose JSON object is open.
func (e *encoder) end(b []byte) []byte {
	if e.frames == 1 {
		for i := range e.outer {
			m := &e.outer[i]
			b = append(span.Quote(comma(b), m.Name), ':')
			b = flat(b, m.Value)
		}
	}
	b = append(b, e.tail...)
	if !e.o.Array {
		b = append(b, "\r\n\r\n"...)
	}
	return b
}

const (
	opening = `{"candidates":[{"content":{"parts":[`
	closing = `],"role":"model"},"index":0}]`
)

// part opens a frame that holds one part, up to the part's text.
func (e *encoder) part(dst []byte) []byte { return append(e.begin(dst), opening...) }

func (e *encoder) close(b []byte) []byte { return e.end(append(b, closing...)) }

func (e *encoder) start(dst []byte, ev *llm.Event) []byte {
	e.inside, e.index, e.head, e.from = true, ev.Index, ev.Block, ev.From
	e.opaque, e.held, e.spoke = ev.Block.Opaque, e.held[:0], false
	if e.head.Kind == llm.ItemOpaque && e.from == llm.Gemini && len(e.head.Raw) > 0 {
		return e.close(flat(e.part(dst), e.head.Raw))
	}
	return dst
}

func (e *encoder) delta(dst []byte, ev *llm.Event) []byte {
	d := &ev.Delta
	if d.Kind == llm.DeltaNative {
		return e.native(dst, ev)
	}
	want := llm.ItemMessage
	switch d.Kind {
	case llm.DeltaReasoning:
		want = llm.ItemReasoning
	case llm.DeltaArguments:
		want = llm.ItemToolCall
	case llm.DeltaOpaque:
		want = llm.ItemReasoning
		if e.inside && ev.Index == e.index {
			want = e.head.Kind
		}
	}
	if !e.inside || ev.Index != e.index || e.head.Kind != want {
		if d.Kind == llm.DeltaArguments {
			e.ended = true
			return appendStreamError(dst, llm.Errorf(llm.MalformedUpstream, "tool input without its call"), e.o.Array, e.frames > 0)
		}
		dst = e.start(e.stop(dst), &llm.Event{Index: ev.Index, Block: llm.BlockHead{Kind: want}})
	}
	switch {
	case d.Kind == llm.DeltaOpaque:
		for i := range e.opaque {
			if e.opaque[i].Issuer == d.Opaque.Issuer && e.opaque[i].Kind == d.Opaque.Kind {
				now := append([]llm.Opaque(nil), e.opaque...)
				now[i] = d.Opaque
				e.opaque = now
				return dst
			}
		}
		e.opaque = append(e.opaque[:len(e.opaque):len(e.opaque)], d.Opaque)
		return dst
	case d.Text == "":
		return dst
	case d.Kind == llm.DeltaArguments, len(e.opaque) > 0:
		e.held = append(e.held, d.Text...) // it goes out with its signature, or whole
		return dst
	}
	e.refusal = e.refusal || d.Kind == llm.DeltaRefusal
	return e.text(dst, d.Text)
}

// text writes a frame of plain text.
func (e *encoder) text(dst []byte, s string) []byte {
	e.spoke = true
	b := append(e.part(dst), `{"text":`...)
	b = span.Quote(b, s)
	if e.head.Kind == llm.ItemReasoning {
		b = append(b, `,"thought":true`...)
	}
	return e.close(append(b, '}'))
}

// native writes what only this dialect says.
func (e *encoder) native(dst []byte, ev *llm.Event) []byte {
	raw := ev.Delta.Raw
	if ev.From != llm.Gemini || len(raw) == 0 {
		return dst
	}
	switch ev.Delta.Type {
	case "part":
		return e.close(flat(e.part(dst), raw))
	case "candidates":
		b := append(e.begin(dst), `{"candidates":`...)
		return e.end(flat(b, raw))
	case "candidate":
		b := append(e.begin(dst), `{"candidates":[{"index":0`...)
		for o := span.ReadObject(raw); o.Next(); {
			b = append(append(append(b, ','), o.Quoted()...), ':')
			b = flat(b, o.Val)
		}
		return e.end(append(b, "}]"...))
	}
	return dst
}

// stop closes the open block: a call goes out, and so does state.
func (e *encoder) stop(dst []byte) []byte {
	if !e.inside {
		return dst
	}
	e.inside = false
	switch e.head.Kind {
	case llm.ItemToolCall:
		id := e.head.ID
		if id == "" {
			id = madeID(e.id, 0, e.calls, e.head.Name)
		}
		e.calls++
		it := llm.Item{Call: llm.Call{Arguments: e.held, Custom: e.head.Custom}}
		b := appendFlatCall(e.part(dst), &it, id, e.head.Name)
		return e.close(append(appendSignature(b, e.opaque), '}'))
	case llm.ItemMessage, llm.ItemReasoning:
		if len(e.held) == 0 && !hasState(e.opaque) {
			return dst
		}
		b := append(e.part(dst), `{"text":`...)
		b = span.Quote(b, e.held)
		if e.head.Kind == llm.ItemReasoning {
			b = append(b, `,"thought":true`...)
		}
		return e.close(append(appendSignature(b, e.opaque), '}'))
	}
	return dst
}

// appendFlatCall writes a call on one line, without the closing brace.
func appendFlatCall(b []byte, it *llm.Item, id, name string) []byte {
	from := len(b)
	b = appendCall(b, it, id, name, "")
	for i := from; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			b[i] = ' '
		}
	}
	return b[:len(b)-1]
}

func (e *encoder) finish(dst []byte, ev *llm.Event) []byte {
	e.ended = true
	own := ev.From == llm.Gemini
	f := &ev.Finish
	b := append(e.begin(dst), '{')
	if own && isBlock(f) {
		// A blocked prompt has no candidates.
		return e.last(b, ev)
	}
	b = append(b, `"candidates":[{"content":{"parts":[{"text":""}],"role":"model"}`...)
	b = appendFinish(b, finishReason(f, ev.From, e.refusal))
	b = append(b, `,"index":0`...)
	if own {
		for i := range ev.Ext {
			if name, ok := strings.CutPrefix(ev.Ext[i].Name, "candidate."); ok {
				b = append(span.Quote(comma(b), name), ':')
				b = flat(b, ev.Ext[i].Value)
			}
		}
	}
	return e.last(append(b, "}]"...), ev)
}

// last closes the last frame, with the usage in it.
func (e *encoder) last(b []byte, ev *llm.Event) []byte {
	if ev.From == llm.Gemini {
		for i := range ev.Ext {
			if m := &ev.Ext[i]; !strings.HasPrefix(m.Name, "candidate.") && (e.frames > 1 || !has(e.outer, m.Name)) {
				b = append(span.Quote(comma(b), m.Name), ':')
				b = flat(b, m.Value)
			}
		}
	}
	u := e.usage
	if u.Source == "" {
		u.Input = e.o.PromptEstimate
	}
	b = appendUsage(key(b, "usageMetadata"), &u, e.usageFrom == llm.Gemini)
	b = e.end(b)
	if e.o.Array {
		b = append(b, ']')
	}
	return b
}

func has(ms []llm.Member, name string) bool {
	for i := range ms {
		if ms[i].Name == name {
			return true
		}
	}
	return false
}
