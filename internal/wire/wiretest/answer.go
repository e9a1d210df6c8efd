package wiretest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// Answer is what a client makes of an answer, in a form that all dialects and
// both ways of delivery share: what must survive any translation.
type Answer struct {
	Text      string     `json:"text"`
	Refusal   string     `json:"refusal,omitzero"`
	Reasoning string     `json:"reasoning,omitzero"`
	Calls     []ToolCall `json:"calls,omitzero"`
	// Finish is in our own words, as coarse as the dialect's.
	Finish llm.FinishReason `json:"finish"`
	Usage  Tokens           `json:"usage,omitzero"`
	// Err says that the answer ended in an error; the words may differ.
	Err bool `json:"err,omitzero"`
}

// ToolCall is a call with its arguments as the client reads them, the bytes of
// a JSON text; "{}" when there are none.
type ToolCall struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// Tokens is usage as both dialects can tell it: Prompt is all of the prompt,
// CacheRead and CacheWrite are parts of it, Reasoning is a part of Output.
type Tokens struct {
	Prompt     int64 `json:"prompt"`
	CacheRead  int64 `json:"cache_read,omitzero"`
	CacheWrite int64 `json:"cache_write,omitzero"`
	Output     int64 `json:"output"`
	Reasoning  int64 `json:"reasoning,omitzero"`
}

// TokensOf converts our own words.
func TokensOf(u llm.Usage) Tokens {
	return Tokens{Prompt: u.Prompt(), CacheRead: u.CacheRead, CacheWrite: u.CacheWrite5m + u.CacheWrite1h, Output: u.Output, Reasoning: u.Reasoning}
}

// arguments brings arguments into the form in which they are compared: as they
// stand, but for white space around them and between tokens.
func arguments(b []byte) string {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return "{}"
	}
	v := jsontext.Value(bytes.Clone(b))
	if v.Compact(jsontext.AllowDuplicateNames(true)) == nil {
		b = v
	}
	return string(b)
}

// OfResponse reads an answer from our own words.
func OfResponse(r *llm.Response) Answer {
	a := Answer{Finish: r.Finish.Reason}
	if r.Usage.Source != "" { // else nothing was told of it, or half
		a.Usage = TokensOf(r.Usage)
	}
	for i := range r.Items {
		it := &r.Items[i]
		switch it.Kind {
		case llm.ItemMessage:
			for _, b := range it.Blocks {
				switch b.Kind {
				case llm.BlockText:
					a.Text += b.Text
				case llm.BlockRefusal:
					a.Refusal += b.Text
				}
			}
		case llm.ItemReasoning:
			a.Reasoning += it.Text()
		case llm.ItemToolCall:
			a.Calls = append(a.Calls, ToolCall{it.Call.ID, it.Call.Name, arguments(it.Call.Arguments)})
		}
	}
	return a
}

// Collect makes a whole answer of events: what a client would have been given
// had it not asked for a stream. The error is that of an EventError.
func Collect(from llm.Dialect, events []llm.Event) (*llm.Response, *llm.Error) {
	r := &llm.Response{From: from}
	var failed *llm.Error
	at := map[int]int{}
	for _, e := range events {
		switch e.Kind {
		case llm.EventStart:
			r.ID, r.Model, r.Created = e.ID, e.Model, e.Created
		case llm.EventBlockStart:
			at[e.Index] = len(r.Items)
			it := llm.Item{Kind: e.Block.Kind, Role: llm.Assistant, Type: e.Block.Type, From: from}
			it.Opaque = slices.Clone(e.Block.Opaque)
			switch e.Block.Kind {
			case llm.ItemToolCall:
				it.Call = llm.Call{ID: e.Block.ID, Name: e.Block.Name, Custom: e.Block.Custom}
			case llm.ItemOpaque:
				it.Raw = slices.Clone(e.Block.Raw)
			}
			r.Items = append(r.Items, it)
		case llm.EventDelta:
			i, ok := at[e.Index]
			if !ok {
				continue
			}
			it := &r.Items[i]
			switch e.Delta.Kind {
			case llm.DeltaText:
				grow(it, llm.BlockText, e.Delta.Text)
			case llm.DeltaRefusal:
				grow(it, llm.BlockRefusal, e.Delta.Text)
			case llm.DeltaReasoning:
				grow(it, llm.BlockText, e.Delta.Text)
			case llm.DeltaArguments:
				it.Call.Arguments = append(it.Call.Arguments, e.Delta.Text...)
			case llm.DeltaOpaque:
				o := e.Delta.Opaque
				if k := slices.IndexFunc(it.Opaque, func(p llm.Opaque) bool { return p.Issuer == o.Issuer && p.Kind == o.Kind }); k >= 0 {
					it.Opaque[k] = o
				} else {
					it.Opaque = append(it.Opaque, o)
				}
			}
		case llm.EventUsage:
			r.Usage = e.Usage
			r.Usage.Raw = nil // a stream's last object may tell only a part
		case llm.EventFinish:
			r.Finish = e.Finish
		case llm.EventError:
			failed = e.Err
			if failed == nil {
				failed = llm.Errorf(llm.MalformedUpstream, "an error event without an error")
			}
		}
	}
	return r, failed
}

func grow(it *llm.Item, kind llm.BlockKind, text string) {
	if n := len(it.Blocks); n > 0 && it.Blocks[n-1].Kind == kind {
		it.Blocks[n-1].Text += text
		return
	}
	it.Blocks = append(it.Blocks, llm.Block{Kind: kind, Text: text})
}

// Play makes the events of a whole answer, as a provider would have streamed
// them, in pieces of a few bytes.
func Play(r *llm.Response) []llm.Event {
	events := []llm.Event{{Kind: llm.EventStart, ID: r.ID, Model: r.Model, Created: r.Created}}
	for i := range r.Items {
		it := &r.Items[i]
		head := llm.BlockHead{Kind: it.Kind, Type: it.Type}
		var deltas []llm.Delta
		switch it.Kind {
		case llm.ItemToolCall:
			head.ID, head.Name, head.Custom = it.Call.ID, it.Call.Name, it.Call.Custom
			for _, p := range pieces(string(it.Call.Arguments)) {
				deltas = append(deltas, llm.Delta{Kind: llm.DeltaArguments, Text: p})
			}
		case llm.ItemReasoning:
			for _, p := range pieces(it.Text()) {
				deltas = append(deltas, llm.Delta{Kind: llm.DeltaReasoning, Text: p})
			}
			for _, o := range it.Opaque {
				if o.Kind == llm.OpaqueSignature {
					deltas = append(deltas, llm.Delta{Kind: llm.DeltaOpaque, Opaque: o})
				} else {
					head.Opaque = append(head.Opaque, o)
				}
			}
		case llm.ItemMessage:
			for _, b := range it.Blocks {
				kind := llm.DeltaText
				if b.Kind == llm.BlockRefusal {
					kind = llm.DeltaRefusal
				}
				for _, p := range pieces(b.Text) {
					deltas = append(deltas, llm.Delta{Kind: kind, Text: p})
				}
			}
		case llm.ItemOpaque:
			head.Raw = it.Raw
		}
		events = append(events, llm.Event{Kind: llm.EventBlockStart, Index: i, Block: head, From: r.From})
		for _, d := range deltas {
			events = append(events, llm.Event{Kind: llm.EventDelta, Index: i, Delta: d})
		}
		events = append(events, llm.Event{Kind: llm.EventBlockStop, Index: i})
	}
	if r.Usage.Source != "" {
		events = append(events, llm.Event{Kind: llm.EventUsage, Usage: r.Usage, From: r.From})
	}
	return append(events, llm.Event{Kind: llm.EventFinish, Finish: r.Finish})
}

// pieces cuts text between runes, about every seven bytes.
func pieces(s string) (all []string) {
	from := 0
	for i := range s {
		if i-from >= 7 {
			all, from = append(all, s[from:i]), i
		}
	}
	if from < len(s) {
		all = append(all, s[from:])
	}
	return all
}

// sameIDs gives the answers with call ids replaced by their order where the two
// answers differ in them only because the ids had to change form.
func sameIDs(a, b Answer) (Answer, Answer) {
	if len(a.Calls) != len(b.Calls) {
		return a, b
	}
	a.Calls, b.Calls = slices.Clone(a.Calls), slices.Clone(b.Calls)
	for i := range a.Calls {
		if a.Calls[i].ID == noID || b.Calls[i].ID == noID {
			a.Calls[i].ID, b.Calls[i].ID = noID, noID
		}
		if a.Calls[i].ID != b.Calls[i].ID && mustChange(a.Calls[i].ID) {
			a.Calls[i].ID, b.Calls[i].ID = "mapped", strings.Repeat("mapped", min(1, len(b.Calls[i].ID)))
		}
	}
	return a, b
}

// mustChange says that some dialect does not take the id as it is: empty, or
// with characters beyond [a-zA-Z0-9_-], or over 40 characters.
func mustChange(id string) bool {
	return id == "" || len(id) > 40 || strings.ContainsFunc(id, func(r rune) bool {
		return !(r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
}
