package ollama

import (
	"bytes"
	"strconv"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Patch writes a draft of this dialect for a target of this dialect: the edits
// are spliced in at the places that Head recorded, every other byte stays and
// is shared with d.Raw. Without EditReshape nothing changes but what the other
// edits name. EditUsage asks for nothing: every answer tells its usage.
func (Codec) Patch(d *llm.Draft, c *llm.Capability) (llm.Encoded, error) {
	if d.Dialect != llm.Ollama {
		return llm.Encoded{}, llm.Errorf(llm.Unsupported, "a draft of dialect %s cannot be patched as Ollama's", d.Dialect)
	}
	p := patcher{d: d, c: c, members: make([]span.Member, len(d.Head.Members))}
	for i, m := range d.Head.Members {
		p.members[i] = span.Member{Name: m.Name, Key: span.Span(m.Key), Value: span.Span(m.Value)}
	}
	p.plan.On = p.members
	if e, ok := d.Edit(llm.EditModel); ok {
		p.plan.Put("model", span.Quote(nil, e.Text))
	}
	if e, ok := d.Edit(llm.EditMaxTokens); ok {
		p.maxTokens(e.Number)
	}
	if _, ok := d.Edit(llm.EditReshape); ok {
		p.reshape()
	}
	return llm.Encoded{Body: span.Splice(d.Raw, p.plan.Patches(nil)...), Losses: p.losses}, nil
}

type patcher struct {
	d       *llm.Draft
	c       *llm.Capability
	members []span.Member
	plan    span.Plan
	losses  []llm.Loss
}

func (p *patcher) value(name string) []byte {
	if i := p.plan.Find(name); i >= 0 {
		return p.d.Raw[p.members[i].Value.From:p.members[i].Value.To]
	}
	return nil
}

func (p *patcher) lose(kind llm.LossKind, path, why string) {
	p.losses = append(p.losses, llm.Loss{Kind: kind, Path: path, Why: why})
}

// maxTokens sets options.num_predict.
func (p *patcher) maxTokens(n int64) {
	digits := strconv.AppendInt(nil, n, 10)
	at := p.plan.Find("options")
	if at >= 0 {
		where := p.members[at].Value
		inner, err := span.Members(nil, p.d.Raw[where.From:where.To], nil)
		if err == nil && len(inner) > 0 {
			for i := range inner {
				m := &inner[i]
				m.Key.From, m.Key.To = m.Key.From+where.From, m.Key.To+where.From
				m.Value.From, m.Value.To = m.Value.From+where.From, m.Value.To+where.From
			}
			in := span.Plan{On: inner}
			in.Put("num_predict", digits)
			p.plan.Inside(at, in.Patches(nil))
			return
		}
	}
	// There are none, or they are empty or null.
	p.plan.Put("options", append(append([]byte(`{"num_predict":`), digits...), '}'))
}

// reshape fits the request to the capability: think by a splice; what the
// target cannot do refuses it.
func (p *patcher) reshape() {
	c := p.c
	if !c.Known {
		return
	}
	if tools := p.value("tools"); span.IsArray(tools) && span.Kind(tools[1:]) != ']' && !c.Can(llm.Tools) {
		p.lose(llm.LossRefuse, "tools", "the model takes no tools")
	}
	if v := p.value("think"); !span.IsNull(v) {
		d := requestDecoder{r: &llm.Request{}}
		if d.think(v) == nil { // else Ollama itself says what is wrong with it
			value, why := fitThink(d.r.Reasoning, c)
			if why != "" {
				p.lose(llm.LossWarn, "think", why)
			}
			if value == "" {
				p.plan.Remove("think")
			} else if value != string(v) {
				p.plan.Put("think", []byte(value))
			}
		}
	}
	switch v := p.value("format"); {
	case span.IsObject(v) && !c.Can(llm.JSONSchema):
		p.lose(llm.LossRefuse, "format", "the model cannot keep to a JSON Schema")
	case span.Text(v) == "json" && !c.Can(llm.JSONObject) && !c.Can(llm.JSONSchema):
		p.lose(llm.LossRefuse, "format", "the model cannot promise JSON")
	}
	if span.Kind(p.value("logprobs")) == 't' && !c.Can(llm.Logprobs) {
		p.lose(llm.LossRefuse, "logprobs", "the model gives no log probabilities")
	}
	if !c.Can(llm.Vision) && p.pictured() {
		p.lose(llm.LossRefuse, "images", "the model takes no images") // it would read past them
	}
}

// pictured reports whether the request holds a picture.
func (p *patcher) pictured() bool {
	some := func(v []byte) bool { return span.IsArray(v) && span.Kind(v[1:]) != ']' }
	if some(p.value("images")) {
		return true
	}
	messages := p.value("messages")
	if !bytes.Contains(messages, []byte(`"images"`)) {
		return false
	}
	for _, m := range span.Elements(messages) {
		if some(span.Field(m, "images")) {
			return true
		}
	}
	return false
}
