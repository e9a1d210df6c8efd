package openai

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// This file writes the messages array: it groups items into turns and turns
// into messages.

// billing begins a line that Claude Code puts first in its system prompt for
// Anthropic's own accounting (2026-11). It means nothing to other vendors, and
// it differs from request to request, which would spoil every prompt cache.
const billing = "x-anthropic-billing-header:"

func (e *requestEncoder) messages() {
	e.o.B = append(e.o.B, '[')
	start := len(e.o.B)
	items := e.r.Items
	if e.c.Alternate && !e.own {
		items = e.alternate(items)
	}
	if n := len(items); n > 0 && !e.own && e.c.PrefillMark != "" && items[n-1].Role == llm.Assistant && items[n-1].Kind == llm.ItemMessage {
		e.goOn = items[n-1].Path
	}
	spoken := false // something other than instructions was written
	for i := 0; i < len(items); {
		it := &items[i]
		switch {
		case it.Role == llm.System || it.Role == llm.Developer:
			e.instruction(it, start, spoken)
			i++
		case it.Role == llm.Assistant:
			n := i + 1
			for n < len(items) && items[n].Role == llm.Assistant && items[n].Turn == it.Turn {
				n++
			}
			calls := e.assistant(items[i:n], start)
			spoken = true
			i = n
			// What answers the calls: every item up to the next assistant turn.
			for n < len(items) && items[n].Role == llm.User {
				if e.own && items[n].Kind != llm.ItemToolResult {
					break // the client's own order stands
				}
				n++
			}
			e.user(items[i:n], calls, start, n < len(items) || n > i)
			i = n
		default:
			spoken = true
			n := i + 1
			for n < len(items) && items[n].Role == llm.User && (!e.own || items[n].Turn == it.Turn) {
				n++
			}
			e.user(items[i:n], nil, start, false)
			i = n
		}
	}
	e.o.B = append(e.o.B, ']')
	if n := len(items); n > 0 && !e.own && items[n-1].Role == llm.Assistant && !e.c.Can(llm.Prefill) {
		e.Lose(llm.LossRefuse, items[n-1].Path, "the model cannot go on from an answer that is begun")
	}
}

// alternate brings a conversation into the form in which, behind the leading
// system messages, user and assistant take turns: what one side says in several
// messages becomes one, a later system message is said by the user, and a
// conversation that the assistant begins is begun by the user.
func (e *requestEncoder) alternate(items []llm.Item) []llm.Item {
	out := make([]llm.Item, 0, len(items)+1)
	turn, last := -1, llm.Role("")
	lead := true
	for _, it := range items {
		if it.Role == llm.System || it.Role == llm.Developer {
			if lead {
				it.Turn = turn
				out = append(out, it)
				continue
			}
			e.LoseOnce(llm.LossWarn, "midsystem", it.Path, "approximated: a user message, as the model takes no system message here")
			it.Role, it.Blocks = llm.User, []llm.Block{{Kind: llm.BlockText, Text: "<system>\n" + it.Text() + "\n</system>", From: it.From}}
		}
		if lead && it.Role == llm.Assistant {
			e.Lose(llm.LossWarn, it.Path, "approximated: the conversation begins with the assistant, a user message was put before it")
			turn++
			out = append(out, llm.Item{Kind: llm.ItemMessage, Role: llm.User, Turn: turn, Path: it.Path, From: it.From,
				Blocks: []llm.Block{{Kind: llm.BlockText, Text: "[The conversation begins with the assistant.]", From: it.From}}})
			last = llm.User
		}
		lead = false
		if it.Role != last {
			turn++
			last = it.Role
		}
		it.Turn = turn
		out = append(out, it)
	}
	return out
}

// message begins a message object.
func (e *requestEncoder) message(start int, role string) span.Object {
	if len(e.o.B) > start {
		e.o.B = append(e.o.B, ',')
	}
	m := span.Open(e.o.B)
	m.Raw("role", append(append([]byte{'"'}, role...), '"'))
	return m
}

// finish ends a message object with the members that are carried.
func (e *requestEncoder) finish(m span.Object, it *llm.Item) {
	if it != nil {
		if it.Name != "" && it.Kind == llm.ItemMessage {
			if e.own {
				m.Str("name", it.Name)
			} else {
				e.LoseOnce(llm.LossWarn, "name", forms.Join(it.Path, "name"), "dropped: only OpenAI's dialect names speakers")
			}
		}
		if len(it.Cache) > 0 && it.Kind != llm.ItemToolCall && (it.From == llm.OpenAI || e.c.CacheMarks) {
			m.Raw("cache_control", it.Cache)
		}
		if it.From == llm.OpenAI {
			for _, x := range it.Ext {
				m.Raw(x.Name, x.Value)
			}
		} else {
			e.dropped(it.Path, it.Ext)
		}
	}
	e.o.B = m.Close()
}

func (e *requestEncoder) instruction(it *llm.Item, start int, spoken bool) {
	if it.Kind != llm.ItemMessage {
		e.refuseItem(it)
		return
	}
	if it.From != llm.OpenAI && !slices.ContainsFunc(it.Blocks, func(b llm.Block) bool {
		return b.Kind != llm.BlockText || b.Text != "" && !strings.HasPrefix(b.Text, billing)
	}) {
		if len(it.Blocks) > 0 && it.Blocks[0].Text != "" {
			e.Lose(llm.LossCarry, it.Path, "a line for Anthropic's accounting")
		}
		return
	}
	role := "system"
	switch {
	case it.Role == llm.Developer && e.c.Can(llm.DeveloperRole):
		role = "developer"
	case it.From != llm.OpenAI && e.c.Known && e.c.Can(llm.DeveloperRole):
		role = "developer"
	}
	wrap := false
	if spoken && !e.c.Can(llm.MidSystem) {
		// The model's template wants its instructions first; moving this one
		// there would change the order of what was said.
		role, wrap = "user", true
		e.LoseOnce(llm.LossWarn, "midsystem", it.Path, "approximated: a user message, as the model takes no system message here")
	}
	m := e.message(start, role)
	m.Name("content")
	if wrap {
		m.B = span.Quote(m.B, "<system>\n"+it.Text()+"\n</system>")
	} else {
		m.B = e.content(m.B, it, it.Blocks, "\n\n")
	}
	e.finish(m, it)
}

func (e *requestEncoder) refuseItem(it *llm.Item) {
	e.Lose(llm.LossRefuse, it.Path, "Chat Completions cannot express %s", or(it.Type, string(it.Kind)))
}

// content appends the content of a message: a string where there is one text
// or several that may be joined, else an array of parts.
func (e *requestEncoder) content(b []byte, it *llm.Item, blocks []llm.Block, sep string) []byte {
	parts := false
	for i := range blocks {
		bl := &blocks[i]
		switch {
		case bl.From == llm.OpenAI && len(bl.Raw) > 0:
			parts = true
		case bl.Kind == llm.BlockFile && bl.Media.Text != "":
		case bl.Kind != llm.BlockText:
			parts = true
		case len(bl.Cache) > 0 && e.c.CacheMarks:
			parts = true
		}
	}
	if e.own && blocks != nil && len(blocks) == 0 {
		return append(b, "[]"...)
	}
	if !parts {
		var s []byte
		for i := range blocks {
			t := e.text(&blocks[i], it.Path)
			if t == "" {
				continue
			}
			if len(s) > 0 {
				s = append(s, sep...)
			}
			s = append(s, t...)
		}
		return span.Quote(b, s)
	}
	b = append(b, '[')
	mark := len(b)
	for i := range blocks {
		n := len(b)
		if n > mark {
			b = append(b, ',')
		}
		grown := e.part(b, &blocks[i], it.Path)
		if len(grown) == len(b) {
			b = b[:n]
			continue
		}
		b = grown
	}
	return append(b, ']')
}

// text gives the text of a block, and tells of what hangs on it.
func (e *requestEncoder) text(bl *llm.Block, path string) string {
	if bl.From == llm.OpenAI {
		return bl.Text
	}
	e.hung(bl, path)
	if bl.Kind == llm.BlockFile {
		return e.document(bl)
	}
	if strings.HasPrefix(bl.Text, billing) {
		return ""
	}
	return bl.Text
}

// hung tells of members of a foreign block that have no place here.
func (e *requestEncoder) hung(bl *llm.Block, path string) {
	if len(bl.Citations) > 0 && !span.IsNull(bl.Citations) && !bytes.Equal(bl.Citations, []byte("[]")) {
		e.LoseOnce(llm.LossCarry, "citations", forms.Join(path, "citations"), "citations of an earlier answer")
	}
	for _, x := range bl.Ext {
		if span.IsNull(x.Value) {
			continue // says nothing
		}
		switch x.Name {
		case "citations":
			if span.Kind(span.Field(x.Value, "enabled")) == 't' {
				e.Lose(llm.LossRefuse, forms.Join(path, "citations"), "Chat Completions cannot cite documents")
			}
		case "caller":
			// who called a tool: the model itself, unless it says otherwise
			if t := span.Text(span.Field(x.Value, "type")); t != "" && t != "direct" {
				e.Lose(llm.LossRefuse, forms.Join(path, x.Name), "Chat Completions cannot express programmatic calls")
			}
		default:
			e.LoseOnce(llm.LossWarn, "ext:"+x.Name, forms.Join(path, x.Name), "dropped: Chat Completions has no such member")
		}
	}
}

func (e *requestEncoder) document(bl *llm.Block) string {
	if bl.Media.Name != "" {
		return bl.Media.Name + "\n\n" + bl.Media.Text
	}
	return bl.Media.Text
}

// part appends one content part, or nothing when it is empty or refused.
func (e *requestEncoder) part(b []byte, bl *llm.Block, path string) []byte {
	if !e.able(bl, path) {
		return b
	}
	if bl.From == llm.OpenAI && len(bl.Raw) > 0 {
		return append(b, bl.Raw...)
	}
	if bl.From != llm.OpenAI && bl.Kind != llm.BlockText {
		e.hung(bl, path)
	}
	o := span.Object{}
	switch bl.Kind {
	case llm.BlockText, llm.BlockRefusal:
		t := e.text(bl, path)
		if t == "" && bl.From != llm.OpenAI {
			return b
		}
		o = span.Open(b)
		o.Str("type", "text")
		o.Str("text", t)
	case llm.BlockImage:
		if bl.Media.FileID != "" {
			e.Lose(llm.LossRefuse, path, "a file of another provider")
			return b
		}
		o = span.Open(b)
		o.Str("type", "image_url")
		o.Name("image_url")
		u := span.Open(o.B)
		u.Name("url")
		if bl.Media.Data != "" {
			u.B = dataURL(u.B, &bl.Media, "image/png")
		} else {
			u.B = span.Quote(u.B, bl.Media.URL)
		}
		if bl.Media.Detail != "" {
			u.Str("detail", bl.Media.Detail)
		}
		o.B = u.Close()
	case llm.BlockFile:
		switch {
		case bl.Media.Text != "":
			o = span.Open(b)
			o.Str("type", "text")
			o.Str("text", e.document(bl))
		case bl.Media.Data != "":
			o = span.Open(b)
			o.Str("type", "file")
			o.Name("file")
			f := span.Open(o.B)
			f.Str("filename", or(bl.Media.Name, "document.pdf"))
			f.Name("file_data")
			f.B = dataURL(f.B, &bl.Media, "application/pdf")
			o.B = f.Close()
		case bl.Media.FileID != "":
			e.Lose(llm.LossRefuse, path, "a file of another provider")
			return b
		default:
			e.Lose(llm.LossRefuse, path, "Chat Completions takes no document by URL")
			return b
		}
	case llm.BlockAudio:
		if bl.Media.Data == "" {
			e.Lose(llm.LossRefuse, path, "Chat Completions takes no audio by reference")
			return b
		}
		o = span.Open(b)
		o.Str("type", "input_audio")
		o.Name("input_audio")
		a := span.Open(o.B)
		a.Str("data", bl.Media.Data)
		a.Str("format", audioFormat(bl.Media.MIME))
		o.B = a.Close()
	default:
		e.Lose(llm.LossRefuse, path, "Chat Completions cannot express %s", or(bl.Type, "it"))
		return b
	}
	if len(bl.Cache) > 0 && e.c.CacheMarks {
		o.Raw("cache_control", bl.Cache)
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

// assistant writes one assistant message and gives the ids of its calls in
// order.
func (e *requestEncoder) assistant(items []llm.Item, start int) (calls []string) {
	var thoughts, tools []*llm.Item
	var said []llm.Block // what is to stand in content
	var refusal *llm.Block
	var first *llm.Item
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case llm.ItemReasoning:
			thoughts = append(thoughts, it)
		case llm.ItemToolCall:
			tools = append(tools, it)
			calls = append(calls, it.Call.ID)
		case llm.ItemMessage:
			if first == nil {
				first = it
			}
			blocks := it.Blocks
			if it.From != llm.OpenAI {
				blocks = slices.DeleteFunc(slices.Clone(blocks), func(b llm.Block) bool {
					return b.Kind == llm.BlockText && b.Text == ""
				})
				// Texts with something between them are paragraphs; texts that
				// follow one another are pieces of one (citations cut them).
				if len(said) > 0 && len(blocks) > 0 {
					if last := &said[len(said)-1]; last.Kind == llm.BlockText {
						said = append(said, llm.Block{Kind: llm.BlockText, Text: "\n\n", From: llm.OpenAI})
					}
				}
			}
			for k := range blocks {
				if bl := &blocks[k]; bl.Kind == llm.BlockRefusal && len(bl.Raw) == 0 {
					refusal = bl
					continue
				}
				said = append(said, blocks[k])
			}
			if it.From == llm.OpenAI && it.Blocks != nil && said == nil && refusal == nil {
				said = []llm.Block{}
			}
		default:
			e.refuseItem(it)
		}
	}
	if len(said) == 0 && said == nil && refusal == nil && len(tools) == 0 && first == nil && !e.own {
		// nothing but thinking, which does not travel
		if len(thoughts) > 0 {
			e.thinkingLost(thoughts[0])
		}
		return nil
	}
	m := e.message(start, "assistant")
	thoughts = e.thinkingParts(thoughts, &said)
	m.Name("content")
	switch {
	case said == nil && (len(tools) > 0 || refusal != nil || e.own):
		m.B = append(m.B, "null"...)
	case said == nil:
		m.B = append(m.B, `""`...)
	default:
		path := items[0].Path
		if first != nil {
			path = first.Path
		}
		m.B = e.content(m.B, &llm.Item{Path: path}, said, "")
	}
	if refusal != nil {
		m.Str("refusal", refusal.Text)
	}
	e.thinking(&m, thoughts, len(tools) > 0)
	legacy := len(tools) == 1 && tools[0].Type == typeLegacyCall && e.own
	switch {
	case legacy:
		m.Raw(typeLegacyCall, tools[0].Raw)
	case len(tools) > 0:
		m.Name("tool_calls")
		m.B = append(m.B, '[')
		for i, it := range tools {
			if i > 0 {
				m.B = append(m.B, ',')
			}
			m.B = e.call(m.B, it)
		}
		m.B = append(m.B, ']')
	}
	if e.goOn != "" && first != nil && items[len(items)-1].Path == e.goOn {
		m.Bool(e.c.PrefillMark, true)
	}
	e.finish(m, first)
	return calls
}

func (e *requestEncoder) call(b []byte, it *llm.Item) []byte {
	id := e.callID(it.Call.ID)
	if it.From == llm.OpenAI && len(it.Raw) > 0 && id == it.Call.ID && it.Type == "" {
		// A made id is ours; whoever gave none is given none back.
		if n := span.Text(span.Field(it.Raw, "id")); (n == id || n == "" && e.c.ToolIDLength == 0) &&
			!(e.c.Known && (span.Field(it.Raw, "index") != nil || span.Field(it.Raw, extraContent) != nil)) {
			return append(b, it.Raw...)
		}
	}
	if it.From != llm.OpenAI {
		for _, x := range it.Ext {
			if x.Name == "caller" {
				if t := span.Text(span.Field(x.Value, "type")); t != "" && t != "direct" {
					e.Lose(llm.LossRefuse, forms.Join(it.Path, x.Name), "Chat Completions cannot express programmatic calls")
				}
				continue
			}
			e.dropped(it.Path, []llm.Member{x})
		}
	}
	o := span.Open(b)
	o.Str("id", id)
	if it.Call.Custom {
		o.Str("type", "custom")
		o.Name("custom")
		f := span.Open(o.B)
		f.Str("name", e.toolName(it.Call.Name))
		f.Name("input")
		f.B = span.Quote(f.B, it.Call.Arguments)
		o.B = f.Close()
	} else {
		o.Str("type", "function")
		o.Name("function")
		f := span.Open(o.B)
		f.Str("name", e.toolName(it.Call.Name))
		f.Name("arguments")
		args := it.Call.Arguments
		if len(args) == 0 {
			args = []byte("{}")
		}
		f.B = span.Quote(f.B, args)
		o.B = f.Close()
	}
	if it.From == llm.OpenAI {
		for _, x := range it.Ext {
			if x.Name == extraContent && e.c.Known {
				e.LoseOnce(llm.LossCarry, extraContent, forms.Join(it.Path, x.Name), "a signature that this target does not take back")
				continue
			}
			o.Raw(x.Name, x.Value)
		}
	}
	if len(it.Cache) > 0 && (it.From == llm.OpenAI || e.c.CacheMarks) {
		o.Raw("cache_control", it.Cache)
	}
	return o.Close()
}

// thinkingParts puts Mistral's thinking parts back in front of the content,
// where the target may take them, and gives the thoughts that are left.
func (e *requestEncoder) thinkingParts(thoughts []*llm.Item, said *[]llm.Block) []*llm.Item {
	var left []*llm.Item
	var parts []llm.Block
	for _, it := range thoughts {
		if it.Type == typeThinking && len(it.Raw) > 0 && (e.c.ReasoningField == typeThinking || e.c.ReasoningField == "" && !e.c.Known) {
			parts = append(parts, llm.Block{Kind: llm.BlockOpaque, From: llm.OpenAI, Raw: it.Raw})
			continue
		}
		left = append(left, it)
	}
	if len(parts) > 0 {
		for i := range *said { // a bare string becomes a part beside them
			if bl := &(*said)[i]; len(bl.Raw) == 0 && bl.Text == "" {
				continue
			}
			parts = append(parts, (*said)[i])
		}
		*said = parts
	}
	return left
}

func (e *requestEncoder) thinkingLost(it *llm.Item) {
	e.LoseOnce(llm.LossCarry, "thinking", it.Path, "thinking that this target does not take back")
}

// thinking writes the thinking of an assistant turn under the one name that
// the target takes.
func (e *requestEncoder) thinking(m *span.Object, thoughts []*llm.Item, calls bool) {
	field := e.c.ReasoningField
	if field == "" && !e.c.Known && !e.c.Closed && e.own && len(thoughts) > 0 {
		// Nobody knows the target better than its client.
		if members := spelling(thoughts); members != nil {
			for _, x := range members {
				m.Raw(x.Name, x.Value)
			}
			return
		}
		switch t := thoughts[0].Type; t {
		case typeContent, typeReasoning:
			field = t
		case typeThinking:
		default:
			field = "reasoning_details"
		}
	}
	switch field {
	case "", typeThinking:
		if len(thoughts) > 0 {
			e.thinkingLost(thoughts[0])
		}
	case "reasoning_details":
		if len(thoughts) > 0 {
			m.Name(field)
			m.B = appendDetails(m.B, thoughts)
		} else if e.c.ReasoningRequired && calls {
			m.Raw(field, []byte("[]"))
		}
	default:
		var s []byte
		for _, it := range thoughts {
			if t := it.Text(); t != "" {
				if len(s) > 0 {
					s = append(s, "\n\n"...)
				}
				s = append(s, t...)
			}
			if len(it.Opaque) > 0 {
				e.thinkingLost(it) // its signature, and what is encrypted
			}
		}
		if len(s) > 0 || e.c.ReasoningRequired && calls || e.own && len(thoughts) > 0 && !e.c.Known {
			m.Name(field)
			m.B = span.Quote(m.B, s)
		}
	}
}

// appendDetails writes reasoning_details in OpenRouter's shape.
func appendDetails(b []byte, thoughts []*llm.Item) []byte {
	b = append(b, '[')
	n := 0
	for _, it := range thoughts {
		if n > 0 {
			b = append(b, ',')
		}
		if it.From == llm.OpenAI && len(it.Raw) > 0 && it.Type != typeThinking {
			b = append(b, it.Raw...)
			n++
			continue
		}
		k := thoughtOf(it)
		b = appendDetail(b, k, it.Text(), n)
		n++
	}
	return append(b, ']')
}

// detail is the head of one reasoning detail.
type detail struct{ kind, format, id, signature, data string }

func thoughtOf(it *llm.Item) detail {
	k := detail{kind: "reasoning.text", id: it.ID}
	if it.From == llm.OpenAI {
		k.format = it.Name
		if strings.HasPrefix(it.Type, "reasoning.") {
			k.kind = it.Type
		}
	}
	for _, o := range it.Opaque {
		if o.Data == "" {
			continue
		}
		k.format = o.Issuer
		if o.Kind == llm.OpaqueSignature {
			k.signature = o.Data
		} else {
			k.kind, k.data = "reasoning.encrypted", o.Data
		}
	}
	if k.format == "" {
		k.format = llm.IssuerUnknown
	}
	return k
}

func appendDetail(b []byte, k detail, words string, index int) []byte {
	o := span.Open(b)
	o.Str("type", k.kind)
	switch k.kind {
	case "reasoning.encrypted":
		o.Str("data", k.data)
	case "reasoning.summary":
		o.Str("summary", words)
	default:
		o.Str("text", words)
		if k.signature != "" {
			o.Str("signature", k.signature)
		}
	}
	if k.id != "" {
		o.Str("id", k.id)
	}
	o.Str("format", k.format)
	o.Int("index", int64(index))
	return o.Close()
}

// user writes what stands between two assistant turns: results first, in the
// order of the calls, then the images that they held, then all else in its
// order. follows says that the conversation goes on after the calls.
func (e *requestEncoder) user(items []llm.Item, calls []string, start int, follows bool) {
	var results []*llm.Item
	var rest []*llm.Item
	for i := range items {
		if items[i].Kind == llm.ItemToolResult {
			results = append(results, &items[i])
		} else {
			rest = append(rest, &items[i])
		}
	}
	if !e.own {
		results = e.ordered(results, calls)
	}
	var images []llm.Block
	said := map[string]bool{}
	for _, it := range results {
		said[it.Result.CallID] = true
		images = append(images, e.result(it, start)...)
	}
	if !e.own && follows {
		for _, id := range calls {
			if said[id] {
				continue
			}
			// Every call must be answered on this wire, at once.
			e.Lose(llm.LossWarn, "messages", "the call %s had no result; \"[no result]\" was put in", id)
			m := e.message(start, "tool")
			m.Str("tool_call_id", e.callID(id))
			m.Str("content", "[no result]")
			e.finish(m, nil)
		}
	}
	if len(images) > 0 {
		m := e.message(start, "user")
		m.Name("content")
		m.B = e.content(m.B, &llm.Item{Path: results[0].Path}, images, "\n\n")
		e.finish(m, nil)
	}
	for i := 0; i < len(rest); {
		it := rest[i]
		if it.Kind != llm.ItemMessage {
			e.refuseItem(it)
			i++
			continue
		}
		n := i + 1
		blocks := it.Blocks
		for !e.own && n < len(rest) && rest[n].Turn == it.Turn && rest[n].Kind == llm.ItemMessage {
			blocks = append(blocks[:len(blocks):len(blocks)], rest[n].Blocks...)
			n++
		}
		if len(blocks) > 0 || e.own {
			m := e.message(start, "user")
			m.Name("content")
			if blocks == nil {
				m.B = append(m.B, "null"...)
			} else {
				m.B = e.content(m.B, it, blocks, "\n\n")
			}
			e.finish(m, it)
		}
		i = n
	}
}

// ordered sorts results into the order of the calls. A result without a call
// is refused: this wire would refuse it too, and what it says belongs to a
// call that is not there.
func (e *requestEncoder) ordered(results []*llm.Item, calls []string) []*llm.Item {
	out := make([]*llm.Item, 0, len(results))
	for _, id := range calls {
		for _, it := range results {
			if it.Result.CallID == id {
				out = append(out, it)
			}
		}
	}
	for _, it := range results {
		if !slices.Contains(calls, it.Result.CallID) {
			e.Lose(llm.LossRefuse, it.Path, "a tool result without its call")
		}
	}
	return out
}

// result writes one tool message and gives the blocks that it cannot hold.
func (e *requestEncoder) result(it *llm.Item, start int) (images []llm.Block) {
	if it.Type == typeLegacyCall && e.own {
		m := e.message(start, "function")
		m.Str("name", it.Result.Name)
		m.Name("content")
		m.B = e.content(m.B, it, it.Blocks, "\n\n")
		e.finish(m, it)
		return nil
	}
	blocks := it.Blocks
	if it.From != llm.OpenAI {
		var texts []llm.Block
		for k := range it.Blocks {
			bl := it.Blocks[k]
			switch {
			case bl.Kind == llm.BlockText, bl.Kind == llm.BlockFile && bl.Media.Text != "":
				texts = append(texts, bl)
			case bl.Kind == llm.BlockImage || bl.Kind == llm.BlockFile:
				if !e.able(&bl, it.Path) {
					continue
				}
				e.LoseOnce(llm.LossWarn, "resultimage", it.Path, "approximated: what a tool showed comes in a user message behind its result")
				what := "image"
				if bl.Kind == llm.BlockFile {
					what = "document"
				}
				texts = append(texts, llm.Block{Kind: llm.BlockText, Text: "[" + what + " " + strconv.Itoa(len(images)/2+1) + " of " + e.callID(it.Result.CallID) + " follows below]", From: llm.Anthropic})
				bl.Cache = nil
				images = append(images, llm.Block{Kind: llm.BlockText, Text: "[" + what + " " + strconv.Itoa(len(images)/2+1) + " of " + e.callID(it.Result.CallID) + "]", From: llm.Anthropic}, bl)
			default:
				e.Lose(llm.LossRefuse, it.Path, "Chat Completions cannot express %s in a tool result", or(bl.Type, string(bl.Kind)))
			}
		}
		if it.Result.IsError {
			texts = errorText(texts)
		}
		blocks = texts
	}
	m := e.message(start, "tool")
	if it.From == llm.OpenAI && len(it.Raw) > 0 && e.c.ToolIDLength == 0 {
		if id := span.Field(it.Raw, "tool_call_id"); id != nil {
			m.Raw("tool_call_id", id) // empty, as it came
		}
	} else {
		m.Str("tool_call_id", e.callID(it.Result.CallID))
	}
	if it.Result.Name != "" && e.own {
		m.Str("name", it.Result.Name)
	}
	m.Name("content")
	if blocks == nil && e.own {
		m.B = append(m.B, "null"...)
	} else {
		m.B = e.content(m.B, it, blocks, "\n\n")
	}
	e.finish(m, it)
	return images
}

// errorText makes a failed result say so in words, as this wire has no flag.
func errorText(blocks []llm.Block) []llm.Block {
	for i := range blocks {
		if blocks[i].Kind != llm.BlockText || blocks[i].Text == "" {
			continue
		}
		head := strings.ToLower(strings.TrimLeft(blocks[i].Text, " \t\r\n<[{\"'*#"))
		if len(head) > 80 {
			head = head[:80]
		}
		for _, w := range []string{"error", "exception", "traceback", "failed", "failure", "fatal"} {
			if strings.HasPrefix(head, w) || strings.Contains(head, w+":") {
				return blocks
			}
		}
		blocks[i].Text = "Error: " + blocks[i].Text
		return blocks
	}
	return append([]llm.Block{{Kind: llm.BlockText, Text: "Error: the tool failed", From: llm.Anthropic}}, blocks...)
}
