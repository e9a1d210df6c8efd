package responses

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
	"headrace/internal/wire/sse"
)

// NewEncoder returns an encoder of one Responses stream: created and
// in_progress once, items strictly one after another, each added and done,
// sequence numbers that rise by one, and exactly one terminal event, which
// holds the whole answer. A stream that breaks ends with response.failed:
// Codex does not see an error event.
func (Codec) NewEncoder(o llm.StreamOptions) llm.StreamEncoder { return &encoder{o: o} }

// Answer gives the response object that the stream will end with when ev, an
// EventFinish, is encoded. The last block must have been stopped.
func (e *encoder) Answer(ev *llm.Event) jsontext.Value {
	own := ev.From == llm.Responses
	if own && ev.Ext != nil {
		e.ext = ev.Ext
	}
	status, details := writeFinish(&ev.Finish, own, e.refused)
	return e.object(nil, status, details, failureIn(status))
}

// SetEcho replaces StreamOptions.Echo in what is still to come.
func (e *encoder) SetEcho(echo []llm.Member) { e.ext = echo }

type encoder struct {
	o             llm.StreamOptions
	id, model     string
	created       int64
	ext           []llm.Member // the echo of the request
	seq           int64
	started, over bool
	usage         llm.Usage
	usageOwn      bool
	calls         bool
	refused       bool
	n             int    // the output_index of the open item, or of the next
	output        []byte // the items that are done, with commas

	// The open item. inside says that its block is open, shown that it was
	// added on the wire.
	inside, shown, own bool
	kind               llm.ItemKind
	custom, full       bool
	itemExt            []llm.Member
	callID, name       string
	itemID             string
	opaque             []llm.Opaque
	final              jsontext.Value // the finished item, as a provider of this dialect sent it
	args               []byte

	// The open part of it, or of a thought the open paragraph.
	partOpen bool
	sort     llm.DeltaKind
	part     int
	head     []byte // a delta's frame up to its sequence number
	tail     []byte // what comes between that and the text
	text     []byte // all of the part so far
	parts    []byte // the parts that are done, with commas
	notes    []byte // the annotations of the open part, with commas
	noted    int
	cites    []jsontext.Value // another dialect's citations, which are told at the end of the part
	probs    []byte           // logprobs of the open part, with commas
}

// frame begins an event.
func (e *encoder) frame(dst []byte, kind string) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, kind...)
	dst = append(dst, "\ndata: {\"type\":\""...)
	dst = append(dst, kind...)
	dst = append(dst, `","sequence_number":`...)
	dst = strconv.AppendInt(dst, e.seq, 10)
	e.seq++
	return dst
}

const frameEnd = "}\n\n"

// Encode appends the bytes of one event.
func (e *encoder) Encode(dst []byte, ev llm.Event) []byte {
	if e.over {
		return dst
	}
	switch ev.Kind {
	case llm.EventDelta:
		return e.delta(e.begin(dst), &ev)
	case llm.EventStart:
		return e.start(dst, &ev)
	case llm.EventBlockStart:
		return e.block(e.stop(e.begin(dst)), &ev)
	case llm.EventBlockStop:
		return e.stop(dst)
	case llm.EventUsage:
		e.usage, e.usageOwn = ev.Usage, ev.From == llm.Responses
	case llm.EventPing:
		return sse.AppendComment(dst, "keep-alive")
	case llm.EventFinish:
		return e.finish(e.stop(e.begin(dst)), &ev)
	case llm.EventError:
		err := ev.Err
		if err == nil {
			err = llm.Errorf(llm.ServerError, "the stream failed")
		}
		return e.fail(e.begin(dst), err)
	}
	return dst
}

// begin writes the opening if it was not.
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
	e.id, e.model, e.created, e.ext = ev.ID, ev.Model, ev.Created, echo
	if e.id == "" {
		e.id = e.o.ID
	}
	if e.model == "" {
		e.model = e.o.Model
	}
	if e.created == 0 {
		e.created = e.o.Created
	}
	switch {
	case ev.From == llm.Responses:
		e.ext = ev.Ext
	case e.o.Echo != nil:
		e.ext = e.o.Echo
	}
	for _, kind := range [...]string{"response.created", "response.in_progress"} {
		dst = e.frame(dst, kind)
		dst = e.response(dst, "in_progress", nil, nil)
		dst = append(dst, frameEnd...)
	}
	return dst
}

// response appends the member of that name.
func (e *encoder) response(dst []byte, status string, details jsontext.Value, failure []byte) []byte {
	return e.object(append(dst, `,"response":`...), status, details, failure)
}

// object appends the response object as far as it is known.
func (e *encoder) object(dst []byte, status string, details jsontext.Value, failure []byte) []byte {
	o := span.Open(dst)
	appendEnvelope(&o, e.id, e.model, e.created, status, details, failure, e.ext)
	o.Name("output")
	o.B = append(o.B, '[')
	o.B = append(o.B, e.output...)
	o.B = append(o.B, ']')
	o.Name("usage")
	if e.usage.Source != "" && status != "in_progress" {
		o.B = appendUsage(o.B, &e.usage, e.usageOwn)
	} else {
		o.B = append(o.B, "null"...)
	}
	return o.Close()
}

func (e *encoder) finish(dst []byte, ev *llm.Event) []byte {
	e.over = true
	own := ev.From == llm.Responses
	if own && ev.Ext != nil {
		e.ext = ev.Ext
	}
	status, details := writeFinish(&ev.Finish, own, e.refused)
	kind := "response.completed"
	switch status {
	case "incomplete", "failed", "cancelled":
		kind = "response." + status
	}
	dst = e.frame(dst, kind)
	dst = e.response(dst, status, details, failureIn(status))
	return append(dst, frameEnd...)
}

// failureIn is the error member of an answer that its model has given up.
func failureIn(status string) []byte {
	if status == "failed" {
		return []byte(`{"code":"server_error","message":"the model failed"}`)
	}
	return nil
}

// fail ends a broken stream. The item that was open stays unfinished: a call
// that was cut is not to be made. What had been said of a message is shown.
func (e *encoder) fail(dst []byte, err *llm.Error) []byte {
	e.over = true
	if e.inside && e.shown && e.kind == llm.ItemMessage {
		seq := e.seq
		e.closePart(nil) // for its text alone: its end is not told
		e.seq = seq
		e.finished("incomplete")
	}
	dst = e.frame(dst, "response.failed")
	dst = e.response(dst, "failed", nil, failureOf(err))
	return append(dst, frameEnd...)
}

// failureOf gives the error member of a failed response.
func failureOf(err *llm.Error) []byte {
	code := failures[err.Class]
	if err.From == llm.Responses && err.Code != "" && err.Class != llm.Auth {
		code = err.Code // the provider's own word
	}
	if code == "" {
		code = "server_error"
	}
	message := span.Text(span.Field(forms.AppendError(nil, err), "message"))
	o := span.Open(nil)
	o.Str("code", code)
	o.Str("message", message)
	return o.Close()
}

// failures are the codes of a failed response that clients act upon; any other
// class is a server_error, which they try again.
var failures = map[llm.Class]string{
	llm.ContextOverflow: "context_length_exceeded",
	llm.RateLimited:     "rate_limit_exceeded",
	llm.QuotaExhausted:  "insufficient_quota",
	llm.Overloaded:      "server_is_overloaded",
	llm.ContentRefused:  "invalid_prompt",
	llm.InvalidRequest:  "invalid_prompt",
	llm.Unsupported:     "invalid_prompt",
	llm.TooLarge:        "context_length_exceeded",
}

// AppendStreamError appends the terminal event of a broken stream of which
// nothing else is known here: it stands behind everything, whatever its last
// sequence number was.
func (Codec) AppendStreamError(dst []byte, err *llm.Error) []byte {
	if err == nil {
		err = llm.Errorf(llm.ServerError, "the stream failed")
	}
	e := encoder{ext: echo, seq: 1<<31 - 1}
	return e.fail(dst, err)
}

func (e *encoder) block(dst []byte, ev *llm.Event) []byte {
	b := &ev.Block
	e.inside, e.shown, e.own = true, false, ev.From == llm.Responses
	e.kind, e.custom, e.full = b.Kind, b.Custom, e.own && b.Type == typeContent
	e.callID, e.name, e.itemID = b.ID, b.Name, ""
	e.itemExt, e.final, e.args, e.opaque = nil, nil, e.args[:0], append(e.opaque[:0], b.Opaque...)
	e.partOpen, e.part, e.parts = false, -1, e.parts[:0]
	e.notes, e.noted, e.cites, e.probs = e.notes[:0], 0, e.cites[:0], e.probs[:0]
	if e.own {
		e.itemExt = ev.Ext
		for i := range ev.Ext {
			if ev.Ext[i].Name == "id" {
				e.itemID = span.Text(ev.Ext[i].Value)
			}
		}
		if b.Kind == llm.ItemReasoning {
			e.itemID = b.ID
		}
	}
	switch b.Kind {
	case llm.ItemOpaque:
		if !e.own || len(b.Raw) == 0 {
			e.inside = false // nothing that this dialect could say
			return dst
		}
		e.final = bytes.Clone(b.Raw)
		return e.show(dst)
	case llm.ItemMessage:
		if !e.own {
			return dst // shown with its first text
		}
	case llm.ItemToolCall:
		e.calls = true
	}
	return e.show(dst)
}

var prefixes = map[llm.ItemKind]string{llm.ItemMessage: "msg_", llm.ItemReasoning: "rs_", llm.ItemToolCall: "fc_"}

// show adds the open item on the wire.
func (e *encoder) show(dst []byte) []byte {
	if e.shown {
		return dst
	}
	e.shown = true
	if e.itemID == "" {
		prefix := prefixes[e.kind]
		if e.custom {
			prefix = "ctc_"
		}
		e.itemID = itemID(prefix, e.id, e.n)
	}
	dst = e.frame(dst, "response.output_item.added")
	dst = append(dst, `,"output_index":`...)
	dst = strconv.AppendInt(dst, int64(e.n), 10)
	dst = append(dst, `,"item":`...)
	if e.kind == llm.ItemOpaque {
		dst = span.AppendFlat(dst, e.final)
	} else {
		dst = e.item(dst, "in_progress")
	}
	return append(dst, frameEnd...)
}

// item appends the open item as far as it is known.
func (e *encoder) item(dst []byte, status string) []byte {
	o := span.Open(dst)
	o.Str("id", e.itemID)
	switch {
	case e.kind == llm.ItemMessage:
		o.Str("type", "message")
		o.Str("status", status)
		o.Name("content")
		o.B = append(o.B, '[')
		o.B = append(o.B, e.parts...)
		o.B = append(o.B, ']')
		o.Str("role", "assistant")
	case e.kind == llm.ItemReasoning:
		o.Str("type", "reasoning")
		o.Name("summary")
		if e.full {
			o.B = append(o.B, "[]"...)
			o.Name("content")
		}
		o.B = append(o.B, '[')
		o.B = append(o.B, e.parts...)
		o.B = append(o.B, ']')
		if data := carried(e.opaque, e.own); data != "" && status != "in_progress" {
			o.Str("encrypted_content", data)
		}
	case e.custom:
		o.Str("type", "custom_tool_call")
		o.Str("status", status)
		o.Str("call_id", e.callID)
		appendName(&o, e.name)
		o.Name("input")
		o.B = span.Quote(o.B, e.args)
	default:
		o.Str("type", "function_call")
		o.Str("status", status)
		o.Name("arguments")
		o.B = span.Quote(o.B, e.args)
		o.Str("call_id", e.callID)
		appendName(&o, e.name)
	}
	for i := range e.itemExt {
		if m := &e.itemExt[i]; m.Name != "id" {
			o.Name(m.Name)
			o.B = span.AppendFlat(o.B, m.Value)
		}
	}
	return o.Close()
}

// at appends the members that say where an event belongs.
func (e *encoder) at(dst []byte, index string, n int) []byte {
	dst = append(dst, `,"item_id":`...)
	dst = span.Quote(dst, e.itemID)
	dst = append(dst, `,"output_index":`...)
	dst = strconv.AppendInt(dst, int64(e.n), 10)
	if index != "" {
		dst = append(dst, `,"`...)
		dst = append(dst, index...)
		dst = append(dst, `":`...)
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return dst
}

// places are the event names of a part and the member that numbers it.
type places struct{ added, delta, done, closed, index, kind, text string }

var (
	textPlaces = places{"response.content_part.added", "response.output_text.delta", "response.output_text.done",
		"response.content_part.done", "content_index", "output_text", "text"}
	refusalPlaces = places{"response.content_part.added", "response.refusal.delta", "response.refusal.done",
		"response.content_part.done", "content_index", "refusal", "refusal"}
	summaryPlaces = places{"response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
		"response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "summary_index", "summary_text", "text"}
	contentPlaces = places{"response.content_part.added", "response.reasoning_text.delta", "response.reasoning_text.done",
		"response.content_part.done", "content_index", "reasoning_text", "text"}
)

func (e *encoder) places() *places {
	switch {
	case e.sort == llm.DeltaRefusal:
		return &refusalPlaces
	case e.sort == llm.DeltaReasoning && e.full:
		return &contentPlaces
	case e.sort == llm.DeltaReasoning:
		return &summaryPlaces
	}
	return &textPlaces
}

// openPart begins a part and builds what its deltas have in common.
func (e *encoder) openPart(dst []byte, sort llm.DeltaKind) []byte {
	dst = e.show(e.closePart(dst))
	e.partOpen, e.sort = true, sort
	e.part++
	e.text = e.text[:0]
	p := e.places()
	dst = e.at(e.frame(dst, p.added), p.index, e.part)
	dst = append(dst, `,"part":`...)
	dst = e.partValue(dst)
	dst = append(dst, frameEnd...)
	h := append(e.head[:0], "event: "...)
	h = append(h, p.delta...)
	h = append(h, "\ndata: {\"type\":\""...)
	h = append(h, p.delta...)
	e.head = append(h, `","sequence_number":`...)
	e.tail = append(e.at(e.tail[:0], p.index, e.part), `,"delta":`...)
	return dst
}

// partValue appends the open part with all that was said in it.
func (e *encoder) partValue(dst []byte) []byte {
	p := e.places()
	o := span.Open(dst)
	o.Str("type", p.kind)
	if e.sort == llm.DeltaText {
		o.Name("annotations")
		o.B = append(o.B, '[')
		o.B = append(o.B, e.notes...)
		o.B = append(o.B, ']')
		o.Name("logprobs")
		o.B = append(o.B, '[')
		o.B = append(o.B, e.probs...)
		o.B = append(o.B, ']')
	}
	o.Name(p.text)
	o.B = span.Quote(o.B, e.text)
	return o.Close()
}

// closePart ends the open part.
func (e *encoder) closePart(dst []byte) []byte {
	if !e.partOpen {
		return dst
	}
	for _, c := range e.cites {
		dst = e.note(dst, appendCitation(nil, c, utf8.RuneCount(e.text)))
	}
	p := e.places()
	dst = e.at(e.frame(dst, p.done), p.index, e.part)
	if e.sort == llm.DeltaText {
		dst = append(dst, `,"logprobs":[`...)
		dst = append(dst, e.probs...)
		dst = append(dst, ']')
	}
	dst = append(dst, `,"`...)
	dst = append(dst, p.text...)
	dst = append(dst, `":`...)
	dst = span.Quote(dst, e.text)
	dst = append(dst, frameEnd...)
	dst = e.at(e.frame(dst, p.closed), p.index, e.part)
	dst = append(dst, `,"part":`...)
	from := len(dst)
	dst = e.partValue(dst)
	if len(e.parts) > 0 {
		e.parts = append(e.parts, ',')
	}
	e.parts = append(e.parts, dst[from:]...)
	e.partOpen = false
	e.notes, e.noted, e.cites, e.probs = e.notes[:0], 0, e.cites[:0], e.probs[:0]
	return append(dst, frameEnd...)
}

// note tells an annotation of the open part.
func (e *encoder) note(dst, annotation []byte) []byte {
	if len(annotation) == 0 {
		return dst
	}
	dst = e.at(e.frame(dst, nativeNote), "content_index", e.part)
	dst = append(dst, `,"annotation_index":`...)
	dst = strconv.AppendInt(dst, int64(e.noted), 10)
	dst = append(dst, `,"annotation":`...)
	dst = span.AppendFlat(dst, annotation)
	if e.noted > 0 {
		e.notes = append(e.notes, ',')
	}
	e.noted++
	e.notes = span.AppendFlat(e.notes, annotation)
	return append(dst, frameEnd...)
}

func (e *encoder) delta(dst []byte, ev *llm.Event) []byte {
	d := &ev.Delta
	switch d.Kind {
	case llm.DeltaNative:
		return e.native(dst, ev)
	case llm.DeltaArguments:
		return e.arguments(dst, d.Text)
	case llm.DeltaOpaque:
		if e.inside && e.kind == llm.ItemReasoning {
			e.remember(&d.Opaque)
		}
		return dst
	}
	want := itemOf(d.Kind)
	if !e.inside || e.kind != want {
		dst = e.block(e.stop(dst), &llm.Event{Block: llm.BlockHead{Kind: want}})
	}
	if d.Kind == llm.DeltaReasoning && d.Type == nativePart && ev.From == llm.Responses {
		return e.closePart(dst) // the next paragraph opens its own
	}
	if d.Text == "" {
		return dst
	}
	e.refused = e.refused || d.Kind == llm.DeltaRefusal
	if !e.partOpen || e.sort != d.Kind {
		dst = e.openPart(dst, d.Kind)
	}
	e.text = append(e.text, d.Text...)
	dst = append(dst, e.head...)
	dst = strconv.AppendInt(dst, e.seq, 10)
	e.seq++
	dst = append(dst, e.tail...)
	dst = span.Quote(dst, d.Text)
	if d.Kind == llm.DeltaText {
		dst = append(dst, `,"logprobs":[`...)
		if ev.From == llm.Responses {
			dst = e.logprobs(dst, ev.Ext)
		}
		dst = append(dst, ']')
	}
	return append(dst, frameEnd...)
}

// logprobs appends the elements of a delta's logprobs.
func (e *encoder) logprobs(dst []byte, ext []llm.Member) []byte {
	for i := range ext {
		if ext[i].Name != "logprobs" {
			continue
		}
		v := bytes.TrimSpace(ext[i].Value)
		inner := bytes.TrimSpace(v[1 : len(v)-1])
		dst = span.AppendFlat(dst, inner)
		if len(e.probs) > 0 {
			e.probs = append(e.probs, ',')
		}
		e.probs = span.AppendFlat(e.probs, inner)
	}
	return dst
}

// remember keeps the state of a thought; it replaces what the same issuer gave
// before.
func (e *encoder) remember(o *llm.Opaque) {
	for i := range e.opaque {
		if e.opaque[i].Issuer == o.Issuer && e.opaque[i].Kind == o.Kind {
			e.opaque[i] = *o
			return
		}
	}
	e.opaque = append(e.opaque, *o)
}

func (e *encoder) argumentEvents() (delta, done, member string) {
	if e.custom {
		return "response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "input"
	}
	return "response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments"
}

func (e *encoder) arguments(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	if !e.inside || e.kind != llm.ItemToolCall {
		return e.fail(dst, llm.Errorf(llm.MalformedUpstream, "tool input without its call"))
	}
	if len(e.args) == 0 {
		delta, _, _ := e.argumentEvents()
		h := append(e.head[:0], "event: "...)
		h = append(h, delta...)
		h = append(h, "\ndata: {\"type\":\""...)
		h = append(h, delta...)
		e.head = append(h, `","sequence_number":`...)
		e.tail = append(e.at(e.tail[:0], "", 0), `,"delta":`...)
	}
	e.args = append(e.args, s...)
	dst = append(dst, e.head...)
	dst = strconv.AppendInt(dst, e.seq, 10)
	e.seq++
	dst = append(dst, e.tail...)
	dst = span.Quote(dst, s)
	return append(dst, frameEnd...)
}

// stop ends the open item.
func (e *encoder) stop(dst []byte) []byte {
	if !e.inside {
		return dst
	}
	if !e.shown { // a message that never said anything
		e.inside = false
		return dst
	}
	dst = e.closePart(dst)
	if e.kind == llm.ItemToolCall {
		if len(e.args) == 0 && !e.own && !e.custom {
			dst = e.arguments(dst, "{}") // "" is no JSON, and clients parse it
		}
		_, done, member := e.argumentEvents()
		dst = e.at(e.frame(dst, done), "", 0)
		dst = append(dst, `,"`...)
		dst = append(dst, member...)
		dst = append(dst, `":`...)
		dst = span.Quote(dst, e.args)
		if !e.custom {
			_, name := llm.Namespace(e.name)
			dst = append(dst, `,"name":`...)
			dst = span.Quote(dst, name)
		}
		dst = append(dst, frameEnd...)
	}
	dst = e.frame(dst, "response.output_item.done")
	dst = append(dst, `,"output_index":`...)
	dst = strconv.AppendInt(dst, int64(e.n), 10)
	dst = append(dst, `,"item":`...)
	dst = append(dst, e.finished("completed")...)
	return append(dst, frameEnd...)
}

// finished puts the open item into the output, and gives its bytes.
func (e *encoder) finished(status string) []byte {
	if len(e.output) > 0 {
		e.output = append(e.output, ',')
	}
	from := len(e.output)
	if e.final != nil && status == "completed" {
		e.output = span.AppendFlat(e.output, e.final)
	} else {
		e.output = e.item(e.output, status)
	}
	e.inside = false
	e.n++
	return e.output[from:]
}

// native writes what a decoder of this dialect carried, and reads what other
// dialects say of the open text.
func (e *encoder) native(dst []byte, ev *llm.Event) []byte {
	d := &ev.Delta
	switch ev.From {
	case llm.Responses:
		switch d.Type {
		case nativeItem:
			if e.inside {
				e.final = d.Raw
			}
		case nativePart:
			if e.inside {
				return e.closePart(dst)
			}
		case typeContent:
			e.full = e.full || !e.partOpen && e.part < 0
		case nativeNote:
			if e.inside && e.kind == llm.ItemMessage {
				if !e.partOpen {
					dst = e.openPart(dst, llm.DeltaText)
				}
				return e.note(dst, span.Field(d.Raw, "annotation"))
			}
		default:
			return e.pass(dst, d)
		}
	case llm.Anthropic:
		if c := span.Field(d.Raw, "citation"); d.Type == "citations_delta" && e.inside && e.kind == llm.ItemMessage && span.IsObject(c) {
			e.cites = append(e.cites, bytes.Clone(c))
		}
	case llm.OpenAI:
		if e.inside && e.kind == llm.ItemMessage {
			for _, c := range span.Elements(span.Field(d.Raw, "annotations")) {
				e.cites = append(e.cites, bytes.Clone(c))
			}
		}
	}
	return dst
}

// pass writes an event of this dialect as it came, but for its numbers, which
// are this stream's.
func (e *encoder) pass(dst []byte, d *llm.Delta) []byte {
	if d.Type == "" || !span.IsObject(d.Raw) || strings.ContainsFunc(d.Type, func(r rune) bool {
		return !(r == '.' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
	}) {
		return dst // not the name of an event
	}
	dst = e.frame(dst, d.Type)
	for k, v := range span.Fields(d.Raw) {
		switch string(k) {
		case "type", "sequence_number", "obfuscation":
			continue
		case "output_index":
			if e.inside {
				v = strconv.AppendInt(nil, int64(e.n), 10)
			}
		}
		dst = append(dst, ',')
		dst = span.Quote(dst, k)
		dst = append(dst, ':')
		dst = span.AppendFlat(dst, v)
	}
	return append(dst, frameEnd...)
}
