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
		if span.Has(messages, s) {
			return true
		}
	}
	return false
}

// reshapeSpoken fits the ids of calls and results of a message, and takes out
// what only an answer has.
func (p *patcher) reshapeSpoken(inner *span.Plan, role string) {
	switch role {
	case "tool":
		p.rename(inner, "tool_call_id")
	case "assistant":
		for _, name := range ofAnswers {
			if v := p.in(inner, name); v != nil && (span.IsNull(v) || span.Blank(v)) {
				inner.Remove(name)
			}
		}
		if p.c.ToolIDLength == 0 { // Mistral alone has parts of thinking
			p.plainContent(inner)
		}
		at := inner.Find("tool_calls")
		if at < 0 {
			return
		}
		where := inner.On[at].Value
		calls := p.d.Raw[where.From:where.To]
		if !span.IsArray(calls) {
			return
		}
		var inside []span.Patch
		var fields []span.Member // of the call at hand
		for from := span.SkipSpace(calls, 1); from < len(calls) && calls[from] == '{'; {
			to := span.Skip(calls, from)
			fields = span.Places(fields[:0], calls[from:to], where.From+from)
			if from = span.SkipSpace(calls, to); from < len(calls) && calls[from] == ',' {
				from = span.SkipSpace(calls, from+1)
			}
			on := span.Plan{On: fields}
			p.rename(&on, "id")
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

// rename gives the call that a member names the id that it has for the target.
func (p *patcher) rename(on *span.Plan, name string) {
	ids := requestEncoder{c: p.c}
	if id := span.Text(p.in(on, name)); id != "" {
		if now := ids.callID(id); now != id {
			on.Put(name, span.Quote(nil, now))
		}
	}
}

// plainContent takes the parts of thinking out of a message's content.
func (p *patcher) plainContent(inner *span.Plan) {
	content := p.in(inner, "content")
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
