package ollama

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// NewDecoder returns a decoder of one stream of /api/chat or /api/generate;
// its frames are the lines of sse.NewLineReader.
func (Codec) NewDecoder() llm.StreamDecoder { return &decoder{} }

type decoder struct {
	started, over bool
	stamp         string // tells this answer's made ids from others
	next          int    // the index of the next block
	kind          llm.ItemKind
	calls         int
}

// Decode appends the events of one line.
func (d *decoder) Decode(dst []llm.Event, _, data []byte) ([]llm.Event, error) {
	if d.over {
		return dst, nil
	}
	raw := jsontext.Value(bytes.TrimSpace(data))
	if len(raw) == 0 {
		return append(dst, llm.Event{Kind: llm.EventPing}), nil
	}
	if !span.Valid(raw) {
		return dst, malformed("a line of the stream is not JSON", data)
	}
	if !span.IsObject(raw) {
		return dst, malformed("a line of the stream is not a JSON object", data)
	}
	if e := errorIn(raw, 200); e != nil {
		d.over = true
		return append(dst, llm.Event{Kind: llm.EventError, Err: e}), nil
	}
	a := read(raw, true)
	if !a.spoken && !a.done {
		return append(dst, llm.Event{Kind: llm.EventPing}), nil // progress of something else
	}
	if !d.started {
		d.started = true
		d.stamp = span.Text(a.created) + a.model
		dst = append(dst, llm.Event{Kind: llm.EventStart, ID: a.id(), Model: a.model, Created: a.unix(), From: llm.Ollama})
	}
	ext := a.ext
	if a.done {
		ext = nil // they belong to the end
	}
	if s := span.Text(a.thinking); s != "" {
		dst = d.say(dst, llm.ItemReasoning, llm.DeltaReasoning, s, ext)
		ext = nil
	}
	if s := span.Text(a.said); s != "" {
		dst = d.say(dst, llm.ItemMessage, llm.DeltaText, s, ext)
		ext = nil
	}
	for _, raw := range span.Elements(a.calls) {
		it, ok := readCall(raw)
		if !ok {
			return dst, malformed("a line of the stream calls a tool without a name", data)
		}
		if it.Call.ID == "" {
			it.Call.ID = madeID(d.stamp, d.calls, &it.Call)
		}
		d.calls++
		dst = d.stop(dst)
		args := string(it.Call.Arguments)
		if args == "" {
			args = "{}"
		}
		dst = append(dst,
			llm.Event{Kind: llm.EventBlockStart, Index: d.next, Block: llm.BlockHead{Kind: llm.ItemToolCall, ID: it.Call.ID, Name: it.Call.Name}, From: llm.Ollama},
			llm.Event{Kind: llm.EventDelta, Index: d.next, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: args}, From: llm.Ollama, Ext: ext},
			llm.Event{Kind: llm.EventBlockStop, Index: d.next})
		ext = nil
		d.next++
	}
	if !a.done {
		return dst, nil
	}
	d.over = true
	dst = d.stop(dst)
	if u := a.usage(); u.Source != "" || u.Output > 0 { // without a source, half a usage is none, but for the ledger
		dst = append(dst, llm.Event{Kind: llm.EventUsage, Usage: u, From: llm.Ollama})
	} else if a.output != nil { // clients of this dialect have the number
		a.ext = append(a.ext, llm.Member{Name: "eval_count", Value: bytes.Clone(a.output)})
	}
	return append(dst, llm.Event{Kind: llm.EventFinish, Finish: a.finish(d.calls > 0), From: llm.Ollama, Ext: a.ext}), nil
}

// say adds text to the block of its kind, which it opens if need be.
func (d *decoder) say(dst []llm.Event, block llm.ItemKind, kind llm.DeltaKind, s string, ext []llm.Member) []llm.Event {
	if d.kind != block {
		dst = d.stop(dst)
		d.kind = block
		dst = append(dst, llm.Event{Kind: llm.EventBlockStart, Index: d.next, Block: llm.BlockHead{Kind: block}, From: llm.Ollama})
	}
	return append(dst, llm.Event{Kind: llm.EventDelta, Index: d.next, Delta: llm.Delta{Kind: kind, Text: s}, From: llm.Ollama, Ext: ext})
}

// stop closes the open block.
func (d *decoder) stop(dst []llm.Event) []llm.Event {
	if d.kind == "" {
		return dst
	}
	d.kind = ""
	d.next++
	return append(dst, llm.Event{Kind: llm.EventBlockStop, Index: d.next - 1})
}

// Close says that the stream ended. Without a line that says done it was cut.
func (d *decoder) Close(dst []llm.Event) []llm.Event {
	if d.over {
		return dst
	}
	d.over = true
	return append(dst, llm.Event{Kind: llm.EventError, Err: &llm.Error{Class: llm.MalformedUpstream, From: llm.Ollama,
		Message: "the provider's stream ended before its answer was done, after " + strconv.Itoa(d.next) + " blocks"}})
}
