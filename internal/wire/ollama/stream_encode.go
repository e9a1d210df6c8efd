package ollama

import (
	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// NewEncoder returns an encoder of one stream in the codec's form: a JSON
// object a line, the last of which says done or names an error
// (application/x-ndjson).
func (c Codec) NewEncoder(o llm.StreamOptions) llm.StreamEncoder {
	return &encoder{o: o, generate: c.Form == FormGenerate}
}

// encoder writes lines. What all lines of a stream share is built once, so
// that an event costs one append of its own text.
type encoder struct {
	o        llm.StreamOptions
	generate bool
	model    string
	made     int64
	head     []byte // everything up to the text
	ready    bool
	over     bool

	call  llm.Call // the open call
	open  bool     // a call is open
	calls int
	mused bool // a thought was written
	gap   bool // the next thought is another one
	usage llm.Usage
}

func (e *encoder) build() {
	if e.ready {
		return
	}
	e.ready = true
	if e.model == "" {
		e.model = e.o.Model
	}
	if e.made == 0 {
		e.made = e.o.Created
	}
	h := append(e.head[:0], `{"model":`...)
	h = span.Quote(h, e.model)
	h = append(h, `,"created_at":`...)
	h = appendTime(h, e.made)
	if e.generate {
		h = append(h, `,"response":`...)
	} else {
		h = append(h, `,"message":{"role":"assistant","content":`...)
	}
	e.head = h
}

// close ends the message and appends what stands behind it; inside are the
// members of the event that belong to the message.
func (e *encoder) close(dst []byte, ev *llm.Event) []byte {
	own := ev.From == llm.Ollama
	if !e.generate {
		if own {
			for i := range ev.Ext {
				if name, ok := cutMessage(ev.Ext[i].Name); ok {
					dst = appendMember(dst, name, ev.Ext[i].Value)
				}
			}
		}
		dst = append(dst, '}')
	}
	if ev.Kind == llm.EventFinish {
		return dst
	}
	if own {
		for i := range ev.Ext {
			if _, in := cutMessage(ev.Ext[i].Name); !in {
				dst = appendMember(dst, ev.Ext[i].Name, ev.Ext[i].Value)
			}
		}
	}
	return append(dst, `,"done":false}`+"\n"...)
}

func appendMember(dst []byte, name string, v []byte) []byte {
	dst = append(dst, ',')
	dst = span.Quote(dst, name)
	dst = append(dst, ':')
	return appendLine(dst, v)
}

// Encode appends the bytes of one event. There is no line for a start, a block
// or a ping: Ollama's clients take every line for content.
func (e *encoder) Encode(dst []byte, ev llm.Event) []byte {
	if e.over {
		return dst
	}
	switch ev.Kind {
	case llm.EventStart:
		e.model, e.made, e.ready = ev.Model, ev.Created, false
	case llm.EventBlockStart:
		if ev.Block.Kind == llm.ItemToolCall {
			e.open = true
			e.call = llm.Call{ID: ev.Block.ID, Name: ev.Block.Name, Custom: ev.Block.Custom, Arguments: e.call.Arguments[:0]}
		}
		e.gap = e.mused && ev.Block.Kind == llm.ItemReasoning
	case llm.EventDelta:
		return e.delta(dst, &ev)
	case llm.EventBlockStop:
		if !e.open {
			return dst
		}
		e.open = false
		return e.called(dst, &ev)
	case llm.EventUsage:
		e.usage = ev.Usage
	case llm.EventFinish:
		e.over = true
		e.build()
		dst = append(dst, e.head...)
		dst = append(dst, `""`...)
		dst = e.close(dst, &ev)
		if ev.Finish.Reason == llm.FinishToolCalls && e.calls == 0 {
			ev.Finish.Reason = llm.FinishStop
		}
		own := ev.From == llm.Ollama
		mark := len(dst)
		dst = appendEnd(dst, ev.Finish, e.usage, own, ev.Ext, e.o.PromptEstimate)
		for i := mark; i < len(dst); i++ {
			if dst[i] == '\n' || dst[i] == '\r' {
				dst[i] = ' '
			}
		}
		return append(dst, "}\n"...)
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

func (e *encoder) delta(dst []byte, ev *llm.Event) []byte {
	switch ev.Delta.Kind {
	case llm.DeltaText, llm.DeltaRefusal:
		if ev.Delta.Text == "" {
			return dst
		}
		e.build()
		dst = append(dst, e.head...)
		dst = span.Quote(dst, ev.Delta.Text)
		return e.close(dst, ev)
	case llm.DeltaReasoning:
		if ev.Delta.Text == "" {
			return dst
		}
		e.build()
		dst = append(dst, e.head...)
		dst = append(dst, `"","thinking":`...)
		if e.gap {
			dst = span.Quote(dst, "\n\n"+ev.Delta.Text)
		} else {
			dst = span.Quote(dst, ev.Delta.Text)
		}
		e.mused, e.gap = true, false
		return e.close(dst, ev)
	case llm.DeltaArguments:
		e.call.Arguments = append(e.call.Arguments, ev.Delta.Text...)
	}
	// Signatures and what only another dialect can say have no place here.
	return dst
}

// called writes the line of a call, which is whole on this wire.
func (e *encoder) called(dst []byte, ev *llm.Event) []byte {
	e.build()
	dst = append(dst, e.head...)
	dst = append(dst, `"","tool_calls":[`...)
	dst = appendCall(dst, &e.call, e.calls)
	e.calls++
	dst = append(dst, ']')
	return e.close(dst, ev)
}
