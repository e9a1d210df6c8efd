package anthropic

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// NewDecoder reads one Messages stream. The answer is complete with
// message_stop and with nothing else. A frame may come without an event name;
// the "type" in its data says what it is. Blocks that overlap are cut apart in
// the order of their deltas; a delta that has no block gets one, except for
// tool input, which without its call is malformed.
func (Codec) NewDecoder() llm.StreamDecoder { return &decoder{} }

type decoder struct {
	started, ended bool
	// open says that a block is open: native is its index on the wire, index
	// ours, kind what it is.
	open          bool
	native, index int
	kind          llm.ItemKind
	// input is the whole input that a tool_use block began with; it counts
	// only if no delta follows.
	input   string
	usage   usage
	finish  llm.Finish
	ext     []llm.Member
	scratch []byte
}

// Telling reports whether a frame may hold usage, a stop reason, an error or
// the end of the stream. It searches bytes and may say yes too often.
func (Codec) Telling(data []byte) bool {
	if bytes.HasPrefix(data, contentBlock) {
		return false // deltas, starts and stops of blocks have none of these
	}
	return bytes.Contains(data, []byte(`"usage"`)) || bytes.Contains(data, []byte(`"stop_reason"`)) ||
		bytes.Contains(data, []byte(`"error"`)) || bytes.Contains(data, []byte(`message_stop`))
}

var (
	contentBlock = []byte(`{"type":"content_block_`)
	plainDelta   = []byte(`{"type":"content_block_delta","index":`)
	deltaType    = []byte(`,"delta":{"type":"`)
)

// The plain deltas: what follows deltaType, what block they belong to and what
// they say.
var plainDeltas = []struct {
	head  []byte
	block llm.ItemKind
	kind  llm.DeltaKind
}{
	{[]byte(`text_delta","text":"`), llm.ItemMessage, llm.DeltaText},
	{[]byte(`input_json_delta","partial_json":"`), llm.ItemToolCall, llm.DeltaArguments},
	{[]byte(`thinking_delta","thinking":"`), llm.ItemReasoning, llm.DeltaReasoning},
}

// plain decodes a frame that is a delta of the plainest shape for the open
// block, which nearly all frames are. ok is false for every other shape, and
// nothing has happened then.
func (d *decoder) plain(dst []llm.Event, data []byte) (_ []llm.Event, ok bool) {
	if !d.open || !bytes.HasPrefix(data, plainDelta) {
		return dst, false
	}
	i, n := len(plainDelta), 0
	for digits := i; i < len(data) && data[i] >= '0' && data[i] <= '9'; i++ {
		if i-digits > 6 {
			return dst, false
		}
		n = 10*n + int(data[i]-'0')
	}
	if n != d.native || !bytes.HasPrefix(data[i:], deltaType) {
		return dst, false
	}
	i += len(deltaType)
	for k := range plainDeltas {
		p := &plainDeltas[k]
		if !bytes.HasPrefix(data[i:], p.head) {
			continue
		}
		if p.block != d.kind {
			return dst, false
		}
		i += len(p.head)
		from := i
		escaped, high := false, false
		for i < len(data) && data[i] != '"' {
			c := data[i]
			switch {
			case c == '\\':
				escaped = true
				i++
			case c < 0x20:
				return dst, false
			case c >= utf8.RuneSelf:
				high = true
			}
			i++
		}
		if i >= len(data) {
			return dst, false
		}
		inner := data[from:i]
		if !closes(data[i+1:]) || high && !utf8.Valid(inner) {
			return dst, false
		}
		if escaped {
			out, err := jsontext.AppendUnquote(d.scratch[:0], data[from-1:i+1])
			if err != nil {
				return dst, false
			}
			d.scratch, inner = out, out
		}
		if len(inner) > 0 {
			dst = append(dst, llm.Event{})
			e := &dst[len(dst)-1]
			e.Kind, e.Index = llm.EventDelta, d.index
			e.Delta.Kind, e.Delta.Text = p.kind, string(inner)
			d.input = ""
		}
		return dst, true
	}
	return dst, false
}

// closes reports whether b is two closing braces, with the spaces before the
// last one that Anthropic pads its frames with.
func closes(b []byte) bool {
	if len(b) < 2 || b[0] != '}' || b[len(b)-1] != '}' {
		return false
	}
	for _, c := range b[1 : len(b)-1] {
		if c != ' ' {
			return false
		}
	}
	return true
}

// Decode implements llm.StreamDecoder.
func (d *decoder) Decode(dst []llm.Event, name, data []byte) ([]llm.Event, error) {
	if d.ended || len(data) == 0 {
		return dst, nil
	}
	if out, ok := d.plain(dst, data); ok {
		return out, nil
	}
	return d.frame(dst, name, data)
}

// frame decodes a frame of any shape.
func (d *decoder) frame(dst []llm.Event, name, data []byte) ([]llm.Event, error) {
	data = bytes.TrimSpace(data)
	switch {
	case bytes.HasPrefix(data, []byte("[DONE]")):
		return dst, nil // OpenRouter ends its streams so (recorded)
	case string(name) == "ping":
		return append(dst, llm.Event{Kind: llm.EventPing}), nil
	case !readable(data) || kindOf(data) != '{':
		if string(name) == "error" {
			return d.fail(dst, streamError(data)), nil
		}
		return dst, malformed("a frame is not JSON", data)
	}
	v := jsontext.Value(bytes.Clone(data)) // events keep parts of it
	if bytes.IndexByte(v, '\n') >= 0 || bytes.IndexByte(v, '\r') >= 0 {
		if err := v.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
			return dst, malformed("a frame is not JSON", data)
		}
	}
	typ, ok := str(get(v, "type"))
	if !ok {
		typ = string(name)
	}
	switch typ {
	case "message_start":
		return d.start(dst, get(v, "message")), nil
	case "content_block_start":
		return d.blockStart(dst, v)
	case "content_block_delta":
		return d.delta(dst, v)
	case "content_block_stop":
		n, _ := integer(get(v, "index"))
		if d.open && int(n) == d.native {
			dst = d.close(dst)
		}
		return dst, nil
	case "message_delta":
		return d.messageDelta(d.begin(dst), v), nil
	case "message_stop":
		dst = d.close(d.begin(dst))
		d.ended = true
		d.finish.Reason = finishOf(d.finish.Native)
		if d.finish.Reason == "" {
			d.finish.Reason = llm.FinishStop
		}
		d.finish.Refused = refusedBy(&d.finish, d.index == 0)
		return append(dst, llm.Event{Kind: llm.EventFinish, Finish: d.finish, From: llm.Anthropic, Ext: d.ext}), nil
	case "error":
		return d.fail(dst, streamError(v)), nil
	case "ping":
		return append(dst, llm.Event{Kind: llm.EventPing}), nil
	}
	if e := get(v, "error"); e != nil && !isNull(e) {
		return d.fail(dst, streamError(v)), nil
	}
	return append(dst, llm.Event{Kind: llm.EventPing}), nil // an event of tomorrow
}

func (d *decoder) fail(dst []llm.Event, e *llm.Error) []llm.Event {
	d.ended = true
	return append(dst, llm.Event{Kind: llm.EventError, Err: e})
}

// begin opens the stream if its message_start never came.
func (d *decoder) begin(dst []llm.Event) []llm.Event {
	if d.started {
		return dst
	}
	d.started = true
	return append(dst, llm.Event{Kind: llm.EventStart})
}

func (d *decoder) start(dst []llm.Event, message jsontext.Value) []llm.Event {
	e := llm.Event{Kind: llm.EventStart, From: llm.Anthropic}
	told := false
	for o := span.ReadObject(message); o.Next(); {
		switch string(o.Name) {
		case "id":
			e.ID = text(o.Val)
		case "model":
			e.Model = text(o.Val)
		case "usage":
			d.usage.merge(o.Val)
			told = true
		case "stop_reason":
			d.finish.Native = text(o.Val)
		case "type", "role", "content", "stop_sequence":
		default:
			e.Ext = append(e.Ext, llm.Member{Name: string(o.Name), Value: o.Val})
		}
	}
	e.Usage = d.usage.total()
	if !d.started { // a second one tells nothing but usage
		d.started = true
		dst = append(dst, e)
	}
	if told && d.usage.raw != nil {
		dst = append(dst, llm.Event{Kind: llm.EventUsage, Usage: e.Usage, From: llm.Anthropic})
	}
	return dst
}

// opened opens a block on our side.
func (d *decoder) opened(dst []llm.Event, native int, head llm.BlockHead, ext []llm.Member) []llm.Event {
	dst = d.close(d.begin(dst))
	d.open, d.native, d.kind, d.input = true, native, head.Kind, ""
	e := llm.Event{Kind: llm.EventBlockStart, Index: d.index, Block: head, Ext: ext}
	if len(ext) > 0 || head.Kind == llm.ItemOpaque {
		e.From = llm.Anthropic
	}
	return append(dst, e)
}

// close closes the open block, if any.
func (d *decoder) close(dst []llm.Event) []llm.Event {
	if !d.open {
		return dst
	}
	if d.input != "" {
		dst = d.add(dst, llm.DeltaArguments, d.input)
		d.input = ""
	}
	d.open = false
	dst = append(dst, llm.Event{Kind: llm.EventBlockStop, Index: d.index})
	d.index++
	return dst
}

func (d *decoder) add(dst []llm.Event, kind llm.DeltaKind, s string) []llm.Event {
	if s == "" {
		return dst
	}
	return append(dst, llm.Event{Kind: llm.EventDelta, Index: d.index, Delta: llm.Delta{Kind: kind, Text: s}})
}

func (d *decoder) state(dst []llm.Event, o llm.Opaque) []llm.Event {
	return append(dst, llm.Event{Kind: llm.EventDelta, Index: d.index, Delta: llm.Delta{Kind: llm.DeltaOpaque, Opaque: o}})
}

func (d *decoder) blockStart(dst []llm.Event, v jsontext.Value) ([]llm.Event, error) {
	n, _ := integer(get(v, "index"))
	block := get(v, "content_block")
	typ, ok := str(get(block, "type"))
	if !ok {
		return dst, malformed("a block without a type", v)
	}
	switch typ {
	case "text", "thinking", "redacted_thinking", "tool_use":
	default:
		return d.opened(dst, int(n), llm.BlockHead{Kind: llm.ItemOpaque, Type: typ, Raw: block}, nil), nil
	}
	var head llm.BlockHead
	var ext []llm.Member
	var said, signature, input string
	for o := span.ReadObject(block); o.Next(); {
		switch name := typ + "." + string(o.Name); name {
		case typ + ".type":
		case "text.text", "thinking.thinking":
			said = text(o.Val)
		case "thinking.signature":
			// Models that sign say so at once, with an empty one.
			signature, head.Name = text(o.Val), llm.IssuerAnthropic
		case "redacted_thinking.data":
			if data := text(o.Val); data != "" {
				head.Opaque = []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueRedacted, Data: data}}
			}
		case "tool_use.id":
			head.ID = text(o.Val)
		case "tool_use.name":
			head.Name = text(o.Val)
		case "tool_use.input":
			if first := span.ReadObject(o.Val); first.Next() {
				input = string(o.Val)
			}
		default:
			ext = append(ext, llm.Member{Name: string(o.Name), Value: o.Val})
		}
	}
	switch typ {
	case "text":
		head.Kind = llm.ItemMessage
		dst = d.opened(dst, int(n), head, ext)
		return d.add(dst, llm.DeltaText, said), nil
	case "tool_use":
		head.Kind = llm.ItemToolCall
		dst = d.opened(dst, int(n), head, ext)
		d.input = input
		return dst, nil
	}
	head.Kind = llm.ItemReasoning
	dst = d.add(d.opened(dst, int(n), head, ext), llm.DeltaReasoning, said)
	if o, ok := signatureOf(signature); ok {
		dst = d.state(dst, o)
	}
	return dst, nil
}

func (d *decoder) delta(dst []llm.Event, v jsontext.Value) ([]llm.Event, error) {
	n, _ := integer(get(v, "index"))
	delta := get(v, "delta")
	typ, ok := str(get(delta, "type"))
	if !ok {
		return dst, malformed("a delta without a type", v)
	}
	here := d.open && int(n) == d.native
	native := func() []llm.Event {
		return append(dst, llm.Event{Kind: llm.EventDelta, Index: d.index, From: llm.Anthropic,
			Delta: llm.Delta{Kind: llm.DeltaNative, Type: typ, Raw: delta}})
	}
	if here && d.kind == llm.ItemOpaque {
		return native(), nil
	}
	want := llm.ItemMessage
	member, kind := "text", llm.DeltaText
	switch typ {
	case "text_delta":
	case "thinking_delta":
		want, member, kind = llm.ItemReasoning, "thinking", llm.DeltaReasoning
	case "signature_delta":
		want, member, kind = llm.ItemReasoning, "signature", llm.DeltaOpaque
	case "input_json_delta":
		if !here || d.kind != llm.ItemToolCall {
			return dst, malformed("tool input without its call", v)
		}
		want, member, kind = llm.ItemToolCall, "partial_json", llm.DeltaArguments
	default:
		if !here {
			return dst, nil
		}
		return native(), nil
	}
	if !here || d.kind != want {
		dst = d.opened(dst, int(n), llm.BlockHead{Kind: want}, nil)
	}
	var said string
	var ext []llm.Member
	for o := span.ReadObject(delta); o.Next(); {
		switch string(o.Name) {
		case "type":
		case member:
			said = text(o.Val)
		default:
			ext = append(ext, llm.Member{Name: string(o.Name), Value: o.Val})
		}
	}
	if kind == llm.DeltaOpaque {
		if o, ok := signatureOf(said); ok {
			dst = d.state(dst, o)
		}
		return dst, nil
	}
	if said == "" && len(ext) == 0 {
		return dst, nil
	}
	if kind == llm.DeltaArguments && said != "" {
		d.input = ""
	}
	e := llm.Event{Kind: llm.EventDelta, Index: d.index, Delta: llm.Delta{Kind: kind, Text: said}, Ext: ext}
	if len(ext) > 0 {
		e.From = llm.Anthropic
	}
	return append(dst, e), nil
}

func (d *decoder) messageDelta(dst []llm.Event, v jsontext.Value) []llm.Event {
	keep := func(name string, v jsontext.Value) {
		for i := range d.ext {
			if d.ext[i].Name == name {
				d.ext[i].Value = v
				return
			}
		}
		d.ext = append(d.ext, llm.Member{Name: name, Value: v})
	}
	for o := span.ReadObject(v); o.Next(); {
		switch string(o.Name) {
		case "type":
		case "delta":
			for in := span.ReadObject(o.Val); in.Next(); {
				switch string(in.Name) {
				case "stop_reason":
					if s, ok := str(in.Val); ok {
						d.finish.Native = s
					}
				case "stop_sequence":
					if s, ok := str(in.Val); ok {
						d.finish.StopSequence = s
					}
				case "stop_details":
					if !isNull(in.Val) {
						d.finish.Details = in.Val
					}
				default:
					keep("delta."+string(in.Name), in.Val)
				}
			}
		case "usage":
			if kindOf(o.Val) == '{' {
				d.usage.merge(o.Val)
				dst = append(dst, llm.Event{Kind: llm.EventUsage, Usage: d.usage.total(), From: llm.Anthropic})
			}
		default:
			keep(string(o.Name), o.Val)
		}
	}
	return dst
}

// Close implements llm.StreamDecoder.
func (d *decoder) Close(dst []llm.Event) []llm.Event {
	if d.ended {
		return dst
	}
	return d.fail(dst, malformed("the stream ended before message_stop", nil))
}
