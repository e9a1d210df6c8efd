package ollama

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// This file writes the messages array: it groups items into turns and turns
// into messages.

// billing begins a line that Claude Code puts first in its system prompt for
// Anthropic's own accounting (2026-11). It means nothing here, and it differs
// from request to request, which would spoil every prompt cache.
const billing = "x-anthropic-billing-header:"

func (e *requestEncoder) messages() {
	e.o.B = append(e.o.B, '[')
	start := len(e.o.B)
	items := e.r.Items
	spoken := false // something other than instructions was written
	for i := 0; i < len(items); {
		it := &items[i]
		if it.Kind == llm.ItemOpaque && it.Role != llm.Assistant {
			// A member of our own is written in its place.
			if it.From != llm.Ollama {
				e.refuseItem(it)
			}
			i++
			continue
		}
		if it.Role != llm.Assistant {
			switch {
			case it.Kind == llm.ItemToolResult:
				e.result(it, start, nil)
			case it.Kind != llm.ItemMessage:
				e.refuseItem(it)
			default:
				e.said(it, start, spoken)
			}
			spoken = spoken || it.Role == llm.User
			i++
			continue
		}
		n := i + 1
		for n < len(items) && items[n].Role == llm.Assistant && items[n].Turn == it.Turn {
			n++
		}
		e.assistant(items[i:n], start)
		spoken = true
		if !e.own {
			n = e.answers(items, i, n, start)
		}
		i = n
	}
	e.o.B = append(e.o.B, ']')
	if n := len(items); n > 0 && !e.own && items[n-1].Role == llm.Assistant && !e.c.Can(llm.Prefill) {
		e.Lose(llm.LossRefuse, items[n-1].Path, "the model cannot go on from an answer that is begun")
	}
}

func (e *requestEncoder) refuseItem(it *llm.Item) {
	what := it.Type
	if what == "" {
		what = string(it.Kind)
	}
	e.Lose(llm.LossRefuse, it.Path, "Ollama cannot express %s", what)
}

// message begins a message object.
func (e *requestEncoder) message(start int, role string) span.Object {
	if len(e.o.B) > start {
		e.o.B = append(e.o.B, ',')
	}
	m := span.Open(e.o.B)
	m.Str("role", role)
	return m
}

// finish ends a message with the members that are carried.
func (e *requestEncoder) finish(m span.Object, it *llm.Item) {
	if it != nil {
		e.carry(&m, it)
	}
	e.o.B = m.Close()
}

func (e *requestEncoder) carry(m *span.Object, it *llm.Item) {
	if it.From != llm.Ollama {
		e.dropped(it)
		return
	}
	for _, x := range it.Ext {
		m.Raw(x.Name, x.Value)
	}
}

// dropped tells of what hangs on a foreign item and has no place here.
func (e *requestEncoder) dropped(it *llm.Item) {
	if it.Name != "" && it.Kind == llm.ItemMessage {
		e.LoseOnce(llm.LossWarn, "name", it.Path+".name", "dropped: Ollama has no speakers' names")
	}
	e.droppedMembers(it.Path, it.Ext)
}

func (e *requestEncoder) droppedMembers(path string, ext []llm.Member) {
	for _, x := range ext {
		if span.IsNull(x.Value) {
			continue // says nothing
		}
		switch x.Name {
		case "citations":
			if span.Kind(span.Field(x.Value, "enabled")) == 't' {
				e.Lose(llm.LossRefuse, path+".citations", "Ollama cannot cite documents")
			}
		case "caller":
			if t := span.Text(span.Field(x.Value, "type")); t != "" && t != "direct" {
				e.Lose(llm.LossRefuse, path+".caller", "Ollama cannot express programmatic calls")
			}
		case "prompt_cache_breakpoint": // an automatic cache does without
		default:
			if v := string(x.Value); v != "[]" && v != "{}" {
				e.LoseOnce(llm.LossWarn, "ext:"+x.Name, path+"."+x.Name, "dropped: Ollama has no such member")
			}
		}
	}
}

// piece is what one message can say: pictures, and text behind them.
type piece struct {
	images []byte // a list that is not closed yet
	text   []byte
}

// pieces divides blocks into what one message each can say. On this wire the
// pictures of a message stand before its text, so a picture behind a text
// begins a message of its own (as Ollama's OpenAI door does it).
func (e *requestEncoder) pieces(blocks []llm.Block, path, sep string) []piece {
	all := []piece{{}}
	for i := range blocks {
		bl := &blocks[i]
		p := &all[len(all)-1]
		said := ""
		switch bl.Kind {
		case llm.BlockText, llm.BlockRefusal:
			if said = bl.Text; strings.HasPrefix(said, billing) && bl.From != llm.Ollama {
				e.LoseOnce(llm.LossCarry, "billing", path, "a line for Anthropic's accounting")
				continue
			}
		case llm.BlockFile:
			if bl.Media.Text == "" {
				e.LoseOnce(llm.LossRefuse, "files", path, "Ollama takes no documents but plain text")
				continue
			}
			if said = bl.Media.Text; bl.Media.Name != "" {
				said = bl.Media.Name + "\n\n" + said
			}
		case llm.BlockImage:
			if len(p.text) > 0 {
				all = append(all, piece{})
				p = &all[len(all)-1]
			}
			p.images = e.image(p.images, bl, path)
		case llm.BlockAudio:
			e.LoseOnce(llm.LossRefuse, "audio", path, "Ollama takes no audio here")
			continue
		default:
			what := bl.Type
			if what == "" {
				what = string(bl.Kind)
			}
			e.Lose(llm.LossRefuse, path, "Ollama cannot express %s", what)
			continue
		}
		if bl.From != llm.Ollama {
			if len(bl.Citations) > 0 && !span.IsNull(bl.Citations) && string(bl.Citations) != "[]" {
				e.LoseOnce(llm.LossCarry, "citations", path+".citations", "citations of an earlier answer")
			}
			e.droppedMembers(path, bl.Ext)
		}
		if said != "" {
			if len(p.text) > 0 {
				p.text = append(p.text, sep...)
			}
			p.text = append(p.text, said...)
		}
	}
	return all
}

// image appends a picture to a list of them, or refuses it.
func (e *requestEncoder) image(list []byte, bl *llm.Block, path string) []byte {
	switch {
	case !e.c.Can(llm.Vision):
		e.LoseOnce(llm.LossRefuse, "images", path, "the model takes no images")
		return list
	case bl.Media.Data == "":
		e.LoseOnce(llm.LossRefuse, "urls", path, "Ollama takes images as data only, and they are not fetched")
		return list
	}
	if d := bl.Media.Detail; d != "" && d != "auto" {
		e.LoseOnce(llm.LossWarn, "detail", path+".detail", "dropped: Ollama has no such member")
	}
	if len(list) == 0 {
		list = append(list, '[')
	} else {
		list = append(list, ',')
	}
	mark := len(list)
	list = span.Quote(list, bl.Media.Data)
	e.pictures++
	e.pixels += len(list) - mark
	return list
}

// said writes a message of the system or the user.
func (e *requestEncoder) said(it *llm.Item, start int, spoken bool) {
	role := "user"
	system := it.Role == llm.System || it.Role == llm.Developer
	wrap := system && spoken && !e.own && !e.c.Can(llm.MidSystem)
	if wrap {
		// The model's template wants its instructions first; moving this one
		// there would change the order of what was said.
		e.LoseOnce(llm.LossWarn, "midsystem", it.Path, "approximated: a user message, as the model takes no system message here")
	} else if system {
		role = "system"
	}
	if e.own && it.Role == llm.Developer {
		role = "developer"
	}
	pieces := e.pieces(it.Blocks, it.Path, "\n\n")
	for i := range pieces {
		p := &pieces[i]
		if len(p.text) == 0 && len(p.images) == 0 && !(e.own && len(pieces) == 1) {
			continue
		}
		if wrap {
			p.text = append(append([]byte("<system>\n"), p.text...), "\n</system>"...)
		}
		m := e.message(start, role)
		m.Name("content")
		m.B = span.Quote(m.B, p.text)
		if len(p.images) > 0 {
			m.Raw("images", append(p.images, ']'))
		}
		if i == len(pieces)-1 {
			e.finish(m, it)
		} else {
			e.finish(m, nil)
		}
	}
}

// assistant writes one assistant message.
func (e *requestEncoder) assistant(items []llm.Item, start int) {
	var thought, said, images, calls []byte
	var first *llm.Item
	n := 0
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case llm.ItemReasoning:
			if t := it.Text(); t != "" && e.c.Can(llm.Thinking) {
				if len(thought) > 0 {
					thought = append(thought, "\n\n"...)
				}
				thought = append(thought, t...)
			} else if t != "" {
				e.LoseOnce(llm.LossCarry, "thinking", it.Path, "thinking that this target does not take back")
			}
			if len(it.Opaque) > 0 {
				e.LoseOnce(llm.LossCarry, "opaque", it.Path, "state that only its issuer can read")
			}
		case llm.ItemToolCall:
			if n > 0 {
				calls = append(calls, ',')
			}
			calls = e.call(calls, it, n)
			n++
		case llm.ItemMessage:
			if first == nil {
				first = it
			} else if it.From != llm.Ollama {
				e.dropped(it)
			}
			mark := len(said)
			for _, p := range e.pieces(it.Blocks, it.Path, "") {
				if len(p.images) > 0 { // Ollama takes them of any speaker
					if len(images) > 0 {
						p.images[0] = ','
					}
					images = append(images, p.images...)
				}
				if len(p.text) > 0 && mark > 0 && len(said) == mark {
					said = append(said, "\n\n"...)
				}
				said = append(said, p.text...)
			}
		default:
			e.refuseItem(it)
		}
	}
	if len(thought) == 0 && len(said) == 0 && len(images) == 0 && n == 0 && !(e.own && first != nil) {
		return
	}
	m := e.message(start, "assistant")
	m.Name("content")
	m.B = span.Quote(m.B, said)
	if len(thought) > 0 {
		m.Name("thinking")
		m.B = span.Quote(m.B, thought)
	}
	if len(images) > 0 {
		m.Raw("images", append(images, ']'))
	}
	if n > 0 {
		m.Name("tool_calls")
		m.B = append(append(append(m.B, '['), calls...), ']')
	}
	e.finish(m, first)
}

// call appends one tool call.
func (e *requestEncoder) call(b []byte, it *llm.Item, n int) []byte {
	if it.From == llm.Ollama && len(it.Raw) > 0 {
		return append(b, it.Raw...)
	}
	if it.From != llm.Ollama {
		e.dropped(it)
		if len(it.Opaque) > 0 {
			e.LoseOnce(llm.LossCarry, "opaque", it.Path, "state that only its issuer can read")
		}
	}
	return appendCall(b, &it.Call, n)
}

// appendCall writes a call: an id, and a function whose arguments are an
// object on this wire.
func appendCall(b []byte, c *llm.Call, n int) []byte {
	o := span.Open(b)
	if c.ID != "" {
		o.Str("id", c.ID)
	}
	o.Name("function")
	f := span.Open(o.B)
	f.Int("index", int64(n))
	f.Str("name", c.Name)
	f.Name("arguments")
	f.B = appendArguments(f.B, c)
	o.B = f.Close()
	return o.Close()
}

// appendArguments writes the arguments as the object that this wire wants:
// the model's own bytes where they are one. What is free text stands under
// "input", what is broken under "_raw". Line ends between tokens become
// spaces: in a stream they would end the line.
func appendArguments(b []byte, c *llm.Call) []byte {
	args := jsontext.Value(c.Arguments)
	switch {
	case c.Custom:
		b = span.Quote(append(b, `{"input":`...), c.Arguments)
		return append(b, '}')
	case span.SkipSpace(args, 0) == len(args):
		return append(b, "{}"...)
	case !span.IsObject(args) || !args.IsValid():
		b = span.Quote(append(b, `{"_raw":`...), c.Arguments)
		return append(b, '}')
	}
	return appendLine(b, args)
}

// appendLine appends valid JSON on one line: its raw line ends can only stand
// between tokens.
func appendLine(b []byte, v []byte) []byte {
	mark := len(b)
	b = append(b, v...)
	for i := mark; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			b[i] = ' '
		}
	}
	return b
}

// answers writes the results of the calls in items[from:at], in the order of
// the calls, directly behind them, and gives where to go on. Results that
// answer none of them stay for result, which refuses them.
func (e *requestEncoder) answers(items []llm.Item, from, at, start int) int {
	end := at
	for end < len(items) && items[end].Role != llm.Assistant {
		end++
	}
	var done []int
	asked := false
	for i := from; i < at; i++ {
		call := &items[i]
		if call.Kind != llm.ItemToolCall {
			continue
		}
		asked = true
		found := -1
		for k := at; k < end; k++ {
			if it := &items[k]; it.Kind == llm.ItemToolResult && it.Result.CallID == call.Call.ID && !has(done, k) {
				found = k
				break
			}
		}
		switch {
		case found >= 0:
			done = append(done, found)
			e.result(&items[found], start, &call.Call)
		case end < len(items) || end > at:
			e.LoseOnce(llm.LossWarn, "unanswered", call.Path, `a call without a result: "[no result]" was put in`)
			e.result(&llm.Item{Kind: llm.ItemToolResult, Path: call.Path, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "[no result]"}}}, start, &call.Call)
		}
	}
	if !asked {
		return at
	}
	for k := at; k < end; k++ {
		it := &items[k]
		switch {
		case has(done, k):
		case it.Kind == llm.ItemToolResult:
			e.result(it, start, nil)
		case it.Kind == llm.ItemMessage:
			e.said(it, start, true)
		default:
			e.refuseItem(it)
		}
	}
	return end
}

func has(list []int, n int) bool {
	for _, k := range list {
		if k == n {
			return true
		}
	}
	return false
}

// result writes a tool result; call is what it answers where that is known.
func (e *requestEncoder) result(it *llm.Item, start int, call *llm.Call) {
	if call == nil && !e.own {
		e.Lose(llm.LossRefuse, it.Path, "a result for the call %q, which the turn before did not make", it.Result.CallID)
		return
	}
	var said, images []byte
	if it.Result.IsError && !strings.HasPrefix(it.Text(), "Error") {
		said = append(said, "Error: "...)
	}
	mark := len(said)
	for _, p := range e.pieces(it.Blocks, it.Path, "\n\n") {
		if len(p.images) > 0 {
			if len(images) > 0 {
				p.images[0] = ','
			}
			images = append(images, p.images...)
		}
		if len(p.text) > 0 && len(said) > mark {
			said = append(said, "\n\n"...)
		}
		said = append(said, p.text...)
	}
	m := e.message(start, "tool")
	m.Name("content")
	m.B = span.Quote(m.B, said)
	if len(images) > 0 {
		m.Raw("images", append(images, ']'))
	}
	name, id := it.Result.Name, it.Result.CallID
	if call != nil {
		name, id = call.Name, call.ID
	}
	spelled := func(k string) bool { return len(it.Raw) == 0 || it.From != llm.Ollama || span.Field(it.Raw, k) != nil }
	if name != "" && spelled("tool_name") {
		m.Str("tool_name", name)
	}
	if id != "" && spelled("tool_call_id") { // whoever gave none is given none back
		m.Str("tool_call_id", id)
	}
	e.finish(m, it)
}
