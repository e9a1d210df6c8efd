package gemini

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// NewDecoder reads one stream of generateContent answers: each frame is a
// whole JSON answer with a piece of the content. There is no last frame that
// says that it is: the answer is complete when the stream ends after a
// finishReason or a blocked prompt, and EventFinish is given by Close. Each
// signed part is a block of its own; its state comes with the block's start.
func (Codec) NewDecoder() llm.StreamDecoder { return &decoder{} }

type decoder struct {
	started, ended bool
	open           bool
	index          int
	kind           llm.ItemKind
	// sealed says that the open block takes no more text.
	sealed bool
	id     string
	calls  int
	last   answer // what is known of the end
	// growing is a call whose arguments arrive bit by bit, nil when there is
	// none.
	growing *growing
	// finishing are the members for the last frame of a client of this dialect.
	finishing []llm.Member
}

// Telling reports whether a frame may hold usage, a finish reason, an error or
// a blocked prompt, or is no answer at all. Usage stands in nearly every
// frame, each time the sum so far.
func (Codec) Telling(data []byte) bool {
	return !bytes.Contains(data, []byte(`"candidates"`)) || bytes.Contains(data, []byte(`sage`)) || bytes.Contains(data, []byte(`finish`)) ||
		bytes.Contains(data, []byte(`"error"`)) || bytes.Contains(data, []byte(`eedback`))
}

// SoFar reports whether all that a frame tells beside its text is the usage so
// far, which the next frame tells again: of a run of such frames the last one
// is enough. Only the ends of keys are looked at: searching the frame for each
// word took a tenth of what a stream costs. What looks like a key within a text
// has the frame looked at for nothing.
func (Codec) SoFar(data []byte) bool {
	answers := false
	for i := 0; ; i++ {
		n := bytes.IndexByte(data[i:], ':')
		if n < 0 {
			return answers
		}
		i += n
		end := i
		for end > 0 && (data[end-1] == ' ' || data[end-1] == '\n' || data[end-1] == '\t' || data[end-1] == '\r') {
			end--
		}
		if end < 2 || data[end-1] != '"' {
			continue // within a string
		}
		key := data[:end-1]
		switch key[len(key)-1] {
		case 's':
			answers = answers || bytes.HasSuffix(key, candidatesKey)
		case 'n', 'e', 'r', 'k', 'l':
			for _, word := range telling {
				if bytes.HasSuffix(key, word) {
					return false
				}
			}
		}
	}
}

var candidatesKey = []byte(`"candidates`)

// telling are the ends of the keys that tell more than text and usage.
var telling = [][]byte{[]byte("finishReason"), []byte("finish_reason"), []byte("finishMessage"), []byte("finish_message"),
	[]byte(`"error`), []byte("eedback"), []byte("unctionCall"), []byte("unction_call")}

// Decode implements llm.StreamDecoder.
func (d *decoder) Decode(dst []llm.Event, name, data []byte) ([]llm.Event, error) {
	data = bytes.TrimSpace(data)
	if d.ended || len(data) == 0 || bytes.HasPrefix(data, []byte("[DONE]")) {
		return dst, nil
	}
	if !readable(data) || kindOf(data) != '{' {
		if string(name) == "error" {
			return d.fail(dst, streamError(data)), nil
		}
		if v := trim(data); kindOf(v) == '[' && readable(v) { // an array in one piece
			for a := span.ReadArray(v); a.Next(); {
				var err error
				if dst, err = d.Decode(dst, name, a.Val); err != nil {
					return dst, err
				}
			}
			return dst, nil
		}
		return dst, malformed("a frame is not JSON", data)
	}
	v := jsontext.Value(bytes.Clone(data)) // events keep parts of it
	a := take(v)
	if a.failed != nil {
		return d.fail(dst, streamError(v)), nil
	}
	if !a.known && a.id == "" && a.model == "" {
		return dst, malformed("a frame is no answer", data)
	}
	if !d.started {
		d.started, d.id = true, a.id
		e := llm.Event{Kind: llm.EventStart, ID: a.id, Model: a.model, Created: a.created, From: llm.Gemini, Ext: a.outer}
		if a.usage != nil {
			e.Usage = usageOf(a.usage)
		}
		dst = append(dst, e)
	} else {
		for _, m := range a.outer {
			d.keep(m)
		}
	}
	for p := span.ReadMany(a.parts); p.Next(); {
		dst = d.part(dst, p.Val)
	}
	var native []byte
	tell := func(m *llm.Member) {
		if native == nil {
			native = append(native, '{')
		}
		native = member(native, m)
	}
	for i := range a.candidate {
		switch m := &a.candidate[i]; {
		case m.Name == "index" || strings.HasPrefix(m.Name, "content."):
		case m.Name == "finishMessage" || a.finish != "":
			// Older models give a finish reason in every frame: what an
			// earlier one said is told before it is replaced.
			name := "candidate." + m.Name
			for k := range d.finishing {
				if was := d.finishing[k]; was.Name == name && !bytes.Equal(was.Value, m.Value) {
					tell(&llm.Member{Name: m.Name, Value: was.Value})
				}
			}
			d.keep(llm.Member{Name: name, Value: m.Value})
		default:
			tell(m)
		}
	}
	if native != nil {
		dst = append(dst, llm.Event{Kind: llm.EventDelta, Index: d.index, From: llm.Gemini,
			Delta: llm.Delta{Kind: llm.DeltaNative, Type: "candidate", Raw: append(native, '}')}})
	}
	if a.several {
		// The others have no words; they go to clients of this dialect alone.
		rest := []byte{'['}
		n := 0
		for c := span.ReadArray(a.candidates); c.Next(); n++ {
			if n > 0 {
				rest = append(comma(rest), c.Val...)
			}
		}
		dst = append(dst, llm.Event{Kind: llm.EventDelta, Index: d.index, From: llm.Gemini,
			Delta: llm.Delta{Kind: llm.DeltaNative, Type: "candidates", Raw: append(rest, ']')}})
	}
	if u := usageOf(a.usage); u.Source != "" {
		dst = append(dst, llm.Event{Kind: llm.EventUsage, Usage: u, From: llm.Gemini})
	}
	if a.finish != "" {
		d.last.finish, d.last.candidate = a.finish, a.candidate
	}
	if a.feedback != nil {
		d.last.feedback = a.feedback
		d.keep(llm.Member{Name: "promptFeedback", Value: a.feedback})
	}
	return dst, nil
}

func (d *decoder) keep(m llm.Member) {
	for i := range d.finishing {
		if d.finishing[i].Name == m.Name {
			d.finishing[i].Value = m.Value
			return
		}
	}
	d.finishing = append(d.finishing, m)
}

func (d *decoder) fail(dst []llm.Event, e *llm.Error) []llm.Event {
	d.ended = true
	return append(dst, llm.Event{Kind: llm.EventError, Err: e})
}

// part gives the events of one part.
func (d *decoder) part(dst []llm.Event, v jsontext.Value) []llm.Event {
	p := readPart(v)
	head := llm.BlockHead{Opaque: p.opaque()}
	kind := llm.DeltaText
	if p.call != nil {
		name := text(get(p.call, "name"))
		more := streaming(p.call)
		if d.growing != nil && name != "" {
			dst = d.grown(dst) // the one before was never closed
		}
		switch {
		case d.growing == nil && more:
			d.growing = &growing{id: text(get(p.call, "id")), name: name, opaque: head.Opaque}
		case d.growing == nil && name == "" && get(p.call, "args") == nil:
			return dst // the end of a call that is over
		}
		if d.growing != nil {
			d.growing.add(p.call)
			if string(get(p.call, "willContinue")) != "true" {
				dst = d.grown(dst)
			}
			return dst
		}
	} else if d.growing != nil {
		dst = d.grown(dst)
	}
	switch {
	case p.call != nil:
		d.calls++
		head.Kind, kind = llm.ItemToolCall, llm.DeltaArguments
		p.text = ""
		for o := span.ReadObject(p.call); o.Next(); {
			switch canon(o.Name) {
			case "id":
				head.ID = text(o.Val)
			case "name":
				head.Name = text(o.Val)
			case "args":
				if !isNull(o.Val) {
					p.text = string(o.Val)
				}
			}
		}
		if head.ID == "" {
			head.ID = madeID(d.id, 0, d.calls, head.Name)
		}
	case p.hasText || p.signature != "" && p.inline == nil && p.file == nil && p.other == nil:
		head.Kind = llm.ItemMessage
		if p.thought {
			head.Kind, kind = llm.ItemReasoning, llm.DeltaReasoning
		}
		if p.text == "" && len(head.Opaque) == 0 {
			return dst
		}
	case p.inline == nil && p.file == nil && p.other == nil && p.result == nil:
		return dst // an empty part
	default:
		head.Kind, head.Raw, head.Opaque = llm.ItemOpaque, v, nil
		switch {
		case p.inline != nil:
			head.Type = "inlineData"
		case p.file != nil:
			head.Type = "fileData"
		case p.result != nil:
			head.Type = "functionResponse"
		default:
			head.Type = p.otherName
		}
	}
	single := len(head.Opaque) > 0 || head.Kind == llm.ItemToolCall || head.Kind == llm.ItemOpaque
	if !d.open || d.kind != head.Kind || d.sealed || single {
		dst = d.close(dst)
		d.open, d.kind, d.sealed = true, head.Kind, single
		e := llm.Event{Kind: llm.EventBlockStart, Index: d.index, Block: head, From: llm.Gemini}
		if head.Kind == llm.ItemToolCall {
			e.Ext = p.ext
		}
		dst = append(dst, e)
	}
	if p.text != "" && head.Kind != llm.ItemOpaque {
		dst = append(dst, llm.Event{Kind: llm.EventDelta, Index: d.index, Delta: llm.Delta{Kind: kind, Text: p.text}})
	}
	if single {
		dst = d.close(dst)
	}
	return dst
}

// grown gives the call whose arguments have arrived, whole.
func (d *decoder) grown(dst []llm.Event) []llm.Event {
	g := d.growing
	d.growing = nil
	d.calls++
	head := llm.BlockHead{Kind: llm.ItemToolCall, ID: g.id, Name: g.name, Opaque: g.opaque}
	if head.ID == "" {
		head.ID = madeID(d.id, 0, d.calls, head.Name)
	}
	dst = append(d.close(dst), llm.Event{Kind: llm.EventBlockStart, Index: d.index, Block: head, From: llm.Gemini},
		llm.Event{Kind: llm.EventDelta, Index: d.index, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: string(g.root.append(nil))}})
	d.open = true
	return d.close(dst)
}

// close closes the open block, if any.
func (d *decoder) close(dst []llm.Event) []llm.Event {
	if !d.open {
		return dst
	}
	d.open = false
	dst = append(dst, llm.Event{Kind: llm.EventBlockStop, Index: d.index})
	d.index++
	return dst
}

// Close implements llm.StreamDecoder.
func (d *decoder) Close(dst []llm.Event) []llm.Event {
	if d.ended {
		return dst
	}
	if d.last.finish == "" && blocked(d.last.feedback) == "" {
		d.growing = nil // its arguments are not whole
		return d.fail(dst, malformed("the stream ended before a finish reason", nil))
	}
	d.ended = true
	if d.growing != nil {
		dst = d.grown(dst)
	}
	dst = d.close(dst)
	f := d.last.finished(d.calls > 0)
	return append(dst, llm.Event{Kind: llm.EventFinish, Finish: f, From: llm.Gemini, Ext: d.finishing})
}
