package openai

import (
	"bytes"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// ofAnswers are members that an answer has and that say nothing when they are
// empty. Clients send them back with the message, and servers that did not
// write them refuse them (Groq and Mistral: unknown member).
var ofAnswers = []string{"refusal", "annotations", "audio", "function_call"}

// spoken says that the history may hold what a known target refuses: ids in
// another vendor's form, or members of another vendor's answers. Byte searches
// keep the usual request from being read.
func (p *patcher) spoken(messages []byte) bool {
	if !p.c.Known && p.c.ToolIDLength == 0 {
		return false
	}
	for _, s := range [...]string{`"tool_calls"`, `"refusal"`, `"annotations"`, `"thinking"`} {
		if bytes.Contains(messages, []byte(s)) {
			return true
		}
	}
	return false
}

// reshapeSpoken fits the ids of calls and results, and takes out what only an
// answer has. m is the message, which begins at offset in the body.
func (p *patcher) reshapeSpoken(inner *span.Plan, m []byte, offset int, role string) {
	ids := requestEncoder{c: p.c}
	rename := func(on *span.Plan, in []byte, name string) {
		if id := span.Text(span.Field(in, name)); id != "" {
			if now := ids.callID(id); now != id {
				on.Put(name, span.Quote(nil, now))
			}
		}
	}
	switch role {
	case "tool":
		rename(inner, m, "tool_call_id")
	case "assistant":
		for _, name := range ofAnswers {
			if v := span.Field(m, name); v != nil && (span.IsNull(v) || span.Blank(v)) {
				inner.Remove(name)
			}
		}
		if p.c.ToolIDLength == 0 { // Mistral alone has parts of thinking
			p.plainContent(inner, m)
		}
		at := inner.Find("tool_calls")
		if at < 0 {
			return
		}
		where := inner.On[at].Value
		calls := m[where.From-offset : where.To-offset]
		if !span.IsArray(calls) {
			return
		}
		var inside []span.Patch
		for from := span.SkipSpace(calls, 1); from < len(calls) && calls[from] == '{'; {
			to := span.Skip(calls, from)
			call := calls[from:to]
			fields, err := moved(call, where.From+from)
			if from = span.SkipSpace(calls, to); from < len(calls) && calls[from] == ',' {
				from = span.SkipSpace(calls, from+1)
			}
			if err != nil {
				continue // Head has validated it
			}
			on := span.Plan{On: fields}
			rename(&on, call, "id")
			on.Remove("index") // belongs to streams, stands in some vendors' whole answers
			if on.Find(extraContent) >= 0 {
				on.Remove(extraContent)
				p.lose(llm.LossCarry, "messages", "a signature that this target does not take back")
			}
			if !on.Empty() {
				inside = on.Patches(inside)
			}
		}
		if len(inside) > 0 {
			inner.Inside(at, inside)
		}
	}
}

// moved gives the members of an object that begins at offset, with their
// places in the whole body.
func moved(object []byte, offset int) ([]span.Member, error) {
	fields, err := span.Members(nil, object, nil)
	for k := range fields {
		fields[k].Key.From, fields[k].Key.To = fields[k].Key.From+offset, fields[k].Key.To+offset
		fields[k].Value.From, fields[k].Value.To = fields[k].Value.From+offset, fields[k].Value.To+offset
	}
	return fields, err
}

// plainContent takes the parts of thinking out of a message's content.
func (p *patcher) plainContent(inner *span.Plan, m []byte) {
	content := span.Field(m, "content")
	if !span.IsArray(content) || !bytes.Contains(content, []byte(`"thinking"`)) {
		return
	}
	kept, dropped := []byte{'['}, false
	for _, part := range span.Elements(content) {
		if span.Text(span.Field(part, "type")) == "thinking" {
			dropped = true
			continue
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(kept, part...)
	}
	if !dropped {
		return
	}
	if len(kept) == 1 {
		kept = []byte("null")
	} else {
		kept = append(kept, ']')
	}
	inner.Put("content", kept)
	p.lose(llm.LossCarry, "messages", "thinking that this target does not take back")
}
