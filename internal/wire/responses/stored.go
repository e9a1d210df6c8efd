package responses

import (
	"bytes"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// This file speaks of stored responses: what goes on from one, and the answers
// of the paths under /v1/responses/{id}.

// Expand writes a request with the conversation that it goes on from: items
// stand before its own input, and previous_response_id is gone. Every other
// byte stays.
func (Codec) Expand(d *llm.Draft, items []jsontext.Value) []byte {
	p := span.Plan{On: make([]span.Member, len(d.Head.Members))}
	for i, m := range d.Head.Members {
		p.On[i] = span.Member{Name: m.Name, Key: span.Span(m.Key), Value: span.Span(m.Value)}
	}
	list := []byte{'['}
	add := func(item []byte) {
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = append(list, item...)
	}
	for _, it := range items {
		add(it)
	}
	if at, ok := d.Head.At("input"); ok {
		switch v := jsontext.Value(d.Raw[at.From:at.To]); {
		case span.IsString(v):
			add(append(append([]byte(`{"type":"message","role":"user","content":`), v...), '}'))
		case span.IsArray(v) && !span.Blank(v):
			add(bytes.TrimSpace(v[1 : len(v)-1]))
		}
	}
	p.Put("input", append(list, ']'))
	p.Remove("previous_response_id")
	return slices.Concat(span.Splice(d.Raw, p.Patches(nil)...)...)
}

// AnswerID is the id of a response of ours to the request with the given id.
func (Codec) AnswerID(request string) string { return "resp_" + strings.TrimPrefix(request, "req_") }

// Held gives a response object and its id out of a whole answer, or out of the
// data of the event that ends a stream; nil when there is none. done says that
// its output is complete, and away that its provider has not kept it: many
// compatible servers keep nothing, whatever they are asked for, and say so.
func (Codec) Held(data []byte) (object jsontext.Value, id string, done, away bool) {
	object = bytes.TrimSpace(data)
	if inner := span.Field(object, "response"); span.IsObject(inner) {
		object = inner
	}
	for name, v := range span.Fields(object) {
		switch string(name) {
		case "id":
			id = span.Text(v)
		case "status":
			status := span.Text(v)
			done = status == "completed" || status == "incomplete"
		case "store":
			away = span.Kind(v) == 'f'
		}
	}
	if id == "" {
		return nil, "", false, false
	}
	return object, id, done, away
}

const stateKey = `"encrypted_content"`

// States gives the encrypted states in a body of this dialect, in their order,
// without decoding it.
func (Codec) States(body []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !span.Has(body, stateKey) {
			return
		}
		key := []byte(stateKey)
		for from := 0; ; {
			at := bytes.Index(body[from:], key)
			if at < 0 {
				return
			}
			from = span.SkipSpace(body, from+at+len(stateKey))
			if from >= len(body) || body[from] != ':' {
				continue
			}
			from = span.SkipSpace(body, from+1)
			if from >= len(body) || body[from] != '"' {
				continue
			}
			to := span.SkipString(body, from)
			if s := span.Text(body[from:to]); s != "" && !strings.HasPrefix(s, wrapped) && !yield(s) {
				return
			}
			from = to
		}
	}
}

// Awaits reports whether a request of this dialect brings the result of a call
// last: the model is inside a tool loop.
func (Codec) Awaits(d *llm.Draft) bool {
	at, ok := d.Head.At("input")
	if !ok {
		return false
	}
	last := ""
	for _, it := range span.Elements(d.Raw[at.From:at.To]) {
		last = span.Text(span.Field(it, "type"))
	}
	return strings.HasSuffix(last, "_output")
}

// Conversation gives the id of the conversation that a request stands in; ""
// when it names none.
func (Codec) Conversation(d *llm.Draft) string {
	at, ok := d.Head.At("conversation")
	if !ok {
		return ""
	}
	v := d.Raw[at.From:at.To]
	if span.IsObject(v) {
		v = span.Field(v, "id")
	}
	return span.Text(v)
}

// AppendDeleted appends the answer of DELETE /v1/responses/{id}.
func (Codec) AppendDeleted(dst []byte, id string) []byte {
	o := span.Open(dst)
	o.Str("id", id)
	o.Str("object", "response")
	o.Bool("deleted", true)
	return o.Close()
}

// The bounds of a page of items (openai-go v3.96.0 InputItemListParams).
const (
	pageItems = 20
	pageMost  = 100
)

// AppendItems appends a page of the items that the response was an answer to,
// as GET /v1/responses/{id}/input_items gives it: newest first unless order
// is asc, limit of them, behind the item that after names. Items that the
// client gave no id have one that stays the same. An error is an *llm.Error of
// class InvalidRequest.
func (Codec) AppendItems(dst []byte, id string, items []jsontext.Value, query url.Values) ([]byte, error) {
	limit := pageItems
	if s := query.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > pageMost {
			return nil, badQuery("limit", "limit must be a whole number from 1 to 100")
		}
		limit = n
	}
	type entry struct {
		id  string
		raw []byte
	}
	all := make([]entry, len(items))
	for i, raw := range items {
		all[i].id, all[i].raw = listed(raw, id, i)
	}
	switch query.Get("order") {
	case "asc":
	case "", "desc":
		slices.Reverse(all)
	default:
		return nil, badQuery("order", "order must be asc or desc")
	}
	if after := query.Get("after"); after != "" {
		at := slices.IndexFunc(all, func(e entry) bool { return e.id == after })
		if at < 0 {
			return nil, badQuery("after", "after names no item of this response")
		}
		all = all[at+1:]
	}
	more := len(all) > limit
	if more {
		all = all[:limit]
	}
	o := span.Open(dst)
	o.Str("object", "list")
	o.Name("data")
	o.B = append(o.B, '[')
	for i := range all {
		if i > 0 {
			o.B = append(o.B, ',')
		}
		o.B = append(o.B, all[i].raw...)
	}
	o.B = append(o.B, ']')
	if len(all) > 0 {
		o.Str("first_id", all[0].id)
		o.Str("last_id", all[len(all)-1].id)
	} else {
		o.Raw("first_id", []byte("null"))
		o.Raw("last_id", []byte("null"))
	}
	o.Bool("has_more", more)
	return o.Close(), nil
}

func badQuery(param, why string) error {
	return &llm.Error{Class: llm.InvalidRequest, Param: param, Message: why}
}

// listed gives an item as a list shows it: with an id, and a message of the
// easy form with its content in parts.
func listed(raw jsontext.Value, answer string, n int) (id string, out []byte) {
	id = span.Text(span.Field(raw, "id"))
	kind := span.Text(span.Field(raw, "type"))
	easy := kind == "" && span.Field(raw, "role") != nil
	content := span.Field(raw, "content")
	if id != "" && !easy && !span.IsString(content) {
		return id, raw
	}
	given := id
	if id == "" {
		prefix := "item_"
		switch {
		case kind == "message" || easy:
			prefix = "msg_"
		case kind == "function_call":
			prefix = "fc_"
		case kind == "function_call_output":
			prefix = "fco_"
		case kind == "reasoning":
			prefix = "rs_"
		}
		id = itemID(prefix, answer+" input", n)
	}
	o := span.Open(make([]byte, 0, len(raw)+128))
	if given == "" {
		o.Str("id", id)
	}
	if easy {
		o.Str("type", "message")
	}
	if (easy || kind == "message") && span.Field(raw, "status") == nil {
		o.Str("status", "completed")
	}
	for name, v := range span.Fields(raw) {
		switch string(name) {
		case "id":
			if given == "" { // null, or empty
				continue
			}
		case "type":
			if easy {
				continue
			}
		case "content":
			if span.IsString(v) && (easy || kind == "message") {
				part := "input_text"
				if span.Text(span.Field(raw, "role")) == "assistant" {
					part = "output_text"
				}
				o.Name("content")
				o.B = append(o.B, '[')
				p := span.Open(o.B)
				p.Str("type", part)
				p.Raw("text", v)
				if part == "output_text" {
					p.Raw("annotations", []byte("[]"))
				}
				o.B = append(p.Close(), ']')
				continue
			}
		}
		o.Raw(string(name), v)
	}
	return id, o.Close()
}
