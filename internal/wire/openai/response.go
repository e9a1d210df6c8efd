package openai

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
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
		return nil, malformed("the provider answered with an empty body", body)
	}
	if !valid(raw) {
		return nil, malformed("the provider's answer is not JSON", body)
	}
	if e := errorIn(raw, 200); e != nil {
		return nil, e
	}
	if !isObject(raw) {
		return nil, malformed("the provider's answer is not a JSON object", body)
	}
	return raw, nil
}

func malformed(why string, body []byte) *llm.Error {
	return &llm.Error{Class: llm.MalformedUpstream, Message: why + ": " + excerpt(body), From: llm.OpenAI}
}

// excerpt shows the beginning of a body in a message.
func excerpt(body []byte) string {
	const most = 120
	b := bytes.Join(bytes.Fields(body[:min(len(body), 4*most)]), []byte{' '})
	if len(b) > most {
		b = b[:most]
		for len(b) > 0 && !utf8.Valid(b) {
			b = b[:len(b)-1]
		}
		return strconv.Quote(string(b)) + "..."
	}
	return strconv.Quote(string(b))
}

// Glance reads id, model, usage and finish of a whole answer. Its errors are
// *llm.Error: an error under status 200, or MalformedUpstream.
func (Codec) Glance(body []byte) (llm.Glance, error) {
	var g llm.Glance
	var usage, groq, choices jsontext.Value
	take := func(name string, v jsontext.Value) {
		switch name {
		case "id":
			g.ID = text(v)
		case "model":
			g.Model = text(v)
		case "usage":
			usage = v
		case "x_groq":
			groq = member(v, "usage")
		case "choices":
			choices = v
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
		for k, v := range members(raw) {
			take(string(k), v)
		}
	}
	if !isArray(choices) {
		return g, malformed("the provider's answer has no choices", body)
	}
	if !isObject(usage) {
		usage = groq
	}
	if isObject(usage) {
		g.Usage = readUsage(usage)
	}
	for _, choice := range elements(choices) {
		calls, refused := false, false
		for k, v := range members(messageOf(choice)) {
			switch string(k) {
			case "tool_calls":
				calls = calls || len(v) > 2 && isArray(v)
			case "function_call":
				calls = calls || text(member(v, "name")) != ""
			case "refusal":
				refused = text(v) != ""
			}
		}
		g.Finish = readFinish(text(member(choice, "finish_reason")), calls, refused)
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
	if m := member(choice, "message"); isObject(m) {
		return m
	}
	return member(choice, "delta")
}

// DecodeResponse decodes a whole answer. Its errors are *llm.Error: an error
// under status 200, or MalformedUpstream.
func (Codec) DecodeResponse(body []byte) (*llm.Response, error) {
	raw, err := whole(body)
	if err != nil {
		return nil, err
	}
	r := &llm.Response{From: llm.OpenAI}
	var usage, groq, choices jsontext.Value
	for k, v := range members(raw) {
		switch n := string(k); n {
		case "id":
			r.ID = text(v)
		case "object":
		case "created":
			var ok bool
			if r.Created, ok = integer(v); !ok { // Writer gives a string
				r.Created, _ = strconv.ParseInt(text(v), 10, 64)
				r.Ext = append(r.Ext, llm.Member{Name: n, Value: bytes.Clone(v)})
			}
		case "model":
			r.Model = text(v)
		case "choices":
			choices = v
		case "usage":
			usage = v
		default:
			if n == "x_groq" {
				groq = member(v, "usage")
			}
			if n == "error" {
				continue // null: errorIn has looked
			}
			r.Ext = append(r.Ext, llm.Member{Name: n, Value: bytes.Clone(v)})
		}
	}
	if !isArray(choices) {
		return nil, malformed("the provider's answer has no choices", body)
	}
	if !isObject(usage) {
		usage = groq
	}
	if isObject(usage) {
		r.Usage = readUsage(usage)
	}
	var more []byte
	any := false
	for i, choice := range elements(choices) {
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
		return nil, malformed("the provider's answer has no choices", body)
	}
	if more != nil {
		r.Ext = append(r.Ext, llm.Member{Name: extMore, Value: append(append([]byte{'['}, more...), ']')})
	}
	return r, nil
}

func readChoice(r *llm.Response, choice jsontext.Value) {
	rest, extra := open(nil), open(nil)
	native := ""
	hasMessage := isObject(member(choice, "message"))
	for k, v := range members(choice) {
		switch n := string(k); n {
		case "index", "message":
		case "finish_reason":
			native = text(v)
		case "delta", "text": // a second copy of the message (Perplexity, Together)
			if hasMessage {
				rest.raw(n, v)
			}
		case "logprobs":
			if !isNull(v) {
				rest.raw(n, v)
			}
		default:
			rest.raw(n, v)
		}
	}
	m := member(choice, "message")
	if !hasMessage {
		m = member(choice, "delta")
	}
	var content, calls, legacy, detailed, annotations jsontext.Value
	var refusal, thinking, field string
	var spelled []llm.Member
	for k, v := range members(m) {
		switch n := string(k); n {
		case "reasoning_content", "reasoning", "reasoning_details":
			spelled = append(spelled, llm.Member{Name: n, Value: bytes.Clone(v)})
		}
		switch n := string(k); n {
		case "role":
		case "content":
			content = v
		case "refusal":
			refusal = text(v)
		case "tool_calls":
			calls = v
		case "function_call":
			legacy = v
		case "reasoning_content", "reasoning":
			if s := text(v); s != "" && thinking == "" {
				thinking, field = s, n
			}
		case "reasoning_details":
			detailed = v
		case "annotations":
			if isArray(v) && kind(v[1:]) != ']' {
				annotations = bytes.Clone(v)
			}
		default:
			if !isNull(v) {
				extra.raw(n, v)
			}
		}
	}
	var thoughts []llm.Item
	item := llm.Item{Kind: llm.ItemMessage, Role: llm.Assistant, From: llm.OpenAI}
	switch kind(content) {
	case '"':
		if s := text(content); s != "" {
			item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockText, Text: s, From: llm.OpenAI})
		}
	case '{': // Cloudflare gives structured output as the object itself
		extra.raw("content", content)
		item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockText, Text: string(content), From: llm.OpenAI})
	case '[':
		extra.raw("content", content)
		for _, part := range elements(content) {
			part = bytes.Clone(part)
			switch kind := text(member(part, "type")); {
			case kind == typeThinking:
				thoughts = append(thoughts, mistralThinking(part))
			case kind == "text" || kind == "output_text":
				item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockText, Text: text(member(part, "text")), From: llm.OpenAI, Raw: part})
			case kind == "refusal":
				item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockRefusal, Text: text(member(part, "refusal")), From: llm.OpenAI, Raw: part})
			case isString(part):
				item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockText, Text: text(part), From: llm.OpenAI})
			default:
				item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockOpaque, Type: kind, From: llm.OpenAI, Raw: part})
			}
		}
	}
	if len(item.Blocks) > 0 {
		item.Blocks[0].Citations = annotations
	} else if annotations != nil {
		extra.raw("annotations", annotations)
	}
	if refusal != "" {
		item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockRefusal, Text: refusal, From: llm.OpenAI})
	}
	if isArray(detailed) {
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
	for i, raw := range elements(calls) {
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
	if n == 0 && text(member(legacy, "name")) != "" { // Snowflake writes an empty one
		it := readFunctionCall(bytes.Clone(legacy))
		it.Call.ID = madeID(r.ID, r.Created, 0)
		r.Items = append(r.Items, it)
		n++
	} else if legacy != nil && !isNull(legacy) {
		extra.raw("function_call", legacy)
	}
	if rest.comma {
		r.Ext = append(r.Ext, llm.Member{Name: extChoice, Value: rest.close()})
	}
	if extra.comma {
		r.Ext = append(r.Ext, llm.Member{Name: extMessage, Value: extra.close()})
	}
	r.Finish = readFinish(native, n > 0, refusal != "")
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
	o := open(dst)
	o.str("id", r.ID)
	o.str("object", "chat.completion")
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
		o.raw("created", created)
	} else {
		o.int("created", r.Created)
	}
	o.str("model", r.Model)
	o.name("choices")
	o.b = append(o.b, '[')
	c := open(o.b)
	c.int("index", 0)
	c.name("message")
	legacy := false
	c.b, legacy = appendMessage(c.b, r, messageExt)
	if r.Finish.Reason == "" {
		c.raw("finish_reason", []byte("null"))
	} else {
		c.str("finish_reason", writeFinish(r.Finish, own, legacy))
	}
	if member(choiceExt, "logprobs") == nil {
		c.raw("logprobs", []byte("null"))
	}
	for k, v := range members(choiceExt) {
		c.raw(string(k), v)
	}
	o.b = c.close()
	for _, choice := range elements(more) {
		o.b = append(o.b, ',')
		o.b = append(o.b, choice...)
	}
	o.b = append(o.b, ']')
	if r.Usage.Source != "" {
		u := r.Usage
		if !own {
			u.Raw = nil
		}
		o.name("usage")
		o.b = appendUsage(o.b, u)
	}
	if own {
		for _, m := range r.Ext {
			switch m.Name {
			case extChoice, extMessage, extMore, "created":
			default:
				o.raw(m.Name, m.Value)
			}
		}
	}
	return o.close()
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
	m := open(b)
	m.str("role", "assistant")
	m.name("content")
	spelled := member(ext, "content")
	switch {
	case spelled != nil: // parts or an object, as this dialect's provider wrote it
		m.b = append(m.b, spelled...)
		thoughts = slices.DeleteFunc(thoughts, func(it *llm.Item) bool { return it.Type == typeThinking })
	case len(parts) > 0: // content of kinds that only this dialect has
		m.b = append(m.b, '[')
		if len(said) > 0 {
			m.b = append(m.b, `{"type":"text","text":`...)
			m.b = append(quote(m.b, said), `},`...)
		}
		for i, p := range parts {
			if i > 0 {
				m.b = append(m.b, ',')
			}
			m.b = append(m.b, p...)
		}
		m.b = append(m.b, ']')
	case hasText:
		m.b = quote(m.b, said)
	default:
		m.b = append(m.b, "null"...)
	}
	m.name("refusal")
	if len(refusal) > 0 {
		m.b = quote(m.b, refusal)
	} else {
		m.b = append(m.b, "null"...)
	}
	appendThoughts(&m, thoughts)
	if len(calls)+len(opaque) > 0 {
		if len(calls) == 1 && calls[0].Type == typeLegacyCall {
			legacy = true
			m.name("function_call")
			f := open(m.b)
			f.str("name", calls[0].Call.Name)
			f.name("arguments")
			f.b = quote(f.b, calls[0].Call.Arguments)
			m.b = f.close()
		} else {
			m.name("tool_calls")
			m.b = append(m.b, '[')
			for i, it := range calls {
				if i > 0 {
					m.b = append(m.b, ',')
				}
				m.b = appendCall(m.b, it)
			}
			for i, raw := range opaque {
				if i > 0 || len(calls) > 0 {
					m.b = append(m.b, ',')
				}
				m.b = append(m.b, raw...)
			}
			m.b = append(m.b, ']')
		}
	}
	if len(annotations) > 0 {
		m.name("annotations")
		m.b = append(m.b, '[')
		for i, a := range annotations {
			if i > 0 {
				m.b = append(m.b, ',')
			}
			m.b = append(m.b, a...)
		}
		m.b = append(m.b, ']')
	}
	for k, v := range members(ext) {
		if string(k) != "content" {
			m.raw(string(k), v)
		}
	}
	return m.close(), legacy
}

// appendThoughts writes thinking for a client: as plain text for the many, and
// as details for those that give them back.
func appendThoughts(m *object, thoughts []*llm.Item) {
	if len(thoughts) == 0 {
		return
	}
	if members := spelling(thoughts); members != nil {
		for _, x := range members {
			m.raw(x.Name, x.Value)
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
		m.name(field)
		m.b = quote(m.b, s)
	}
	if detailed {
		m.name("reasoning_details")
		m.b = appendDetails(m.b, slices.DeleteFunc(thoughts, func(it *llm.Item) bool { return it.From != llm.OpenAI && !worthDetail(it) }))
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
	o := open(b)
	o.str("id", it.Call.ID)
	if it.Call.Custom {
		o.str("type", "custom")
		o.name("custom")
		f := open(o.b)
		f.str("name", it.Call.Name)
		f.name("input")
		f.b = quote(f.b, it.Call.Arguments)
		o.b = f.close()
	} else {
		o.str("type", "function")
		o.name("function")
		f := open(o.b)
		f.str("name", it.Call.Name)
		f.name("arguments")
		if len(it.Call.Arguments) == 0 && it.From != llm.OpenAI {
			f.b = append(f.b, `"{}"`...)
		} else {
			f.b = quote(f.b, it.Call.Arguments)
		}
		o.b = f.close()
	}
	if it.From == llm.OpenAI {
		for _, x := range it.Ext {
			o.raw(x.Name, x.Value)
		}
	}
	return o.close()
}

// citations gives a block's citations as annotations: our own ones as they
// are; Anthropic's web citations as url_citation over the whole block, in
// characters. Citations of documents have no form here.
func citations(bl *llm.Block, from, to int) []jsontext.Value {
	var out []jsontext.Value
	for _, c := range elements(bl.Citations) {
		if bl.From == llm.OpenAI {
			out = append(out, c)
			continue
		}
		if text(member(c, "url")) != "" {
			out = append(out, urlCitation(nil, c, from, to))
		}
	}
	return out
}

// urlCitation appends the annotation for a web citation of Anthropic's.
func urlCitation(b []byte, c jsontext.Value, from, to int) []byte {
	o := open(b)
	o.str("type", "url_citation")
	o.name("url_citation")
	u := open(o.b)
	u.int("start_index", int64(from))
	u.int("end_index", int64(to))
	u.str("url", text(member(c, "url")))
	u.str("title", text(member(c, "title")))
	o.b = u.close()
	return o.close()
}
