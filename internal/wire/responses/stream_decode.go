package responses

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// Types of the native deltas that a stream of this dialect carries for its own
// encoder, beside the types of the events that are passed whole.
const (
	nativeItem = "response.output_item.done"   // object: the finished item
	nativePart = "response.content_part.added" // a further part of a message begins
	nativeNote = "response.output_text.annotation.added"
)

// NewDecoder returns a decoder of one Responses stream.
func (Codec) NewDecoder() llm.StreamDecoder { return &decoder{} }

// decoder follows one stream. Items are told apart by their output_index, for
// ids may change within a stream or be missing; one block is open at a time,
// and what comes for items behind it waits.
type decoder struct {
	started, over bool
	items         []*item // in the order in which they were added
	current       int     // the first item that is not closed
	blocks        int     // blocks given
	held          []llm.Event
	f             frame
	room          []span.Member
	passed        bool // the stream is passed on: what the start carries is not asked for
	skim          bool // the items are not asked for any more
}

// item is an output item as it comes in.
type item struct {
	index     int64
	known     bool // head says what it is
	head      llm.BlockHead
	ext       []llm.Member
	begun     bool
	done      bool
	waiting   []llm.Event
	shown     part // the part that is being told
	told      bool // some part was
	arguments int  // bytes given
}

// part is a part of an item, and how many bytes of it were given.
type part struct {
	sort  llm.DeltaKind
	full  bool // of a thought: reasoning_text, not its summary
	index int64
	sent  int
}

// frame is one event's members, as they stand.
type frame struct {
	kind                                  string
	index, content, summary               int64
	delta, text, item, response, logprobs jsontext.Value
	arguments, input, refusal             jsontext.Value
	hasIndex, failed                      bool
}

// read reads a frame; ok is false when it is not JSON. Nearly all frames are
// strict JSON, which one scan validates and takes apart.
func (d *decoder) read(data, name []byte) (ok bool) {
	f := &d.f
	*f = frame{}
	var err error
	if d.room, err = span.Members(d.room[:0], data, nil); err == nil {
		for i := range d.room {
			m := &d.room[i]
			f.member(m.Name, data[m.Value.From:m.Value.To:m.Value.To])
		}
	} else {
		if !span.Valid(data) {
			return false
		}
		for k, v := range span.Fields(data) {
			f.member(string(k), v)
		}
	}
	if f.kind == "" {
		f.kind = string(name)
	}
	return true
}

func (f *frame) member(name string, v jsontext.Value) {
	switch name {
	case "type":
		f.kind = known(v)
	case "output_index":
		f.index, f.hasIndex = span.Integer(v)
	case "content_index":
		f.content, _ = span.Integer(v)
	case "summary_index":
		f.summary, _ = span.Integer(v)
	case "delta":
		f.delta = v
	case "text":
		f.text = v
	case "refusal":
		f.refusal = v
	case "arguments":
		f.arguments = v
	case "input":
		f.input = v
	case "item":
		f.item = v
	case "response":
		f.response = v
	case "logprobs":
		if span.IsArray(v) && !span.Blank(v) {
			f.logprobs = v
		}
	case "error":
		f.failed = !span.IsNull(v)
	}
}

// kinds are the types of most events, so that reading one costs no allocation.
var kinds = func() map[string]string {
	m := map[string]string{}
	for _, s := range []string{"response.created", "response.in_progress", "response.completed", "response.output_item.added",
		"response.output_item.done", "response.content_part.added", "response.content_part.done", "response.output_text.delta",
		"response.output_text.done", "response.function_call_arguments.delta", "response.function_call_arguments.done",
		"response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "response.reasoning_summary_part.added",
		"response.reasoning_summary_part.done", "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done",
		"response.reasoning_text.delta", "response.reasoning_text.done", "response.refusal.delta"} {
		m[`"`+s+`"`] = s
	}
	return m
}()

func known(v []byte) string {
	if s, ok := kinds[string(v)]; ok {
		return s
	}
	return span.Text(v)
}

var doneMark = []byte("[DONE]")

// Decode appends the events of one frame.
func (d *decoder) Decode(dst []llm.Event, name, data []byte) ([]llm.Event, error) {
	if d.over {
		return dst, nil
	}
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return append(dst, llm.Event{Kind: llm.EventPing}), nil
	}
	if bytes.HasPrefix(data, doneMark) { // not of this dialect, but some send it
		return d.Close(dst), nil
	}
	if !d.read(data, name) {
		return dst, forms.Malformed(llm.Responses, "a stream frame is not JSON", data)
	}
	if data[0] != '{' {
		if e := forms.ErrorIn(llm.Responses, data, 200); e != nil {
			return d.fail(dst, e), nil
		}
		return dst, forms.Malformed(llm.Responses, "a stream frame is not a JSON object", data)
	}
	f := &d.f
	if f.kind == "error" || string(name) == "error" || f.failed && f.response == nil {
		e := forms.ErrorIn(llm.Responses, data, 500)
		if e.Status = 0; e.Message == "" {
			e.Message = "the provider sent an error"
		}
		if again := forms.ErrorIn(llm.Responses, data, 200); again != nil {
			e = again
		}
		return d.fail(dst, e), nil
	}
	switch f.kind {
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		return d.end(dst, f), nil
	}
	if d.skim {
		return dst, nil
	}
	switch f.kind {
	case "response.created", "response.in_progress", "response.queued":
		return d.start(dst, f.response), nil
	case "response.output_item.added":
		return d.added(dst, f), nil
	case "response.output_item.done":
		return d.finished(dst, f), nil
	case "response.output_text.delta":
		return d.say(dst, f, part{sort: llm.DeltaText, index: f.content}, span.Text(f.delta), false), nil
	case "response.output_text.done":
		return d.say(dst, f, part{sort: llm.DeltaText, index: f.content}, span.Text(f.text), true), nil
	case "response.refusal.delta":
		return d.say(dst, f, part{sort: llm.DeltaRefusal, index: f.content}, span.Text(f.delta), false), nil
	case "response.refusal.done":
		return d.say(dst, f, part{sort: llm.DeltaRefusal, index: f.content}, span.Text(f.refusal), true), nil
	case "response.reasoning_summary_text.delta":
		return d.say(dst, f, part{sort: llm.DeltaReasoning, index: f.summary}, span.Text(f.delta), false), nil
	case "response.reasoning_summary_text.done":
		return d.say(dst, f, part{sort: llm.DeltaReasoning, index: f.summary}, span.Text(f.text), true), nil
	case "response.reasoning_text.delta":
		return d.say(dst, f, part{sort: llm.DeltaReasoning, full: true, index: f.content}, span.Text(f.delta), false), nil
	case "response.reasoning_text.done":
		return d.say(dst, f, part{sort: llm.DeltaReasoning, full: true, index: f.content}, span.Text(f.text), true), nil
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		return d.argue(dst, f, f.delta, false), nil
	case "response.function_call_arguments.done":
		return d.argue(dst, f, f.arguments, true), nil
	case "response.custom_tool_call_input.done":
		return d.argue(dst, f, f.input, true), nil
	case "response.content_part.added", "response.content_part.done", "response.reasoning_summary_part.added",
		"response.reasoning_summary_part.done", "response.reasoning_part.added", "response.reasoning_part.done":
		return dst, nil // the texts and the finished item say it all
	}
	return d.native(dst, f, data), nil
}

// Pass says that the stream is passed on as it is: what its start repeats of the
// request is not asked for.
func (d *decoder) Pass() { d.passed = true }

// Skim is Decode for a stream whose content has begun and is passed on as it
// is: it gives usage, finish and error, and not again what the last event
// repeats of the answer.
func (d *decoder) Skim(dst []llm.Event, name, data []byte) ([]llm.Event, error) {
	d.skim = true
	return d.Decode(dst, name, data)
}

func (d *decoder) fail(dst []llm.Event, e *llm.Error) []llm.Event {
	d.over = true
	return append(dst, llm.Event{Kind: llm.EventError, Err: e})
}

// push appends an event of this dialect, to be filled in: a literal in each
// place would lie on the stack as often.
func push(dst []llm.Event, kind llm.EventKind, from llm.Dialect) ([]llm.Event, *llm.Event) {
	dst = append(dst, llm.Event{})
	e := &dst[len(dst)-1]
	e.Kind, e.From = kind, from
	return dst, e
}

func (d *decoder) start(dst []llm.Event, response jsontext.Value) []llm.Event {
	if d.started {
		return dst
	}
	d.started = true
	dst, e := push(dst, llm.EventStart, llm.Responses)
	if !d.passed {
		var a answer
		a.read(response, func(name string, v jsontext.Value) {
			e.Ext = append(e.Ext, llm.Member{Name: name, Value: bytes.Clone(v)})
		})
		e.ID, e.Model, e.Created = a.id, a.model, a.created
	}
	dst = append(dst, d.held...)
	d.held = nil
	return dst
}

// find gives the item of a frame: by its output_index, else by its id, else
// the latest; nil when it was never added.
func (d *decoder) find(f *frame) *item {
	if f.hasIndex {
		for i := len(d.items) - 1; i >= 0; i-- {
			if d.items[i].index == f.index {
				return d.items[i]
			}
		}
		return nil
	}
	if n := len(d.items); n > 0 {
		return d.items[n-1]
	}
	return nil
}

// place gives the item of a frame, making one when it was never added.
func (d *decoder) place(f *frame) *item {
	if it := d.find(f); it != nil {
		return it
	}
	it := &item{index: f.index}
	if !f.hasIndex {
		it.index = int64(len(d.items))
	}
	d.items = append(d.items, it)
	return it
}

// give gives an event of an item, or keeps it until the item's turn.
func (d *decoder) give(dst []llm.Event, it *item, e llm.Event) []llm.Event {
	if it.begun {
		e.Index = d.blocks - 1
		return append(dst, e)
	}
	it.waiting = append(it.waiting, e)
	return dst
}

// learn takes from an item as it was sent what opens its block.
func (it *item) learn(raw jsontext.Value) {
	if it.known || !span.IsObject(raw) {
		return
	}
	raw = bytes.Clone(raw)
	read, problem := readItem(raw)
	if problem != "" && (read.Kind != llm.ItemToolCall || read.Call.Name == "" && read.Call.ID == "") && read.Kind != llm.ItemMessage {
		read = llm.Item{Kind: llm.ItemOpaque, Type: span.Text(span.Field(raw, "type"))}
	} else if problem != "" && read.Kind == llm.ItemToolCall {
		return // its name or id comes later
	}
	it.known = true
	it.head = llm.BlockHead{Kind: read.Kind}
	for _, m := range read.Ext {
		if m.Name != "status" && m.Name != "summary" {
			it.ext = append(it.ext, m)
		}
	}
	switch read.Kind {
	case llm.ItemReasoning:
		it.head.ID, it.head.Name = read.ID, read.Name
		if it.head.Name == "" && span.Field(raw, "encrypted_content") != nil {
			it.head.Name = llm.IssuerOpenAI
		}
	case llm.ItemToolCall:
		it.head.ID, it.head.Name, it.head.Custom = read.Call.ID, read.Call.Name, read.Call.Custom
		if read.ID != "" && read.ID != read.Call.ID {
			it.ext = append(it.ext, llm.Member{Name: "id", Value: span.Quote(nil, read.ID)})
		}
	case llm.ItemMessage:
		if read.ID != "" {
			it.ext = append(it.ext, llm.Member{Name: "id", Value: span.Quote(nil, read.ID)})
		}
	default:
		it.head.Kind, it.head.Type, it.head.Raw = llm.ItemOpaque, span.Text(span.Field(raw, "type")), raw
	}
}

func (d *decoder) added(dst []llm.Event, f *frame) []llm.Event {
	dst = d.start(dst, nil)
	it := d.find(f)
	if it == nil || it.done || it.known { // an index may be used again
		it = &item{index: f.index}
		d.items = append(d.items, it)
	}
	it.learn(f.item)
	return d.turn(dst)
}

// turn opens and closes blocks as far as it can: the first item that is not
// closed is open as soon as it is known.
func (d *decoder) turn(dst []llm.Event) []llm.Event {
	for d.current < len(d.items) {
		it := d.items[d.current]
		if !it.begun {
			if !it.known {
				if !it.done {
					return dst
				}
				d.current++ // never said what it was
				continue
			}
			it.begun = true
			d.blocks++
			var e *llm.Event
			dst, e = push(dst, llm.EventBlockStart, llm.Responses)
			e.Index, e.Block, e.Ext = d.blocks-1, it.head, it.ext
			for _, w := range it.waiting {
				if w.Delta.Kind == llm.DeltaArguments && it.head.Kind != llm.ItemToolCall {
					continue // came before the item said that it is no call
				}
				w.Index = d.blocks - 1
				dst = append(dst, w)
			}
			it.waiting = nil
		}
		if !it.done {
			return dst
		}
		var e *llm.Event
		dst, e = push(dst, llm.EventBlockStop, "")
		e.Index = d.blocks - 1
		d.current++
	}
	return dst
}

// itemOf is the kind of item that pieces of a kind belong to.
func itemOf(sort llm.DeltaKind) llm.ItemKind {
	switch sort {
	case llm.DeltaReasoning:
		return llm.ItemReasoning
	case llm.DeltaArguments:
		return llm.ItemToolCall
	}
	return llm.ItemMessage
}

// say adds a piece of a part, or, when whole is set, what is missing of it.
func (d *decoder) say(dst []llm.Event, f *frame, p part, s string, whole bool) []llm.Event {
	dst = d.start(dst, nil)
	it := d.place(f)
	if !it.known { // its opening was never sent
		it.known = true
		it.head.Kind = itemOf(p.sort)
		dst = d.turn(dst)
	}
	return d.tell(dst, it, p, s, whole, f.logprobs)
}

func (d *decoder) tell(dst []llm.Event, it *item, p part, s string, whole bool, logprobs jsontext.Value) []llm.Event {
	if it.done || it.head.Kind != itemOf(p.sort) {
		return dst
	}
	if it.told && (p.sort != it.shown.sort || p.full != it.shown.full || p.index != it.shown.index) {
		if p.sort == llm.DeltaReasoning && p.full != it.shown.full || p.index < it.shown.index {
			return dst // the same thought in other words, or a part that is over
		}
		var e llm.Event
		e.Kind, e.From = llm.EventDelta, llm.Responses
		if p.sort == llm.DeltaReasoning {
			e.Delta = llm.Delta{Kind: llm.DeltaReasoning, Type: nativePart, Text: gap}
		} else {
			e.Delta = llm.Delta{Kind: llm.DeltaNative, Type: nativePart, Raw: jsontext.Value("{}")}
		}
		dst = d.give(dst, it, e)
		it.shown = p
	}
	if !it.told {
		if s == "" {
			return dst // not said yet
		}
		it.told, it.shown = true, p
		if p.full && !it.begun {
			it.head.Type = typeContent
		} else if p.full {
			dst = d.give(dst, it, llm.Event{Kind: llm.EventDelta, From: llm.Responses,
				Delta: llm.Delta{Kind: llm.DeltaNative, Type: typeContent, Raw: jsontext.Value("{}")}})
		}
	}
	if whole {
		if len(s) <= it.shown.sent {
			return dst
		}
		s = s[it.shown.sent:]
	}
	if s == "" {
		return dst
	}
	it.shown.sent += len(s)
	var e llm.Event
	e.Kind = llm.EventDelta
	e.Delta.Kind, e.Delta.Text = p.sort, s
	if logprobs != nil {
		e.From = llm.Responses
		e.Ext = []llm.Member{{Name: "logprobs", Value: bytes.Clone(logprobs)}}
	}
	return d.give(dst, it, e)
}

// argue adds arguments of a call, or, when whole is set, what is missing of
// them.
func (d *decoder) argue(dst []llm.Event, f *frame, v jsontext.Value, whole bool) []llm.Event {
	dst = d.start(dst, nil)
	it := d.place(f)
	s := span.Text(v)
	if span.IsObject(v) {
		s = string(v)
	}
	return d.arguments(dst, it, s, whole)
}

func (d *decoder) arguments(dst []llm.Event, it *item, s string, whole bool) []llm.Event {
	if it.done || it.known && it.head.Kind != llm.ItemToolCall {
		return dst
	}
	if whole {
		if len(s) <= it.arguments {
			return dst
		}
		s = s[it.arguments:]
	}
	if s == "" {
		return dst
	}
	it.arguments += len(s)
	return d.give(dst, it, llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: s}})
}

func (d *decoder) finished(dst []llm.Event, f *frame) []llm.Event {
	dst = d.start(dst, nil)
	return d.close(dst, d.place(f), f.item)
}

// close ends an item with its finished form.
func (d *decoder) close(dst []llm.Event, it *item, raw jsontext.Value) []llm.Event {
	if it.done {
		return dst
	}
	it.learn(raw)
	dst = d.turn(dst) // opens it, if it is its turn
	return d.turn(d.whole(dst, it, raw))
}

// whole gives what a finished item has beyond what was streamed of it.
func (d *decoder) whole(dst []llm.Event, it *item, raw jsontext.Value) []llm.Event {
	read := readOutput(raw)
	switch it.head.Kind {
	case llm.ItemMessage:
		for i, p := range span.Elements(span.Field(raw, "content")) {
			switch span.Text(span.Field(p, "type")) {
			case "output_text", "text":
				dst = d.tell(dst, it, part{sort: llm.DeltaText, index: int64(i)}, span.Text(span.Field(p, "text")), true, nil)
			case "refusal":
				dst = d.tell(dst, it, part{sort: llm.DeltaRefusal, index: int64(i)}, span.Text(span.Field(p, "refusal")), true, nil)
			}
		}
	case llm.ItemReasoning:
		content := span.Field(raw, "content")
		full := span.IsArray(content) && !span.Blank(content)
		if it.told {
			full = it.shown.full
		}
		list := content
		if !full {
			list = span.Field(raw, "summary")
		}
		for i, p := range span.Elements(list) {
			dst = d.tell(dst, it, part{sort: llm.DeltaReasoning, full: full, index: int64(i)}, span.Text(span.Field(p, "text")), true, nil)
		}
		for _, o := range read.Opaque { // what was sent with the opening may be unfinished
			dst = d.give(dst, it, llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaOpaque, Opaque: o}})
		}
	case llm.ItemToolCall:
		dst = d.arguments(dst, it, string(read.Call.Arguments), true)
	}
	if span.IsObject(raw) {
		dst = d.give(dst, it, llm.Event{Kind: llm.EventDelta, From: llm.Responses,
			Delta: llm.Delta{Kind: llm.DeltaNative, Type: nativeItem, Raw: read.Raw}})
	}
	it.done = true
	return dst
}

// native passes an event that only this dialect has.
func (d *decoder) native(dst []llm.Event, f *frame, data []byte) []llm.Event {
	e := llm.Event{Kind: llm.EventDelta, From: llm.Responses,
		Delta: llm.Delta{Kind: llm.DeltaNative, Type: f.kind, Raw: bytes.Clone(data)}}
	if !d.started {
		d.held = append(d.held, e)
		return dst
	}
	if f.hasIndex {
		if it := d.find(f); it != nil && !it.done {
			return d.give(dst, it, e)
		}
	}
	e.Index = max(d.blocks-1, 0)
	return append(dst, e)
}

// end takes the terminal event, which holds the whole answer.
func (d *decoder) end(dst []llm.Event, f *frame) []llm.Event {
	dst = d.start(dst, f.response)
	var a answer
	var ext []llm.Member
	if d.skim {
		a.read(f.response, nil)
	} else {
		a.read(f.response, func(name string, v jsontext.Value) {
			ext = append(ext, llm.Member{Name: name, Value: bytes.Clone(v)})
		})
		for i, raw := range span.Elements(a.output) {
			if i == len(d.items) { // told nowhere else
				d.items = append(d.items, &item{index: int64(i)})
			}
			dst = d.close(dst, d.items[i], raw)
		}
		for _, it := range d.items {
			it.done = true
		}
		dst = d.turn(dst)
	}
	calls, refused, text := holds(a.output)
	for _, it := range d.items {
		calls = calls || it.begun && it.head.Kind == llm.ItemToolCall
		refused = refused || it.shown.sort == llm.DeltaRefusal
	}
	if span.IsObject(a.usage) {
		var e *llm.Event
		dst, e = push(dst, llm.EventUsage, llm.Responses)
		e.Usage = a.used()
	}
	if f.kind == "response.failed" {
		e := forms.ErrorIn(llm.Responses, f.response, 200)
		if e == nil {
			e = &llm.Error{Class: llm.ServerError, From: llm.Responses, Message: "the provider's answer failed"}
		}
		return d.fail(dst, e)
	}
	status := a.status
	if status == "" || status == "in_progress" {
		status = f.kind[len("response."):]
	}
	d.over = true
	dst, e := push(dst, llm.EventFinish, llm.Responses)
	e.Finish = readFinish(status, a.details, calls, refused, text)
	e.Ext = ext
	return dst
}

// Close says that the provider ended the stream.
func (d *decoder) Close(dst []llm.Event) []llm.Event {
	if d.over {
		return dst
	}
	why := "the provider's stream ended before its answer"
	if d.started {
		why = "the provider's stream was cut off"
	}
	return d.fail(dst, &llm.Error{Class: llm.MalformedUpstream, Message: why, From: llm.Responses})
}
