package responses

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// This file writes the instructions and the input array.

// billing begins a line that Claude Code puts first in its system prompt for
// Anthropic's own accounting (2026-11). It means nothing to other vendors, and
// it differs from request to request, which would spoil every prompt cache.
const billing = "x-anthropic-billing-header:"

func (e *requestEncoder) instructions() {
	if e.own {
		for i := range e.r.Items {
			if it := &e.r.Items[i]; it.Type == typeInstructions && it.Kind == llm.ItemMessage {
				e.o.Str("instructions", it.Text())
				return
			}
		}
		if raw, ok := e.spelled["instructions"]; ok && span.Blank(raw) {
			e.o.Raw("instructions", raw)
		}
		return
	}
	var s []byte
	for i := range e.r.Items[:e.first] {
		it := &e.r.Items[i]
		e.named(it)
		for k := range it.Blocks {
			t := e.words(&it.Blocks[k], it.Path)
			if t == "" {
				continue
			}
			if len(s) > 0 {
				s = append(s, gap...)
			}
			s = append(s, t...)
		}
		if it.Path != "" {
			e.dropped(it.Path, it.Ext)
		}
	}
	if len(s) > 0 {
		e.o.Name("instructions")
		e.o.B = span.Quote(e.o.B, s)
	}
}

// words gives the text of a foreign block, and tells of what hangs on it.
func (e *requestEncoder) words(bl *llm.Block, path string) string {
	if len(bl.Citations) > 0 && !span.IsNull(bl.Citations) && !span.Blank(bl.Citations) {
		e.LoseOnce(llm.LossCarry, "citations", forms.Join(path, "citations"), "citations of an earlier answer")
	}
	e.dropped(path, bl.Ext)
	if strings.HasPrefix(bl.Text, billing) {
		e.LoseOnce(llm.LossCarry, "billing", path, "a line for Anthropic's accounting")
		return ""
	}
	return bl.Text
}

func (e *requestEncoder) named(it *llm.Item) {
	if it.Name != "" && it.Kind == llm.ItemMessage {
		e.LoseOnce(llm.LossWarn, "name", forms.Join(it.Path, "name"), "dropped: Responses does not name speakers")
	}
}

func (e *requestEncoder) input(raw jsontext.Value) {
	items := e.r.Items
	if e.own {
		// A bare string goes back as one.
		if span.IsString(raw) {
			for i := range items {
				if it := &items[i]; it.Path == "input" && it.Kind == llm.ItemMessage && len(it.Blocks) == 1 && others(items) == 1 {
					e.o.Str("input", it.Blocks[0].Text)
					return
				}
			}
		}
		if raw == nil && others(items) == 0 && !e.hasInput() {
			return
		}
	}
	e.o.Name("input")
	e.o.B = append(e.o.B, '[')
	start := len(e.o.B)
	if !e.own {
		items = inCallOrder(items)
		e.pair(items)
	}
	spoken := false
	for i := e.first; i < len(items); i++ {
		it := &items[i]
		e.item(it, start, spoken)
		spoken = true
		if it.Role != llm.Assistant || i+1 == len(items) || items[i+1].Role == llm.Assistant && items[i+1].Turn == it.Turn {
			continue
		}
		// Every call must be answered on this wire before the model goes on.
		for k := i; k >= e.first && items[k].Role == llm.Assistant && items[k].Turn == it.Turn; k-- {
			if c := &items[k]; c.Kind == llm.ItemToolCall {
				if !e.own && slices.Contains(e.unanswered[c.Call.ID], k) {
					e.Lose(llm.LossWarn, "messages", "the call %s had no result; \"[no result]\" was put in", c.Call.ID)
					e.result(&llm.Item{Result: llm.Result{CallID: c.Call.ID}, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "[no result]"}}}, start)
				}
			}
		}
	}
	e.o.B = append(e.o.B, ']')
	if n := len(items); n > 0 && !e.own && items[n-1].Role == llm.Assistant && !e.c.Can(llm.Prefill) {
		e.Lose(llm.LossRefuse, items[n-1].Path, "the model cannot go on from an answer that is begun")
	}
}

// inCallOrder gives the items with the results of one turn in the order of
// their calls, as some servers match them by place. It copies only what is not
// in order already.
func inCallOrder(items []llm.Item) []llm.Item {
	var calls map[string]int
	place := func(it *llm.Item) int { return calls[it.Result.CallID] }
	copied := false
	for i := 0; i < len(items); i++ {
		switch items[i].Kind {
		case llm.ItemToolCall:
			if calls == nil {
				calls = map[string]int{}
			}
			calls[items[i].Call.ID] = i
		case llm.ItemToolResult:
			n := i + 1
			for n < len(items) && items[n].Kind == llm.ItemToolResult {
				n++
			}
			byCall := func(a, b llm.Item) int { return place(&a) - place(&b) }
			if !slices.IsSortedFunc(items[i:n], byCall) {
				if !copied {
					items, copied = slices.Clone(items), true
				}
				slices.SortStableFunc(items[i:n], byCall)
			}
			i = n - 1
		}
	}
	return items
}

// pair notes the calls that no result answers. Small servers give the same id
// again in a later turn, so results are counted off against calls in order.
func (e *requestEncoder) pair(items []llm.Item) {
	for i := range items {
		if it := &items[i]; it.Kind == llm.ItemToolCall {
			if e.unanswered == nil {
				e.unanswered = map[string][]int{}
			}
			e.unanswered[it.Call.ID] = append(e.unanswered[it.Call.ID], i)
		}
	}
	for i := range items {
		if it := &items[i]; it.Kind == llm.ItemToolResult {
			open := e.unanswered[it.Result.CallID]
			if len(open) == 0 {
				e.Lose(llm.LossRefuse, it.Path, "a tool result without its call")
				continue
			}
			e.unanswered[it.Result.CallID] = open[1:]
		}
	}
}

// others counts the items that stand in input.
func others(items []llm.Item) (n int) {
	for i := range items {
		if items[i].Type != typeInstructions || items[i].Kind != llm.ItemMessage {
			n++
		}
	}
	return n
}

// hasInput says that the client of this dialect wrote an input, be it empty.
func (e *requestEncoder) hasInput() bool {
	_, ok := e.spelled["input"]
	return ok
}

// begin begins an item.
func (e *requestEncoder) begin(start int, kind string) span.Object {
	if len(e.o.B) > start {
		e.o.B = append(e.o.B, ',')
	}
	o := span.Open(e.o.B)
	o.Str("type", kind)
	return o
}

// finish ends an item with the members that are carried.
func (e *requestEncoder) finish(o span.Object, it *llm.Item) {
	if it.From == llm.Responses {
		for _, m := range it.Ext {
			o.Raw(m.Name, m.Value)
		}
	} else {
		e.dropped(it.Path, it.Ext)
	}
	e.o.B = o.Close()
}

func (e *requestEncoder) item(it *llm.Item, start int, spoken bool) {
	own := it.From == llm.Responses
	switch {
	case it.Kind == llm.ItemReasoning:
		e.thought(it, start)
	case it.Kind == llm.ItemMessage && it.Type == typeInstructions && own:
		// stands in instructions
	case own && len(it.Raw) > 0:
		if it.Kind == llm.ItemMessage {
			for i := range it.Blocks {
				if !e.able(&it.Blocks[i], it.Path) {
					return
				}
			}
			if it.Role == llm.Developer && !e.c.Can(llm.DeveloperRole) {
				e.message(it, start, spoken)
				return
			}
		}
		if len(e.o.B) > start {
			e.o.B = append(e.o.B, ',')
		}
		e.o.B = append(e.o.B, it.Raw...)
	case it.Kind == llm.ItemMessage:
		e.message(it, start, spoken)
	case it.Kind == llm.ItemToolCall:
		e.call(it, start)
	case it.Kind == llm.ItemToolResult:
		e.result(it, start)
	default:
		what := it.Type
		if what == "" {
			what = string(it.Kind)
		}
		e.Lose(llm.LossRefuse, it.Path, "Responses cannot express %s", what)
	}
}

// role gives the role under which the target takes an instruction.
func (e *requestEncoder) role(it *llm.Item) string {
	switch {
	case it.Role == llm.Developer && e.c.Can(llm.DeveloperRole):
		return "developer"
	case it.From != llm.OpenAI && it.From != llm.Responses && e.c.Known && e.c.Can(llm.DeveloperRole):
		return "developer"
	}
	return "system"
}

func (e *requestEncoder) message(it *llm.Item, start int, spoken bool) {
	own := it.From == llm.Responses
	role, wrap := string(it.Role), false
	if it.Role == llm.System || it.Role == llm.Developer {
		role = e.role(it)
		if spoken && !e.c.Can(llm.MidSystem) {
			// The model's template wants its instructions first; moving this one
			// there would change the order of what was said.
			role, wrap = "user", true
			e.LoseOnce(llm.LossWarn, "midsystem", it.Path, "approximated: a user message, as the model takes no system message here")
		}
	}
	mark := len(e.o.B)
	o := e.begin(start, "message")
	if own && it.ID != "" {
		o.Str("id", it.ID)
	}
	o.Str("role", role)
	o.Name("content")
	from := len(o.B)
	if wrap {
		o.B = span.Quote(o.B, "<system>\n"+it.Text()+"\n</system>")
	} else {
		o.B = e.content(o.B, it, it.Role == llm.Assistant)
	}
	if !own && (len(o.B) == from || string(o.B[from:]) == `""` || string(o.B[from:]) == "[]") {
		e.o.B = o.B[:mark] // nothing was said
		return
	}
	if len(o.B) == from {
		o.B = append(o.B, `""`...)
	}
	e.named(it)
	e.finish(o, it)
}

// content appends the content of a message or a result: a string where there
// is one text, else a list of parts.
func (e *requestEncoder) content(b []byte, it *llm.Item, assistant bool) []byte {
	if len(it.Blocks) == 1 && it.Blocks[0].Kind == llm.BlockText && len(it.Blocks[0].Raw) == 0 {
		if it.From == llm.Responses {
			return span.Quote(b, it.Blocks[0].Text)
		}
		return span.Quote(b, e.words(&it.Blocks[0], it.Path))
	}
	b = append(b, '[')
	mark := len(b)
	for i := range it.Blocks {
		n := len(b)
		if n > mark {
			b = append(b, ',')
		}
		from := len(b)
		if b = e.part(b, &it.Blocks[i], it.Path, assistant); len(b) == from {
			b = b[:n]
		}
	}
	return append(b, ']')
}

// part appends one content part, or nothing when it is empty or refused.
func (e *requestEncoder) part(b []byte, bl *llm.Block, path string, assistant bool) []byte {
	if !e.able(bl, path) {
		return b
	}
	own := bl.From == llm.Responses
	if own && len(bl.Raw) > 0 {
		return append(b, bl.Raw...)
	}
	m := &bl.Media
	if m.FileID != "" && !own {
		e.Lose(llm.LossRefuse, path, "a file of another provider")
		return b
	}
	words := bl.Text
	if !own {
		words = e.words(bl, path)
	}
	var o span.Object
	switch {
	case bl.Kind == llm.BlockText || bl.Kind == llm.BlockFile && m.Text != "":
		if bl.Kind == llm.BlockFile {
			if words = m.Text; m.Name != "" {
				words = m.Name + gap + m.Text
			}
		}
		if words == "" && !own {
			return b
		}
		o = span.Open(b)
		if assistant {
			o.Str("type", "output_text")
			o.Str("text", words)
			o.Raw("annotations", []byte("[]"))
		} else {
			o.Str("type", "input_text")
			o.Str("text", words)
		}
	case bl.Kind == llm.BlockRefusal && assistant:
		o = span.Open(b)
		o.Str("type", "refusal")
		o.Str("refusal", words)
	case bl.Kind == llm.BlockImage && !assistant:
		o = span.Open(b)
		o.Str("type", "input_image")
		switch {
		case m.FileID != "":
			o.Str("file_id", m.FileID)
		case m.Data != "":
			o.Name("image_url")
			o.B = dataURL(o.B, m, "image/png")
		default:
			o.Str("image_url", m.URL)
		}
		if m.Detail != "" {
			o.Str("detail", m.Detail)
		}
	case bl.Kind == llm.BlockFile && !assistant:
		o = span.Open(b)
		o.Str("type", "input_file")
		switch {
		case m.FileID != "":
			o.Str("file_id", m.FileID)
		case m.Data != "":
			name := m.Name
			if name == "" {
				name = "document.pdf"
			}
			o.Str("filename", name)
			o.Name("file_data")
			o.B = dataURL(o.B, m, "application/pdf")
		default:
			o.Str("file_url", m.URL)
		}
	case bl.Kind == llm.BlockAudio && !assistant:
		if m.Data == "" {
			e.Lose(llm.LossRefuse, path, "Responses takes sound as data, not by its address")
			return b
		}
		o = span.Open(b)
		o.Str("type", "input_audio")
		o.Name("input_audio")
		a := span.Open(o.B)
		a.Str("data", m.Data)
		a.Str("format", audioFormat(m.MIME))
		o.B = a.Close()
	default:
		what := bl.Type
		if what == "" {
			what = string(bl.Kind)
		}
		e.Lose(llm.LossRefuse, path, "Responses cannot express %s here", what)
		return b
	}
	if own {
		for _, x := range bl.Ext {
			o.Raw(x.Name, x.Value)
		}
	}
	return o.Close()
}

func audioFormat(mime string) string {
	switch f := strings.TrimPrefix(mime, "audio/"); f {
	case "mpeg", "mp3":
		return "mp3"
	case "x-wav", "wave", "wav", "":
		return "wav"
	default:
		return f
	}
}

// dataURL appends the quoted data: URL of media.
func dataURL(b []byte, m *llm.Media, mime string) []byte {
	if m.MIME != "" {
		mime = m.MIME
	}
	b = append(b, `"data:`...)
	quoted := span.Quote(nil, mime)
	b = append(b, quoted[1:len(quoted)-1]...)
	b = append(b, ";base64,"...)
	quoted = span.Quote(nil, m.Data)
	return append(b, quoted[1:]...)
}

// able checks that the target can take the block's kind.
func (e *requestEncoder) able(bl *llm.Block, path string) bool {
	need, what := llm.Feature(0), ""
	switch bl.Kind {
	case llm.BlockImage:
		need, what = llm.Vision, "images"
	case llm.BlockAudio:
		need, what = llm.AudioInput, "audio"
	case llm.BlockFile:
		if bl.Media.Text == "" {
			need, what = llm.PDF, "documents"
		}
	}
	if need == 0 || e.c.Can(need) {
		return true
	}
	e.LoseOnce(llm.LossRefuse, what, path, "the model takes no "+what)
	return false
}

func (e *requestEncoder) call(it *llm.Item, start int) {
	args := it.Call.Arguments
	kind, member := "function_call", "arguments"
	if it.Call.Custom {
		kind, member = "custom_tool_call", "input"
	} else if len(args) == 0 {
		args = []byte("{}")
	}
	o := e.begin(start, kind)
	if it.From == llm.Responses && it.ID != "" && it.ID != it.Call.ID {
		o.Str("id", it.ID)
	}
	o.Str("call_id", e.callID(it.Call.ID))
	appendName(&o, e.toolName(it.Call.Name))
	o.Name(member)
	o.B = span.Quote(o.B, args)
	e.finish(o, it)
}

func (e *requestEncoder) result(it *llm.Item, start int) {
	kind := "function_call_output"
	if it.Type == typeCustomResult || e.customs[it.Result.CallID] {
		kind = typeCustomResult
	}
	own := it.From == llm.Responses
	blocks := it.Blocks
	if !own && it.Result.IsError {
		blocks = errorText(blocks)
	}
	o := e.begin(start, kind)
	if own && it.ID != "" {
		o.Str("id", it.ID)
	}
	o.Str("call_id", e.callID(it.Result.CallID))
	if own && it.Result.Name != "" {
		o.Str("name", it.Result.Name)
	}
	o.Name("output")
	plain := !slices.ContainsFunc(blocks, func(b llm.Block) bool {
		return b.Kind != llm.BlockText && !(b.Kind == llm.BlockFile && b.Media.Text != "") || own && len(b.Raw) > 0
	})
	if plain {
		var s []byte
		for i := range blocks {
			t := blocks[i].Text
			if !own {
				t = e.words(&blocks[i], it.Path)
			}
			if blocks[i].Kind == llm.BlockFile {
				if t = blocks[i].Media.Text; blocks[i].Media.Name != "" {
					t = blocks[i].Media.Name + gap + t
				}
			}
			if t == "" {
				continue
			}
			if len(s) > 0 {
				s = append(s, gap...)
			}
			s = append(s, t...)
		}
		o.B = span.Quote(o.B, s)
	} else {
		listed := *it
		listed.Blocks = blocks
		o.B = e.content(o.B, &listed, false)
	}
	e.finish(o, it)
}

// errorText makes a failed result say so in words, as this wire has no flag.
func errorText(blocks []llm.Block) []llm.Block {
	blocks = slices.Clone(blocks)
	for i := range blocks {
		if blocks[i].Kind != llm.BlockText || blocks[i].Text == "" {
			continue
		}
		head := strings.ToLower(strings.TrimLeft(blocks[i].Text, " \t\r\n<[{\"'*#"))
		head = head[:min(len(head), 80)]
		for _, w := range []string{"error", "exception", "traceback", "failed", "failure", "fatal"} {
			if strings.HasPrefix(head, w) || strings.Contains(head, w+":") {
				return blocks
			}
		}
		blocks[i].Text = "Error: " + blocks[i].Text
		return blocks
	}
	return append([]llm.Block{{Kind: llm.BlockText, Text: "Error: the tool failed"}}, blocks...)
}

// thought writes a reasoning item. One that a client of this dialect gives back
// goes as it is; one that we write has an id and a summary, be it empty. What
// another issuer made is not sent: the client keeps it.
func (e *requestEncoder) thought(it *llm.Item, start int) {
	own := it.From == llm.Responses
	data, mine := genuine(it.Opaque)
	if own && len(it.Raw) > 0 && strings.HasPrefix(span.Text(span.Field(it.Raw, "encrypted_content")), wrapped) {
		own = false // the gateway made the item of another dialect's thought
	} else if own && len(it.Raw) > 0 {
		if len(e.o.B) > start {
			e.o.B = append(e.o.B, ',')
		}
		e.o.B = append(e.o.B, it.Raw...)
		return
	}
	plain := e.c.ReasoningField == typeContent // open models, which take thinking back as text
	if !mine && len(it.Opaque) > 0 || !mine && !own && !plain || !own && len(it.Opaque) == 0 && it.Text() == "" {
		e.LoseOnce(llm.LossCarry, "thinking", it.Path, "thinking that this target does not take back")
		return
	}
	o := e.begin(start, "reasoning")
	id := it.ID
	if id == "" {
		id = "rs_" + hashOf(data+"\x00"+it.Text(), 48)
	}
	o.Str("id", id)
	appendThought(&o, it, !own && !mine)
	if mine {
		o.Str("encrypted_content", data)
	}
	if own {
		for _, m := range it.Ext {
			if m.Name != "summary" {
				o.Raw(m.Name, m.Value)
			}
		}
	}
	e.o.B = o.Close()
}

// appendThought writes what is shown of a thought: its summary, or, for one
// that is shown in full, its content beside the summary that it may have.
// foreign says that another dialect's provider had it: it is shown in full.
func appendThought(o *span.Object, it *llm.Item, foreign bool) {
	full := foreign || it.From == llm.Responses && it.Type == typeContent
	summary := jsontext.Value("[]")
	if full {
		for _, m := range it.Ext {
			if m.Name == "summary" && it.From == llm.Responses {
				summary = m.Value
			}
		}
	}
	o.Name("summary")
	if full {
		o.B = append(o.B, summary...)
		o.Name("content")
	}
	o.B = append(o.B, '[')
	n := 0
	for i := range it.Blocks {
		bl := &it.Blocks[i]
		if bl.From == llm.Responses && bl.Text == gap && len(bl.Raw) == 0 || bl.Text == "" && bl.From != llm.Responses {
			continue
		}
		if n > 0 {
			o.B = append(o.B, ',')
		}
		n++
		if bl.From == llm.Responses && len(bl.Raw) > 0 && !foreign {
			o.B = append(o.B, bl.Raw...)
			continue
		}
		p := span.Open(o.B)
		if full {
			p.Str("type", "reasoning_text")
		} else {
			p.Str("type", "summary_text")
		}
		p.Str("text", bl.Text)
		o.B = p.Close()
	}
	o.B = append(o.B, ']')
}

// itemID gives an output item an id when it has none: the same each time that
// the same answer is written, whole or streamed.
func itemID(prefix, answer string, n int) string {
	return prefix + hashOf(answer+"\x00"+strconv.Itoa(n), 48)
}
