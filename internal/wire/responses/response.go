package responses

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// whole checks that body is a JSON object and no error under status 200.
// Leading blank lines, which keep connections alive, are passed over.
func whole(body []byte) (jsontext.Value, error) {
	raw := jsontext.Value(bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\xef\xbb\xbf"))))
	if len(raw) == 0 {
		return nil, forms.Malformed(llm.Responses, "the provider answered with an empty body", body)
	}
	if !span.Valid(raw) {
		return nil, forms.Malformed(llm.Responses, "the provider's answer is not JSON", body)
	}
	if e := forms.ErrorIn(llm.Responses, raw, 200); e != nil {
		return nil, e
	}
	if !span.IsObject(raw) {
		return nil, forms.Malformed(llm.Responses, "the provider's answer is not a JSON object", body)
	}
	return raw, nil
}

// answer is a response object as it lies in a body or an event.
type answer struct {
	id, model, status string
	created           int64
	output, usage     jsontext.Value
	details, tier     jsontext.Value
}

// members reads the members that we have words for; rest is given the others.
func (a *answer) read(raw jsontext.Value, rest func(name string, v jsontext.Value)) {
	for k, v := range span.Fields(raw) {
		switch n := string(k); n {
		case "object", "error", "completed_at":
			if n == "completed_at" && rest != nil {
				rest(n, v)
			}
		case "id":
			a.id = span.Text(v)
		case "model":
			a.model = span.Text(v)
		case "status":
			a.status = span.Text(v)
		case "created_at":
			a.created, _ = span.Integer(v)
			if rest != nil && string(v) != strconv.FormatInt(a.created, 10) { // vLLM writes 1787150055.0
				rest(n, v)
			}
		case "output":
			a.output = v
		case "usage":
			a.usage = v
		case "incomplete_details":
			a.details = v
		default:
			if n == "service_tier" {
				a.tier = v
			}
			if rest != nil {
				rest(n, v)
			}
		}
	}
}

// used reads the usage of an answer that has one.
func (a *answer) used() llm.Usage {
	u := readUsage(a.usage)
	u.Tier = forms.Tier(a.tier)
	return u
}

// holds looks for calls, refusals and text in an output.
func holds(output jsontext.Value) (calls, refused, text bool) {
	for _, item := range span.Elements(output) {
		switch span.Text(span.Field(item, "type")) {
		case "function_call", "custom_tool_call":
			calls = true
		case "message":
			for _, part := range span.Elements(span.Field(item, "content")) {
				no := span.Text(span.Field(part, "type")) == "refusal"
				refused, text = refused || no, text || !no
			}
		}
	}
	return calls, refused, text
}

// Glance reads id, model, usage and finish of a whole answer. Its errors are
// *llm.Error: an error under status 200, or MalformedUpstream.
func (Codec) Glance(body []byte) (llm.Glance, error) {
	raw, err := whole(body)
	if err != nil {
		return llm.Glance{}, err
	}
	var a answer
	a.read(raw, nil)
	g := llm.Glance{ID: a.id, Model: a.model}
	if !span.IsArray(a.output) {
		return g, forms.Malformed(llm.Responses, "the provider's answer has no output", body)
	}
	if span.IsObject(a.usage) {
		g.Usage = a.used()
	}
	calls, refused, text := holds(a.output)
	g.Finish = readFinish(a.status, a.details, calls, refused, text)
	return g, nil
}

// DecodeResponse decodes a whole answer. Its errors are *llm.Error: an error
// under status 200, or MalformedUpstream.
func (Codec) DecodeResponse(body []byte) (*llm.Response, error) {
	raw, err := whole(body)
	if err != nil {
		return nil, err
	}
	r := &llm.Response{From: llm.Responses}
	var a answer
	a.read(raw, func(name string, v jsontext.Value) {
		r.Ext = append(r.Ext, llm.Member{Name: name, Value: bytes.Clone(v)})
	})
	if !span.IsArray(a.output) {
		return nil, forms.Malformed(llm.Responses, "the provider's answer has no output", body)
	}
	r.ID, r.Model, r.Created = a.id, a.model, a.created
	if span.IsObject(a.usage) {
		r.Usage = a.used()
	}
	for _, item := range span.Elements(a.output) {
		r.Items = append(r.Items, readOutput(item))
	}
	calls, refused, text := holds(a.output)
	r.Finish = readFinish(a.status, a.details, calls, refused, text)
	return r, nil
}

// readOutput reads an item of an answer. Half an item is kept, not acted on.
func readOutput(raw jsontext.Value) llm.Item {
	raw = bytes.Clone(raw)
	it, problem := readItem(raw)
	if problem != "" {
		it = llm.Item{Kind: llm.ItemOpaque, Role: llm.Assistant, Type: span.Text(span.Field(raw, "type")), From: llm.Responses, Raw: raw}
	}
	return it
}

// echo are the members of a response object that repeat the request, as an
// answer from another dialect shows them: the SDKs' types need them, and
// nothing is known of them here.
var echo = []llm.Member{
	{Name: "background", Value: jsontext.Value("false")},
	{Name: "instructions", Value: jsontext.Value("null")},
	{Name: "max_output_tokens", Value: jsontext.Value("null")},
	{Name: "max_tool_calls", Value: jsontext.Value("null")},
	{Name: "metadata", Value: jsontext.Value("{}")},
	{Name: "parallel_tool_calls", Value: jsontext.Value("true")},
	{Name: "previous_response_id", Value: jsontext.Value("null")},
	{Name: "reasoning", Value: jsontext.Value(`{"effort":null,"summary":null}`)},
	{Name: "service_tier", Value: jsontext.Value(`"default"`)},
	{Name: "store", Value: jsontext.Value("false")},
	{Name: "temperature", Value: jsontext.Value("null")},
	{Name: "text", Value: jsontext.Value(`{"format":{"type":"text"}}`)},
	{Name: "tool_choice", Value: jsontext.Value(`"auto"`)},
	{Name: "tools", Value: jsontext.Value("[]")},
	{Name: "top_logprobs", Value: jsontext.Value("0")},
	{Name: "top_p", Value: jsontext.Value("null")},
	{Name: "truncation", Value: jsontext.Value(`"disabled"`)},
	{Name: "user", Value: jsontext.Value("null")},
}

// echoed are further members that an answer repeats only when they were said.
var echoed = []string{"conversation", "prompt_cache_key", "safety_identifier"}

// Echo gives the members with which an answer repeats a request of this
// dialect, in the request's own bytes. stored says whether the answer is kept.
func (Codec) Echo(d *llm.Draft, stored bool) []llm.Member {
	all := make([]llm.Member, 0, len(echo)+len(echoed))
	said := func(name string) jsontext.Value {
		if at, ok := d.Head.At(name); ok && !span.IsNull(d.Raw[at.From:at.To]) {
			return d.Raw[at.From:at.To]
		}
		return nil
	}
	for _, m := range echo {
		switch v := said(m.Name); {
		case m.Name == "store":
			m.Value = strconv.AppendBool(nil, stored)
		case m.Name == "service_tier": // the one that was had, not the one asked for
		case v != nil:
			m.Value = v
		}
		all = append(all, m)
	}
	for _, name := range echoed {
		if v := said(name); v != nil {
			all = append(all, llm.Member{Name: name, Value: v})
		}
	}
	return all
}

// appendEnvelope appends the members of a response object that stand around
// its output. created_at of another spelling, and the echo, are in ext.
func appendEnvelope(o *span.Object, id, model string, created int64, status string, details jsontext.Value, failure []byte, ext []llm.Member) {
	o.Str("id", id)
	o.Str("object", "response")
	o.Name("created_at")
	spelled := false
	for i := range ext {
		if ext[i].Name == "created_at" {
			o.B, spelled = append(o.B, ext[i].Value...), true
		}
	}
	if !spelled {
		o.B = strconv.AppendInt(o.B, created, 10)
	}
	o.Str("status", status)
	o.Name("error")
	if failure != nil {
		o.B = append(o.B, failure...)
	} else {
		o.B = append(o.B, "null"...)
	}
	o.Name("incomplete_details")
	if details != nil {
		o.B = span.AppendFlat(o.B, details)
	} else {
		o.B = append(o.B, "null"...)
	}
	o.Str("model", model)
	for i := range ext {
		if ext[i].Name != "created_at" {
			o.Name(ext[i].Name)
			o.B = span.AppendFlat(o.B, ext[i].Value)
		}
	}
}

// AppendResponse appends a whole answer. What came from this dialect has its
// own unknown members back.
func (Codec) AppendResponse(dst []byte, r *llm.Response) []byte {
	own := r.From == llm.Responses
	ext := echo
	switch {
	case own:
		ext = r.Ext
	case r.Echo != nil:
		ext = r.Echo
	}
	said := false
	for i := range r.Items {
		for k := range r.Items[i].Blocks {
			said = said || r.Items[i].Blocks[k].Kind == llm.BlockRefusal
		}
	}
	status, details := writeFinish(&r.Finish, own, said)
	var failure []byte
	if status == "failed" && !own {
		failure = []byte(`{"code":"server_error","message":"the model failed"}`)
	}
	o := span.Open(dst)
	appendEnvelope(&o, r.ID, r.Model, r.Created, status, details, failure, ext)
	o.Name("output")
	o.B = append(o.B, '[')
	start := len(o.B)
	for i := range r.Items {
		mark := len(o.B)
		if mark > start {
			o.B = append(o.B, ',')
		}
		from := len(o.B)
		if o.B = appendItem(o.B, &r.Items[i], r.ID, i, status); len(o.B) == from {
			o.B = o.B[:mark]
		}
	}
	o.B = append(o.B, ']')
	o.Name("usage")
	if r.Usage.Source != "" {
		o.B = appendUsage(o.B, &r.Usage, own)
	} else {
		o.B = append(o.B, "null"...)
	}
	return o.Close()
}

// appendItem appends one output item, or nothing for what has no form here.
func appendItem(b []byte, it *llm.Item, answer string, n int, status string) []byte {
	own := it.From == llm.Responses
	if own && len(it.Raw) > 0 {
		return append(b, it.Raw...)
	}
	id := func(prefix string) string {
		if own && it.ID != "" {
			return it.ID
		}
		return itemID(prefix, answer, n)
	}
	o := span.Open(b)
	switch it.Kind {
	case llm.ItemMessage:
		if len(it.Blocks) == 0 && !own {
			return b
		}
		o.Str("id", id("msg_"))
		o.Str("type", "message")
		o.Str("status", itemStatus(status))
		o.Name("content")
		o.B = append(o.B, '[')
		start := len(o.B)
		for i := range it.Blocks {
			bl := &it.Blocks[i]
			if bl.Kind != llm.BlockText && bl.Kind != llm.BlockRefusal && !(own && len(bl.Raw) > 0) {
				continue
			}
			if len(o.B) > start {
				o.B = append(o.B, ',')
			}
			o.B = appendPart(o.B, bl)
		}
		o.B = append(o.B, ']')
		o.Str("role", "assistant")
	case llm.ItemReasoning:
		o.Str("id", id("rs_"))
		o.Str("type", "reasoning")
		appendThought(&o, it, false)
		if data := carried(it.Opaque, own); data != "" {
			o.Str("encrypted_content", data)
		}
	case llm.ItemToolCall:
		if it.Call.Custom {
			o.Str("id", id("ctc_"))
			o.Str("type", "custom_tool_call")
			o.Str("status", itemStatus(status))
			o.Str("call_id", it.Call.ID)
			appendName(&o, it.Call.Name)
			o.Name("input")
			o.B = span.Quote(o.B, it.Call.Arguments)
			break
		}
		args := it.Call.Arguments
		if len(args) == 0 && !own {
			args = []byte("{}")
		}
		o.Str("id", id("fc_"))
		o.Str("type", "function_call")
		o.Str("status", itemStatus(status))
		o.Name("arguments")
		o.B = span.Quote(o.B, args)
		o.Str("call_id", it.Call.ID)
		appendName(&o, it.Call.Name)
	default:
		return b
	}
	if own {
		for _, m := range it.Ext {
			if m.Name != "summary" && m.Name != "status" {
				o.Raw(m.Name, m.Value)
			}
		}
	}
	return o.Close()
}

// itemStatus is the status of an item in an answer of the given one.
func itemStatus(status string) string {
	if status == "incomplete" || status == "failed" {
		return "incomplete"
	}
	return "completed"
}

// appendPart appends one part of a message's content.
func appendPart(b []byte, bl *llm.Block) []byte {
	own := bl.From == llm.Responses
	if own && len(bl.Raw) > 0 {
		return append(b, bl.Raw...)
	}
	o := span.Open(b)
	if bl.Kind == llm.BlockRefusal {
		o.Str("type", "refusal")
		o.Str("refusal", bl.Text)
		return o.Close()
	}
	o.Str("type", "output_text")
	o.Name("annotations")
	o.B = appendCitations(o.B, bl)
	o.Raw("logprobs", []byte("[]"))
	o.Str("text", bl.Text)
	return o.Close()
}

// appendCitations appends a block's citations as annotations: our own ones and
// those of Chat Completions as they are but for their depth, Anthropic's web
// citations over the whole block, in characters. Citations of documents have
// no form here.
func appendCitations(b []byte, bl *llm.Block) []byte {
	b = append(b, '[')
	start := len(b)
	for _, c := range span.Elements(bl.Citations) {
		mark := len(b)
		if mark > start {
			b = append(b, ',')
		}
		from := len(b)
		if bl.From == llm.Responses {
			b = append(b, c...)
		} else {
			b = appendCitation(b, c, utf8.RuneCountInString(bl.Text))
		}
		if len(b) == from {
			b = b[:mark]
		}
	}
	return append(b, ']')
}

// appendCitation appends the annotation for another dialect's web citation,
// which covers the first n characters where it does not say what; nothing for
// any other citation.
func appendCitation(b []byte, c jsontext.Value, n int) []byte {
	if inner := span.Field(c, "url_citation"); span.IsObject(inner) { // Chat Completions
		c = inner
	}
	url := span.Text(span.Field(c, "url"))
	if url == "" {
		return b
	}
	from, to := int64(0), int64(n)
	if v, ok := span.Integer(span.Field(c, "start_index")); ok {
		from = v
	}
	if v, ok := span.Integer(span.Field(c, "end_index")); ok {
		to = v
	}
	o := span.Open(b)
	o.Str("type", "url_citation")
	o.Int("start_index", from)
	o.Int("end_index", to)
	o.Str("url", url)
	o.Str("title", span.Text(span.Field(c, "title")))
	return o.Close()
}

// appendName writes a tool's name, and the namespace that it stands in.
func appendName(o *span.Object, full string) {
	namespace, name := llm.Namespace(full)
	o.Str("name", name)
	if namespace != "" {
		o.Str("namespace", namespace)
	}
}
