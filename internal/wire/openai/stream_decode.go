package openai

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// Types of the native deltas that a stream of this dialect carries for its own
// encoder.
const (
	nativeChunk   = "chat.chunk"   // object: top-level members from here on
	nativeChoice  = "chat.choice"  // object: members of the choice, beside delta
	nativeDelta   = "chat.delta"   // object: members of the delta
	nativeChoices = "chat.choices" // object: a whole choice of index 1 or more
)

// NewDecoder returns a decoder of one Chat Completions stream.
func (Codec) NewDecoder() llm.StreamDecoder { return &decoder{block: -1} }

type decoder struct {
	started, over bool
	seen          bool // a choice or usage was seen
	id            string
	created       int64
	block         int          // the open block, or -1
	next          int          // the index of the next block
	kind          llm.ItemKind // of the open block
	sort          llm.DeltaKind
	thought       string // the open thought's type
	detail        int    // the open thought's index
	current       int    // the first call that is not closed
	calls         []*call
	late          []late // text that came while calls were open
	finished      bool
	native        string
	refused       bool
	spoke         bool           // there was text
	filters       jsontext.Value // content_filter_results of the end
	usage         []byte
	tier          string // the last service tier that was named
	usageTier     string // the one that the usage was told with
	extras        []byte // members of the chunk that we have no word for
	scratch       []byte
	newExtras     bool
	held          []native // native deltas that wait for a block
	last          envelope
}

// native is a delta that only this dialect has.
type native struct {
	kind string
	raw  jsontext.Value
}

// late is what waits until the calls are whole; a reasoning detail waits as a
// DeltaNative, raw.
type late struct {
	kind  llm.DeltaKind
	field string
	text  string
}

// call is a tool call as it comes in.
type call struct {
	index          int64 // as the provider numbers it; meaningless without has
	has            bool
	id, name       string
	custom, legacy bool
	args           []byte // all so far
	sent           int    // how much of args was given out
	open, closed   bool
	depth          int
	quoted, escape bool
	whole          bool // args is a complete JSON value
	opaque         []llm.Opaque
}

// feed adds a piece of arguments and watches for the end of the JSON value.
func (c *call) feed(piece string) {
	c.args = append(c.args, piece...)
	if c.custom {
		return
	}
	for i := 0; i < len(piece); i++ {
		switch ch := piece[i]; {
		case c.escape:
			c.escape = false
		case c.quoted && ch == '\\':
			c.escape = true
		case ch == '"':
			c.quoted = !c.quoted
		case c.quoted:
		case ch == '{' || ch == '[':
			c.depth++
		case ch == '}' || ch == ']':
			if c.depth--; c.depth == 0 {
				c.whole = true
			}
		}
	}
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
	if bytes.HasPrefix(data, doneMark) {
		return d.end(dst, true), nil
	}
	if string(name) != "error" {
		if out, ok := d.again(dst, data); ok {
			return out, nil
		}
	}
	d.last.known = false
	if !span.Valid(data) {
		if d.finished { // the answer is whole; what comes after was cut off
			return dst, nil
		}
		return dst, forms.Malformed(llm.OpenAI, "a stream frame is not JSON", data)
	}
	if data[0] != '{' || string(name) == "error" {
		e := forms.ErrorIn(llm.OpenAI, data, 200)
		if e == nil {
			if string(name) != "error" {
				return dst, forms.Malformed(llm.OpenAI, "a stream frame is not a JSON object", data)
			}
			e = forms.ErrorIn(llm.OpenAI, data, 500)
		}
		if e == nil {
			e = forms.Malformed(llm.OpenAI, "the provider sent an error", data)
		}
		return d.fail(dst, e), nil
	}
	had := len(dst)
	dst, err := d.chunk(dst, data)
	if err == nil && len(dst) == had+1 && d.saying() {
		if e := &dst[had]; e.Kind == llm.EventDelta && e.Delta.Kind == llm.DeltaText {
			d.last.learn(data, e.Delta.Text)
		}
	}
	return dst, err
}

// push appends an event of this dialect, to be filled in. An event is large: a
// literal in each place would lie on the stack as often, and a stream's
// goroutine keeps the stack that its deepest call once needed.
func push(dst []llm.Event, kind llm.EventKind, from llm.Dialect) ([]llm.Event, *llm.Event) {
	dst = append(dst, llm.Event{})
	e := &dst[len(dst)-1]
	e.Kind, e.From = kind, from
	return dst, e
}

func pushNative(dst []llm.Event, index int, kind string, raw jsontext.Value) []llm.Event {
	dst, e := push(dst, llm.EventDelta, llm.OpenAI)
	e.Index = index
	e.Delta.Kind, e.Delta.Type, e.Delta.Raw = llm.DeltaNative, kind, raw
	return dst
}

// envelope is a frame that said a piece of text and nothing else, without the
// text: what stands before it and behind it. Nearly all frames of a stream are
// the same but for these words, and OpenAI's for the padding at their end.
type envelope struct {
	known                 bool
	before, behind, after []byte // after is what follows the padding, if there is some
	padded                bool
}

var (
	contentKey = []byte(`"content":"`)
	paddingKey = []byte(`"obfuscation":"`)
)

// learn takes the frame whose only event was the text.
func (v *envelope) learn(data []byte, said string) {
	i := bytes.Index(data, contentKey)
	if i < 0 || bytes.Contains(data[i+1:], contentKey) {
		return
	}
	i += len(contentKey)
	end := span.SkipString(data, i-1)
	if span.Text(data[i-1:end]) != said {
		return
	}
	behind, after, padded := bytes.Cut(data[end-1:], paddingKey)
	if padded {
		// The padding is letters and digits; what follows it is kept.
		n := bytes.IndexByte(after, '"')
		if n < 0 || bytes.Contains(after, paddingKey) {
			return
		}
		after = after[n:]
	}
	v.before, v.behind, v.after = append(v.before[:0], data[:i]...), append(v.behind[:0], behind...), append(v.after[:0], after...)
	v.known, v.padded = true, padded
}

// saying reports whether text would go into the block that is open.
func (d *decoder) saying() bool {
	return d.block >= 0 && d.kind == llm.ItemMessage && d.sort == llm.DeltaText && d.current >= len(d.calls)
}

// again decodes a frame that differs from the one before only in its text. ok
// is false for every other frame, and nothing has happened then.
func (d *decoder) again(dst []llm.Event, data []byte) (_ []llm.Event, ok bool) {
	v := &d.last
	if !v.known || !d.saying() || !bytes.HasPrefix(data, v.before) {
		return dst, false
	}
	from := len(v.before)
	i, escaped := from, false
	for ; i < len(data) && data[i] != '"'; i++ {
		switch c := data[i]; {
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return dst, false
		}
	}
	if i >= len(data) || !bytes.HasPrefix(data[i:], v.behind) {
		return dst, false
	}
	rest := data[i+len(v.behind):]
	if v.padded {
		rest, ok = bytes.CutPrefix(rest, paddingKey)
		n := 0
		for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] >= 'A' && rest[n] <= 'Z' || rest[n] >= 'a' && rest[n] <= 'z') {
			n++
		}
		rest = rest[n:]
		if !ok {
			return dst, false
		}
	}
	if !bytes.Equal(rest, v.after) {
		return dst, false
	}
	said := data[from:i]
	if escaped {
		var err error
		if d.scratch, err = jsontext.AppendUnquote(d.scratch[:0], data[from-1:i+1]); err != nil {
			return dst, false
		}
		said = d.scratch
	}
	if len(said) == 0 {
		return dst, true
	}
	return d.give(dst, llm.Delta{Kind: llm.DeltaText, Text: string(said)}), true
}

func (d *decoder) fail(dst []llm.Event, e *llm.Error) []llm.Event {
	d.over = true
	return append(dst, llm.Event{Kind: llm.EventError, Err: e})
}

func (d *decoder) chunk(dst []llm.Event, data []byte) ([]llm.Event, error) {
	var id, model, created, choices, usage, groq, failure jsontext.Value
	d.scratch = d.scratch[:0]
	for k, v := range span.Fields(data) {
		switch string(k) {
		case "id":
			id = v
		case "object", "obfuscation", "p", "stream_options": // padding has no meaning
		case "created":
			created = v
		case "model":
			model = v
		case "choices":
			choices = v
		case "usage":
			usage = v
		case "error":
			failure = v
		default:
			switch string(k) {
			case "x_groq":
				groq = span.Field(v, "usage")
			case "service_tier":
				if !span.IsNull(v) {
					d.tier = forms.Tier(v)
				}
			}
			if !span.IsNull(v) {
				d.scratch = appendMember(d.scratch, k, v)
			}
		}
	}
	if failure != nil && !span.IsNull(failure) || choices == nil || bytes.Contains(data, baseKey) {
		if e := forms.ErrorIn(llm.OpenAI, data, 200); e != nil {
			return d.fail(dst, e), nil
		}
	}
	if span.IsArray(choices) && span.Kind(choices[1:]) != ']' {
		if !d.started {
			d.started = true
			d.id = span.Text(id)
			d.created, _ = span.Integer(created)
			var e *llm.Event
			dst, e = push(dst, llm.EventStart, llm.OpenAI)
			e.ID, e.Model, e.Created = d.id, span.Text(model), d.created
		}
		d.seen = true
	}
	if len(d.scratch) > 0 && !bytes.Equal(d.scratch, d.extras) {
		d.extras = append(d.extras[:0], d.scratch...)
		d.newExtras = true
	}
	for _, choice := range span.Elements(choices) {
		var err error
		if dst, err = d.choice(dst, choice); err != nil {
			return dst, err
		}
	}
	if !span.IsObject(usage) {
		usage = groq
	}
	// Groq tells the usage twice, and the tier beside the second one only.
	if span.IsObject(usage) && (!bytes.Equal(usage, d.usage) || d.tier != d.usageTier) {
		d.seen, d.usageTier = true, d.tier
		d.usage = append(d.usage[:0], usage...)
		var e *llm.Event
		dst, e = push(dst, llm.EventUsage, llm.OpenAI)
		e.Usage = readUsage(usage)
		e.Usage.Tier = d.tier
	}
	return dst, nil
}

// appendMember appends one member of an object that is being collected; the
// braces come later.
func appendMember(b, name []byte, v jsontext.Value) []byte {
	if len(b) > 0 {
		b = append(b, ',')
	}
	b = span.Quote(b, name)
	b = append(b, ':')
	return append(b, v...)
}

func braced(b []byte) jsontext.Value {
	out := make([]byte, 0, len(b)+2)
	out = append(out, '{')
	out = append(out, b...)
	return append(out, '}')
}

func (d *decoder) choice(dst []llm.Event, choice jsontext.Value) ([]llm.Event, error) {
	var delta, message, finish jsontext.Value
	d.scratch = d.scratch[:0]
	for k, v := range span.Fields(choice) {
		switch string(k) {
		case "index":
			if n, _ := span.Integer(v); n > 0 {
				// More answers than one (n > 1): only this dialect has them.
				return d.carry(dst, nativeChoices, bytes.Clone(choice)), nil
			}
		case "delta":
			delta = v
		case "message":
			message = v
		case "finish_reason":
			finish = v
		case "text": // a second copy (Together)
		default:
			if !span.IsNull(v) && !span.Blank(v) {
				d.scratch = appendMember(d.scratch, k, v)
			}
		}
	}
	if !span.IsObject(delta) {
		delta = message
	}
	var extra jsontext.Value
	if len(d.scratch) > 0 {
		extra = braced(d.scratch)
	}
	dst, err := d.delta(dst, delta)
	if err != nil {
		return dst, err
	}
	if extra != nil {
		dst = d.carry(dst, nativeChoice, extra)
	}
	if s := span.Text(finish); s != "" {
		d.finished, d.native = true, s
		if finishes[s] == llm.FinishRefusal {
			d.filters = bytes.Clone(span.Field(choice, "content_filter_results"))
		}
		dst = d.flush(dst)
	}
	return dst, nil
}

func (d *decoder) delta(dst []llm.Event, delta jsontext.Value) ([]llm.Event, error) {
	var content, refusal, calls, legacy, detailed jsontext.Value
	var thinking jsontext.Value
	field := ""
	d.scratch = d.scratch[:0]
	for k, v := range span.Fields(delta) {
		switch string(k) {
		case "role", "index":
		case "content":
			content = v
		case "refusal":
			refusal = v
		case "tool_calls":
			calls = v
		case "function_call":
			legacy = v
		case "reasoning_content":
			if len(v) > 2 && span.IsString(v) && field == "" {
				thinking, field = v, typeContent
			}
		case "reasoning":
			if len(v) > 2 && span.IsString(v) && field == "" {
				thinking, field = v, typeReasoning
			}
		case "reasoning_details":
			detailed = v
		default:
			if !span.IsNull(v) && !span.Blank(v) {
				d.scratch = appendMember(d.scratch, k, v)
			}
		}
	}
	var extra jsontext.Value
	if len(d.scratch) > 0 {
		extra = braced(d.scratch)
	}
	// The same thought often comes twice, as text and as details.
	shown := false
	for _, raw := range span.Elements(detailed) {
		var some bool
		if dst, some = d.detailed(dst, raw); some {
			shown = true
		}
	}
	if thinking != nil && !shown {
		dst = d.say(dst, llm.DeltaReasoning, field, span.Text(thinking))
	}
	switch span.Kind(content) {
	case '"':
		if len(content) > 2 {
			dst = d.say(dst, llm.DeltaText, "", span.Text(content))
		}
	case '[':
		for _, part := range span.Elements(content) {
			switch k := span.Text(span.Field(part, "type")); k {
			case typeThinking:
				dst = d.say(dst, llm.DeltaReasoning, typeThinking, thinkingText(span.Field(part, "thinking")))
			case "text":
				dst = d.say(dst, llm.DeltaText, "", span.Text(span.Field(part, "text")))
			default:
				dst = d.carry(dst, nativeDelta, braced(appendMember(nil, []byte("content"), append(append([]byte{'['}, part...), ']'))))
			}
		}
	case '{':
		dst = d.say(dst, llm.DeltaText, "", string(content))
	}
	if len(refusal) > 2 && span.IsString(refusal) {
		d.refused = true
		dst = d.say(dst, llm.DeltaRefusal, "", span.Text(refusal))
	}
	if span.IsArray(calls) {
		var err error
		if dst, err = d.toolCalls(dst, calls); err != nil {
			return dst, err
		}
	}
	if span.IsObject(legacy) {
		dst = d.functionCall(dst, legacy)
	}
	if extra != nil {
		dst = d.carry(dst, nativeDelta, extra)
	}
	return dst, nil
}

// carry gives a native delta, or holds it until a block is there: nothing that
// is no content may look like content (the commit point hangs on that).
func (d *decoder) carry(dst []llm.Event, kind string, raw jsontext.Value) []llm.Event {
	if d.block < 0 {
		d.held = append(d.held, native{kind, raw})
		return dst
	}
	return pushNative(dst, d.block, kind, raw)
}

// release gives what was held, in a block that has just begun or, at the end,
// in the last one.
func (d *decoder) release(dst []llm.Event) []llm.Event {
	index := d.block
	if index < 0 {
		index = max(d.next-1, 0)
	}
	if d.newExtras {
		d.newExtras = false
		dst = pushNative(dst, index, nativeChunk, braced(d.extras))
	}
	for _, h := range d.held {
		dst = pushNative(dst, index, h.kind, h.raw)
	}
	d.held = d.held[:0]
	return dst
}

func (d *decoder) begin(dst []llm.Event, head llm.BlockHead) []llm.Event {
	dst = d.stop(dst)
	d.block, d.kind = d.next, head.Kind
	d.next++
	dst, e := push(dst, llm.EventBlockStart, llm.OpenAI)
	e.Index, e.Block = d.block, head
	return d.release(dst)
}

func (d *decoder) stop(dst []llm.Event) []llm.Event {
	if d.block < 0 {
		return dst
	}
	dst, e := push(dst, llm.EventBlockStop, "")
	e.Index = d.block
	d.block = -1
	return dst
}

func (d *decoder) give(dst []llm.Event, delta llm.Delta) []llm.Event {
	dst, e := push(dst, llm.EventDelta, "")
	e.Index, e.Delta = d.block, delta
	return dst
}

// callsOpen closes calls that are complete and reports whether one is left.
func (d *decoder) callsOpen(dst []llm.Event) ([]llm.Event, bool) {
	if d.current >= len(d.calls) {
		return dst, false
	}
	for _, c := range d.calls[d.current:] {
		if !c.whole {
			return dst, true
		}
	}
	return d.pour(d.drain(dst, true)), false
}

// pour gives what waited for the calls to be whole.
func (d *decoder) pour(dst []llm.Event) []llm.Event {
	waiting := d.late
	d.late = nil
	for _, l := range waiting {
		if l.kind == llm.DeltaNative {
			dst, _ = d.detailed(dst, jsontext.Value(l.text))
			continue
		}
		dst = d.say(dst, l.kind, l.field, l.text)
	}
	return dst
}

// say adds text, thinking or refusal, in a block of its kind.
func (d *decoder) say(dst []llm.Event, sort llm.DeltaKind, field, s string) []llm.Event {
	if s == "" {
		return dst
	}
	dst, busy := d.callsOpen(dst)
	if busy {
		// One block at a time: it waits until the calls are whole.
		d.late = append(d.late, late{sort, field, s})
		return dst
	}
	if sort == llm.DeltaReasoning {
		if d.block < 0 || d.kind != llm.ItemReasoning || d.thought != field {
			dst = d.begin(dst, llm.BlockHead{Kind: llm.ItemReasoning, Type: field})
			d.thought, d.detail = field, -1
		}
	} else if d.spoke = d.spoke || sort == llm.DeltaText; d.block < 0 || d.kind != llm.ItemMessage || d.sort != sort {
		dst = d.begin(dst, llm.BlockHead{Kind: llm.ItemMessage})
		d.sort = sort
	}
	return d.give(dst, llm.Delta{Kind: sort, Text: s})
}

// detailed reads one reasoning detail and reports whether it held text.
func (d *decoder) detailed(dst []llm.Event, raw jsontext.Value) ([]llm.Event, bool) {
	var sort, format, id, words, signature, data string
	index := -1
	for k, v := range span.Fields(raw) {
		switch string(k) {
		case "type":
			sort = span.Text(v)
		case "format":
			format = issuer(span.Text(v))
		case "id":
			id = span.Text(v)
		case "text", "summary":
			words = span.Text(v)
		case "signature":
			signature = span.Text(v)
		case "data":
			data = span.Text(v)
		case "index":
			n, _ := span.Integer(v)
			index = int(n)
		}
	}
	var busy bool
	switch sort {
	case "reasoning.text", "reasoning.summary":
		if words == "" && signature == "" {
			return dst, false
		}
		if dst, busy = d.callsOpen(dst); busy {
			d.late = append(d.late, late{llm.DeltaNative, sort, string(raw)})
			return dst, words != ""
		}
		if d.block < 0 || d.kind != llm.ItemReasoning || d.thought != sort || d.detail != index {
			dst = d.begin(dst, llm.BlockHead{Kind: llm.ItemReasoning, Type: sort, Name: format, ID: id})
			d.thought, d.detail = sort, index
		}
		if words != "" {
			dst = d.give(dst, llm.Delta{Kind: llm.DeltaReasoning, Text: words})
		}
		if signature != "" {
			dst = d.give(dst, llm.Delta{Kind: llm.DeltaOpaque, Opaque: llm.Opaque{
				Issuer: or(format, llm.IssuerUnknown), Kind: llm.OpaqueSignature, Data: signature}})
		}
		return dst, words != ""
	case "reasoning.encrypted":
		if data == "" {
			return dst, false
		}
		if dst, busy = d.callsOpen(dst); busy {
			d.late = append(d.late, late{llm.DeltaNative, sort, string(raw)})
			return dst, false
		}
		o := llm.Opaque{Issuer: or(format, llm.IssuerUnknown), Kind: llm.OpaqueEncrypted, Data: data}
		if format == llm.IssuerAnthropic {
			o.Kind = llm.OpaqueRedacted
		}
		dst = d.begin(dst, llm.BlockHead{Kind: llm.ItemReasoning, Type: sort, Name: format, ID: id, Opaque: []llm.Opaque{o}})
		return d.stop(dst), false
	}
	return d.carry(dst, nativeDelta, braced(appendMember(nil, []byte("reasoning_details"), append(append([]byte{'['}, raw...), ']')))), false
}

// find gives the call that a piece belongs to, or nil for a new one: by index,
// else by id, else by place. Servers leave the index out, write 0 for every
// call, or -1; they leave the id out of later pieces, or make a new one for
// each (recordings of 2025 and 2026).
func (d *decoder) find(has bool, index int64, id, name string, place, pieces int) *call {
	if has && index >= 0 {
		for i := len(d.calls) - 1; i >= 0; i-- {
			c := d.calls[i]
			if !c.has || c.index != index {
				continue
			}
			if name == "" || c.name == "" {
				return c
			}
			if id != "" && c.id != "" {
				if id == c.id {
					return c
				}
				return nil // a second call under a used index
			}
			if name != c.name || c.whole {
				return nil
			}
			return c // the name said again
		}
		if name == "" && id == "" && len(d.calls) > 0 && place == 0 && pieces == 1 && !d.calls[len(d.calls)-1].has {
			return d.calls[len(d.calls)-1] // begun without an index
		}
		return nil
	}
	if id != "" {
		for i := len(d.calls) - 1; i >= 0; i-- {
			if d.calls[i].id == id {
				return d.calls[i]
			}
		}
		if name != "" {
			return nil
		}
	}
	if name != "" {
		return nil
	}
	if pieces > 1 && place < len(d.calls) {
		return d.calls[place]
	}
	if n := len(d.calls); n > 0 {
		return d.calls[n-1]
	}
	return nil
}

func (d *decoder) toolCalls(dst []llm.Event, raw jsontext.Value) ([]llm.Event, error) {
	pieces := 0
	for range span.Elements(raw) {
		pieces++
	}
	for place, piece := range span.Elements(raw) {
		var index int64
		var has, custom bool
		var id, name, args string
		var function jsontext.Value
		d.scratch = d.scratch[:0]
		for k, v := range span.Fields(piece) {
			switch string(k) {
			case "index":
				index, has = span.Integer(v)
			case "id":
				id = span.Word(v)
			case "type":
				custom = string(v) == `"custom"`
			case "function":
				if !custom || function == nil {
					function = v
				}
			case "custom":
				if span.IsObject(v) && (custom || function == nil) {
					function, custom = v, true
				}
			default:
				if !span.IsNull(v) {
					d.scratch = appendMember(d.scratch, k, v)
				}
			}
		}
		if custom && span.Field(function, "arguments") != nil {
			custom = false // Snowflake sends an empty custom beside the function
		}
		for k, v := range span.Fields(function) {
			switch string(k) {
			case "name":
				name = span.Text(v)
			case "arguments":
				if span.IsObject(v) {
					args = string(v)
				} else {
					args = span.Text(v)
				}
			case "input":
				if custom {
					args = span.Text(v)
				}
			}
		}
		var extra jsontext.Value
		if len(d.scratch) > 0 {
			extra = braced(d.scratch)
		}
		c := d.find(has, index, id, name, place, pieces)
		if c == nil {
			if name == "" && id == "" && args == "" {
				continue
			}
			c = &call{index: index, has: has && index >= 0, id: id, name: name, custom: custom}
			if c.id == "" {
				c.id = madeID(d.id, d.created, len(d.calls))
			}
			d.calls = append(d.calls, c)
		}
		if c.name == "" {
			c.name = name
		}
		if args != "" {
			switch {
			case c.whole && args == string(c.args): // said a second time
			case c.closed && len(bytes.TrimSpace([]byte(args))) > 0:
				return dst, forms.Malformed(llm.OpenAI, "the arguments of a tool call go on after their end", piece)
			default:
				c.feed(args)
			}
		}
		if state := callState(span.Field(extra, extraContent)); state != nil {
			if c.open && !c.closed {
				dst = d.give(dst, llm.Delta{Kind: llm.DeltaOpaque, Opaque: state[0]})
			}
			c.opaque = state
		}
		dst = d.drain(dst, false)
		if extra != nil { // thought signatures and other state that hangs on a call
			o := span.Open(nil)
			o.Raw("index", strconv.AppendInt(nil, int64(d.place(c)), 10))
			for k, v := range span.Fields(extra) {
				o.Raw(string(k), v)
			}
			dst = d.carry(dst, nativeDelta, braced(appendMember(nil, []byte("tool_calls"), append(append([]byte{'['}, o.Close()...), ']'))))
		}
	}
	return dst, nil
}

func (d *decoder) place(c *call) int {
	for i := range d.calls {
		if d.calls[i] == c {
			return i
		}
	}
	return 0
}

// functionCall reads the old form, of which there is one at most.
func (d *decoder) functionCall(dst []llm.Event, raw jsontext.Value) []llm.Event {
	name, args := span.Text(span.Field(raw, "name")), span.Text(span.Field(raw, "arguments"))
	if len(d.calls) == 0 {
		if name == "" {
			return dst
		}
		d.calls = append(d.calls, &call{id: madeID(d.id, d.created, 0), name: name, legacy: true})
	}
	c := d.calls[0]
	if !c.legacy {
		return dst // said beside tool_calls: the same call
	}
	c.feed(args)
	return d.drain(dst, false)
}

// drain gives what can be given of the calls in order: the first one that is
// not closed is open, the others wait until it is whole. all closes every one.
func (d *decoder) drain(dst []llm.Event, all bool) []llm.Event {
	for d.current < len(d.calls) {
		c := d.calls[d.current]
		if !c.open {
			if c.name == "" {
				if !all {
					return dst
				}
				c.closed = true // an id without a name is no call
				d.current++
				continue
			}
			head := llm.BlockHead{Kind: llm.ItemToolCall, ID: c.id, Name: c.name, Custom: c.custom, Opaque: c.opaque}
			if c.legacy {
				head.Type = typeLegacyCall
			}
			c.open = true
			dst = d.begin(dst, head)
		}
		if c.sent < len(c.args) {
			dst = d.give(dst, llm.Delta{Kind: llm.DeltaArguments, Text: string(c.args[c.sent:])})
			c.sent = len(c.args)
		}
		if !all && (!c.whole || d.current+1 >= len(d.calls)) {
			return dst
		}
		c.closed = true
		dst = d.stop(dst)
		d.current++
	}
	return dst
}

// flush ends all blocks.
func (d *decoder) flush(dst []llm.Event) []llm.Event {
	return d.stop(d.pour(d.drain(dst, true)))
}

// Close says that the provider ended the stream. Many send no [DONE]; a
// finish reason says as well that the answer is whole.
func (d *decoder) Close(dst []llm.Event) []llm.Event { return d.end(dst, false) }

func (d *decoder) end(dst []llm.Event, done bool) []llm.Event {
	if d.over {
		return dst
	}
	if !d.finished && !(done && d.seen) {
		why := "the provider's stream ended before its answer"
		if d.seen {
			why = "the provider's stream was cut off"
		}
		return d.fail(dst, &llm.Error{Class: llm.MalformedUpstream, Message: why, From: llm.OpenAI})
	}
	if !d.started {
		d.started = true
		var e *llm.Event
		dst, e = push(dst, llm.EventStart, llm.OpenAI)
		e.ID = d.id
	}
	dst = d.flush(dst)
	if d.newExtras || len(d.held) > 0 {
		dst = d.release(dst)
	}
	d.over = true
	calls := false
	for _, c := range d.calls {
		calls = calls || c.open
	}
	dst, e := push(dst, llm.EventFinish, llm.OpenAI)
	e.Finish = readFinish(d.native, calls, d.refused, d.spoke, d.filters)
	return dst
}
