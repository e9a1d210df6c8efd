package openai

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// Names in Response.Ext for what has no top-level place.
const (
	extChoice  = "choices.0"         // object: members of the choice that we have no word for
	extMessage = "choices.0.message" // object: likewise of the message
	extMore    = "choices.1"         // array: the answers after the first (n > 1)
)

// whole checks that body is a JSON object and no error under status 200.
// Leading blank lines, which keep connections alive (OpenRouter, DeepSeek),
// are passed over.
func whole(body []byte) (jsontext.Value, error) {
	raw := jsontext.Value(bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\xef\xbb\xbf"))))
	if len(raw) == 0 {
		return nil, forms.Malformed(llm.OpenAI, "the provider answered with an empty body", body)
	}
	if !span.Valid(raw) {
		return nil, forms.Malformed(llm.OpenAI, "the provider's answer is not JSON", body)
	}
	if e := forms.ErrorIn(llm.OpenAI, raw, 200); e != nil {
		return nil, e
	}
	if !span.IsObject(raw) {
		return nil, forms.Malformed(llm.OpenAI, "the provider's answer is not a JSON object", body)
	}
	return raw, nil
}

// Glance reads id, model, usage and finish of a whole answer. Its errors are
// *llm.Error: an error under status 200, or MalformedUpstream.
func (Codec) Glance(body []byte) (llm.Glance, error) {
	var g llm.Glance
	var usage, groq, choices, tier jsontext.Value
	take := func(name string, v jsontext.Value) {
		switch name {
		case "id":
			g.ID = span.Text(v)
		case "model":
			g.Model = span.Text(v)
		case "usage":
			usage = v
		case "x_groq":
			groq = span.Field(v, "usage")
		case "choices":
			choices = v
		case "service_tier":
			tier = v
		}
	}
	var room [16]span.Member
	if found, ok := sound(room[:0], body); ok {
		for i := range found {
			take(found[i].Name, body[found[i].Value.From:found[i].Value.To])
		}
	} else {
		raw, err := whole(body)
		if err != nil {
			return g, err
		}
		for k, v := range span.Fields(raw) {
			take(string(k), v)
		}
	}
	if !span.IsArray(choices) {
		return g, forms.Malformed(llm.OpenAI, "the provider's answer has no choices", body)
	}
	if !span.IsObject(usage) {
		usage = groq
	}
	if span.IsObject(usage) {
		g.Usage = readUsage(usage)
		g.Usage.Tier = forms.Tier(tier)
	}
	for _, choice := range span.Elements(choices) {
		calls, refused, text := false, false, false
		for k, v := range span.Fields(messageOf(choice)) {
			switch string(k) {
			case "content":
				text = len(v) > 2 && !span.IsNull(v)
			case "tool_calls":
				calls = calls || len(v) > 2 && span.IsArray(v)
			case "function_call":
				calls = calls || span.Text(span.Field(v, "name")) != ""
			case "refusal":
				refused = span.Text(v) != ""
			}
		}
		g.Finish = readFinish(span.Text(span.Field(choice, "finish_reason")), calls, refused, text, span.Field(choice, "content_filter_results"))
		break
	}
	return g, nil
}

// sound is the quick twin of whole for what nearly every answer is: strict
// JSON with choices and without a member that may be an error. It appends the
// members to dst.
func sound(dst []span.Member, body []byte) ([]span.Member, bool) {
	found, err := span.Members(dst, body, nil)
	if err != nil {
		return nil, false
	}
	choices := false
	for i := range found {
		switch found[i].Name {
		case "error", "detail", "base_resp":
			return nil, false
		case "choices":
			choices = true
		}
	}
	return found, choices
}

func messageOf(choice []byte) jsontext.Value {
	if m := span.Field(choice, "message"); span.IsObject(m) {
		return m
	}
	return span.Field(choice, "delta")
}

// DecodeResponse decodes a whole answer. Its errors are *llm.Error: an error
// under status 200, or MalformedUpstream.
func (Codec) DecodeResponse(body []byte) (*llm.Response, error) {
	raw, err := whole(body)
	if err != nil {
		return nil, err
	}
	r := &llm.Response{From: llm.OpenAI}
	var usage, groq, choices, tier jsontext.Value
	for k, v := range span.Fields(raw) {
		switch n := string(k); n {
		case "id":
			r.ID = span.Text(v)
		case "object":
		case "created":
			var ok bool
			if r.Created, ok = span.Integer(v); !ok { // Writer gives a string
				r.Created, _ = strconv.ParseInt(span.Text(v), 10, 64)
				r.Ext = append(r.Ext, llm.Member{Name: n, Value: bytes.Clone(v)})
			}
		case "model":
			r.Model = span.Text(v)
		case "choices":
			choices = v
		case "usage":
			usage = v
		default:
			switch n {
			case "x_groq":
				groq = span.Field(v, "usage")
			case "service_tier":
				tier = v
			}
			if n == "error" {
				continue // null: forms.ErrorIn has looked
			}
			r.Ext = append(r.Ext, llm.Member{Name: n, Value: bytes.Clone(v)})
		}
	}
	if !span.IsArray(choices) {
		return nil, forms.Malformed(llm.OpenAI, "the provider's answer has no choices", body)
	}
	if !span.IsObject(usage) {
		usage = groq
	}
	if span.IsObject(usage) {
		r.Usage = readUsage(usage)
		r.Usage.Tier = forms.Tier(tier)
	}
	var more []byte
	any := false
	for i, choice := range span.Elements(choices) {
		if i == 0 {
			any = true
			readChoice(r, choice)
			continue
		}
		if more != nil {
			more = append(more, ',')
		}
		more = append(more, choice...)
	}
	if !any {
		return nil, forms.Malformed(llm.OpenAI, "the provider's answer has no choices", body)
	}
	if more != nil {
		r.Ext = append(r.Ext, llm.Member{Name: extMore, Value: append(append([]byte{'['}, more...), ']')})
	}
	return r, nil
}

func readChoice(r *llm.Response, choice jsontext.Value) {
	rest, extra := span.Open(nil), span.Open(nil)
	native := ""
	hasMessage := span.IsObject(span.Field(choice, "message"))
	for k, v := range span.Fields(choice) {
		switch n := string(k); n {
		case "index", "message":
		case "finish_reason":
			native = span.Text(v)
		case "delta", "text": // a second copy of the message (Perplexity, Together)
			if hasMessage {
				rest.Raw(n, v)
			}
		case "logprobs":
			if !span.IsNull(v) {
				rest.Raw(n, v)
			}
		default:
			rest.Raw(n, v)
		}
	}
	m := span.Field(choice, "message")
	if !hasMessage {
		m = span.Field(choice, "delta")
	}
	var content, calls, legacy, detailed, annotations jsontext.Value
	var refusal, thinking, field string
	var spelled []llm.Member
	for k, v := range span.Fields(m) {
		switch n := string(k); n {
		case "reasoning_content", "reasoning", "reasoning_details":
			spelled = append(spelled, llm.Member{Name: n, Value: bytes.Clone(v)})
		}
		switch n := string(k); n {
		case "role":
		case "content":
			content = v
		case "refusal":
			refusal = span.Text(v)
		case "tool_calls":
			calls = v
		case "function_call":
			legacy = v
		case "reasoning_content", "reasoning":
			if s := span.Text(v); s != "" && thinking == "" {
				thinking, field = s, n
			}
		case "reasoning_details":
			detailed = v
		case "annotations":
			if span.IsArray(v) && span.Kind(v[1:]) != ']' {
				annotations = bytes.Clone(v)
			}
		default:
			if !span.IsNull(v) {
				extra.Raw(n, v)
			}
		}
	}
	var thoughts []llm.Item
	item := llm.Item{Kind: llm.ItemMessage, Role: llm.Assistant, From: llm.OpenAI}
	switch span.Kind(content) {
	case '"':
		if s := span.Text(content); s != "" {
			item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockText, Text: s, From: llm.OpenAI})
		}
	case '{': // Cloudflare gives structured output as the object itself
		extra.Raw("content", content)
		item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockText, Text: string(content), From: llm.OpenAI})
	case '[':
		extra.Raw("content", content)
		for _, part := range span.Elements(content) {
			part = bytes.Clone(part)
			switch kind := span.Text(span.Field(part, "type")); {
			case kind == typeThinking:
				thoughts = append(thoughts, mistralThinking(part))
			case kind == "text" || kind == "output_text":
				item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockText, Text: span.Text(span.Field(part, "text")), From: llm.OpenAI, Raw: part})
			case kind == "refusal":
				item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockRefusal, Text: span.Text(span.Field(part, "refusal")), From: llm.OpenAI, Raw: part})
			case span.IsString(part):
				item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockText, Text: span.Text(part), From: llm.OpenAI})
			default:
				item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockOpaque, Type: kind, From: llm.OpenAI, Raw: part})
			}
		}
	}
	if len(item.Blocks) > 0 {
		item.Blocks[0].Citations = annotations
	} else if annotations != nil {
		extra.Raw("annotations", annotations)
	}
	if refusal != "" {
		item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockRefusal, Text: refusal, From: llm.OpenAI})
	}
	if span.IsArray(detailed) {
		thoughts = append(thoughts, details(bytes.Clone(detailed))...)
	}
	shown := false
	for i := range thoughts {
		shown = shown || thoughts[i].Text() != ""
	}
	if !shown && thinking != "" {
		thoughts = withText(thoughts, field, thinking)
	}
	keepSpelling(thoughts, spelled)
	r.Items = append(r.Items, thoughts...)
	if len(item.Blocks) > 0 {
		r.Items = append(r.Items, item)
	}
	n := 0
	for i, raw := range span.Elements(calls) {
		it, err := readCall(bytes.Clone(raw))
		if err != nil { // half a call is no call; it is kept, not acted on
			r.Items = append(r.Items, llm.Item{Kind: llm.ItemOpaque, Role: llm.Assistant, Type: "tool_call", From: llm.OpenAI, Raw: bytes.Clone(raw)})
			continue
		}
		if it.Call.ID == "" {
			it.Call.ID = madeID(r.ID, r.Created, i)
		}
		r.Items = append(r.Items, it)
		n++
	}
	if n == 0 && span.Text(span.Field(legacy, "name")) != "" { // Snowflake writes an empty one
		it := readFunctionCall(bytes.Clone(legacy))
		it.Call.ID = madeID(r.ID, r.Created, 0)
		r.Items = append(r.Items, it)
		n++
	} else if legacy != nil && !span.IsNull(legacy) {
		extra.Raw("function_call", legacy)
	}
	if rest.Some() {
		r.Ext = append(r.Ext, llm.Member{Name: extChoice, Value: rest.Close()})
	}
	if extra.Some() {
		r.Ext = append(r.Ext, llm.Member{Name: extMessage, Value: extra.Close()})
	}
	said := len(item.Blocks) > 0 && item.Blocks[0].Kind != llm.BlockRefusal
	r.Finish = readFinish(native, n > 0, refusal != "", said, span.Field(choice, "content_filter_results"))
}

// madeID gives a call an id when the provider gave none, the same each time
// that the same answer is read, whole or streamed. Servers that leave out this
// id may leave out the answer's as well; the time then tells turns apart.
func madeID(answer string, created int64, n int) string {
	return "call_" + hashOf(answer+"\x00"+strconv.FormatInt(created, 10)) + "_" + strconv.Itoa(n)
}

// AppendResponse appends a whole answer. What came from this dialect has its
// own unknown members back.
func (Codec) AppendResponse(dst []byte, r *llm.Response) []byte {
	own := r.From == llm.OpenAI
	var choiceExt, messageExt, more jsontext.Value
	o := span.Open(dst)
	o.Str("id", r.ID)
	o.Str("object", "chat.completion")
	var created jsontext.Value
	for _, m := range r.Ext {
		if !own {
			break
		}
		switch m.Name {
		case "created":
			created = m.Value
		case extChoice:
			choiceExt = m.Value
		case extMessage:
			messageExt = m.Value
		case extMore:
			more = m.Value
		}
	}
	if created != nil {
		o.Raw("created", created)
	} else {
		o.Int("created", r.Created)
	}
	o.Str("model", r.Model)
	o.Name("choices")
	o.B = append(o.B, '[')
	c := span.Open(o.B)
	c.Int("index", 0)
	c.Name("message")
	legacy := false
	c.B, legacy = appendMessage(c.B, r, messageExt)
	if r.Finish.Reason == "" {
		c.Raw("finish_reason", []byte("null"))
	} else {
		c.Str("finish_reason", writeFinish(r.Finish, own, legacy))
	}
	if span.Field(choiceExt, "logprobs") == nil {
		c.Raw("logprobs", []byte("null"))
	}
	for k, v := range span.Fields(choiceExt) {
		c.Raw(string(k), v)
	}
	o.B = c.Close()
	for _, choice := range span.Elements(more) {
		o.B = append(o.B, ',')
		o.B = append(o.B, choice...)
	}
	o.B = append(o.B, ']')
	if r.Usage.Source != "" {
		u := r.Usage
		if !own {
			u.Raw = nil
		}
		o.Name("usage")
		o.B = appendUsage(o.B, u)
	}
	if own {
		for _, m := range r.Ext {
			switch m.Name {
			case extChoice, extMessage, extMore, "created":
			default:
				o.Raw(m.Name, m.Value)
			}
		}
	}
	return o.Close()
}

func appendMessage(b []byte, r *llm.Response, ext jsontext.Value) (_ []byte, legacy bool) {
	var said, refusal []byte
	var parts []jsontext.Value
	var calls, thoughts []*llm.Item
	var annotations, opaque []jsontext.Value
	hasText := false
	units := 0 // characters of said, as OpenAI counts citation offsets
	for i := range r.Items {
		it := &r.Items[i]
		switch it.Kind {
		case llm.ItemReasoning:
			thoughts = append(thoughts, it)
		case llm.ItemToolCall:
			calls = append(calls, it)
		case llm.ItemOpaque:
			if it.From == llm.OpenAI && it.Type == "tool_call" {
				opaque = append(opaque, it.Raw)
			}
		case llm.ItemMessage:
			for k := range it.Blocks {
				bl := &it.Blocks[k]
				switch bl.Kind {
				case llm.BlockText:
					hasText = true
					said = append(said, bl.Text...)
					n := utf8.RuneCountInString(bl.Text)
					annotations = append(annotations, citations(bl, units, units+n)...)
					units += n
				case llm.BlockRefusal:
					refusal = append(refusal, bl.Text...)
				}
				if bl.From == llm.OpenAI && len(bl.Raw) > 0 && bl.Kind == llm.BlockOpaque {
					parts = append(parts, bl.Raw)
				}
			}
		}
	}
	m := span.Open(b)
	m.Str("role", "assistant")
	m.Name("content")
	spelled := span.Field(ext, "content")
	switch {
	case spelled != nil: // parts or an object, as this dialect's provider wrote it
		m.B = append(m.B, spelled...)
		thoughts = slices.DeleteFunc(thoughts, func(it *llm.Item) bool { return it.Type == typeThinking })
	case len(parts) > 0: // content of kinds that only this dialect has
		m.B = append(m.B, '[')
		if len(said) > 0 {
			m.B = append(m.B, `{"type":"text","text":`...)
			m.B = append(span.Quote(m.B, said), `},`...)
		}
		for i, p := range parts {
			if i > 0 {
				m.B = append(m.B, ',')
			}
			m.B = append(m.B, p...)
		}
		m.B = append(m.B, ']')
	case hasText:
		m.B = span.Quote(m.B, said)
	default:
		m.B = append(m.B, "null"...)
	}
	m.Name("refusal")
	if len(refusal) > 0 {
		m.B = span.Quote(m.B, refusal)
	} else {
		m.B = append(m.B, "null"...)
	}
	appendThoughts(&m, thoughts)
	if len(calls)+len(opaque) > 0 {
		if len(calls) == 1 && calls[0].Type == typeLegacyCall {
			legacy = true
			m.Name("function_call")
			f := span.Open(m.B)
			f.Str("name", calls[0].Call.Name)
			f.Name("arguments")
			f.B = span.Quote(f.B, calls[0].Call.Arguments)
			m.B = f.Close()
		} else {
			m.Name("tool_calls")
			m.B = append(m.B, '[')
			for i, it := range calls {
				if i > 0 {
					m.B = append(m.B, ',')
				}
				m.B = appendCall(m.B, it)
			}
			for i, raw := range opaque {
				if i > 0 || len(calls) > 0 {
					m.B = append(m.B, ',')
				}
				m.B = append(m.B, raw...)
			}
			m.B = append(m.B, ']')
		}
	}
	if len(annotations) > 0 {
		m.Name("annotations")
		m.B = append(m.B, '[')
		for i, a := range annotations {
			if i > 0 {
				m.B = append(m.B, ',')
			}
			m.B = append(m.B, a...)
		}
		m.B = append(m.B, ']')
	}
	for k, v := range span.Fields(ext) {
		if string(k) != "content" {
			m.Raw(string(k), v)
		}
	}
	return m.Close(), legacy
}

// appendThoughts writes thinking for a client: as plain text for the many, and
// as details for those that give them back.
func appendThoughts(m *span.Object, thoughts []*llm.Item) {
	if len(thoughts) == 0 {
		return
	}
	if members := spelling(thoughts); members != nil {
		for _, x := range members {
			m.Raw(x.Name, x.Value)
		}
		return
	}
	var s []byte
	field, detailed := typeContent, false
	for _, it := range thoughts {
		if t := it.Text(); t != "" {
			if len(s) > 0 {
				s = append(s, "\n\n"...)
			}
			s = append(s, t...)
		}
		detailed = detailed || worthDetail(it)
		if it.From == llm.OpenAI && it.Type != typeContent && it.Type != typeThinking {
			field = typeReasoning
		}
	}
	if len(s) > 0 {
		m.Name(field)
		m.B = span.Quote(m.B, s)
	}
	if detailed {
		m.Name("reasoning_details")
		m.B = appendDetails(m.B, slices.DeleteFunc(thoughts, func(it *llm.Item) bool { return it.From != llm.OpenAI && !worthDetail(it) }))
	}
}

// worthDetail reports whether a thought has more to it than its text: state to
// be given back, or the form of a detail from the start.
func worthDetail(it *llm.Item) bool {
	return slices.ContainsFunc(it.Opaque, func(o llm.Opaque) bool { return o.Data != "" }) ||
		it.From == llm.OpenAI && it.Type != typeContent && it.Type != typeReasoning && it.Type != typeThinking
}

func appendCall(b []byte, it *llm.Item) []byte {
	if it.From == llm.OpenAI && len(it.Raw) > 0 {
		return append(b, it.Raw...)
	}
	o := span.Open(b)
	o.Str("id", it.Call.ID)
	if it.Call.Custom {
		o.Str("type", "custom")
		o.Name("custom")
		f := span.Open(o.B)
		f.Str("name", it.Call.Name)
		f.Name("input")
		f.B = span.Quote(f.B, it.Call.Arguments)
		o.B = f.Close()
	} else {
		o.Str("type", "function")
		o.Name("function")
		f := span.Open(o.B)
		f.Str("name", it.Call.Name)
		f.Name("arguments")
		if len(it.Call.Arguments) == 0 && it.From != llm.OpenAI {
			f.B = append(f.B, `"{}"`...)
		} else {
			f.B = span.Quote(f.B, it.Call.Arguments)
		}
		o.B = f.Close()
	}
	if it.From == llm.OpenAI {
		for _, x := range it.Ext {
			o.Raw(x.Name, x.Value)
		}
	} else {
		o.B = appendCallState(o.B, it.Opaque)
	}
	return o.Close()
}

// citations gives a block's citations as annotations: our own ones as they
// are; Anthropic's web citations as url_citation over the whole block, in
// characters. Citations of documents have no form here.
func citations(bl *llm.Block, from, to int) []jsontext.Value {
	var out []jsontext.Value
	for _, c := range span.Elements(bl.Citations) {
		if bl.From == llm.OpenAI {
			out = append(out, c)
			continue
		}
		if span.Text(span.Field(c, "url")) != "" {
			out = append(out, urlCitation(nil, c, from, to))
		}
	}
	return out
}

// urlCitation appends the annotation for a web citation of another dialect in a
// text between two places: Responses says what it covers, counted from the
// beginning of its text; Anthropic's covers all of it.
func urlCitation(b []byte, c jsontext.Value, from, to int) []byte {
	first, okFirst := span.Integer(span.Field(c, "start_index"))
	last, okLast := span.Integer(span.Field(c, "end_index"))
	if okFirst && okLast && 0 <= first && first <= last && last <= int64(to-from) {
		from, to = from+int(first), from+int(last)
	}
	o := span.Open(b)
	o.Str("type", "url_citation")
	o.Name("url_citation")
	u := span.Open(o.B)
	u.Int("start_index", int64(from))
	u.Int("end_index", int64(to))
	u.Str("url", span.Text(span.Field(c, "url")))
	u.Str("title", span.Text(span.Field(c, "title")))
	o.B = u.Close()
	return o.Close()
}
