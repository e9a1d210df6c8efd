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
	p.plan.on = p.members
	if e, ok := d.Edit(llm.EditModel); ok {
		p.plan.put("model", quote(nil, e.Text))
	}
	if e, ok := d.Edit(llm.EditMaxTokens); ok {
		p.maxTokens(e.Number)
	}
	if _, ok := d.Edit(llm.EditReshape); ok {
		p.reshape()
	}
	return llm.Encoded{Body: span.Splice(d.Raw, p.plan.patches(nil)...), Losses: p.losses}, nil
}

// change is what becomes of one member.
type change struct {
	remove bool
	value  []byte       // a new value, or nil
	inside []span.Patch // patches within the value, in order
}

// plan collects changes to one object and turns them into patches that are in
// order and do not overlap, whatever is removed beside what.
type plan struct {
	on      []span.Member
	changes []change // of each member; nil when there are none
	add     []struct {
		name  string
		value []byte
	}
}

func (p *plan) find(name string) int {
	for i := range p.on {
		if p.on[i].Name == name {
			return i
		}
	}
	return -1
}

func (p *plan) change(i int, f func(*change)) {
	if p.changes == nil {
		p.changes = make([]change, len(p.on))
	}
	f(&p.changes[i])
}

// put sets a member's value, adding the member when it is not there.
func (p *plan) put(name string, value []byte) {
	if i := p.find(name); i >= 0 {
		p.change(i, func(c *change) { c.value, c.remove = value, false })
		return
	}
	for i := range p.add {
		if p.add[i].name == name {
			p.add[i].value = value
			return
		}
	}
	p.add = append(p.add, struct {
		name  string
		value []byte
	}{name, value})
}

func (p *plan) remove(name string) {
	if i := p.find(name); i >= 0 {
		p.change(i, func(c *change) { c.remove = true })
	}
}

func (p *plan) empty() bool { return p.changes == nil && len(p.add) == 0 }

// at is what becomes of a member.
func (p *plan) at(i int) change {
	if p.changes == nil {
		return change{}
	}
	return p.changes[i]
}

// patches appends the patches of the plan, in rising order.
func (p *plan) patches(dst []span.Patch) []span.Patch {
	last := -1 // the last member that stays
	for i := range p.on {
		if !p.at(i).remove {
			last = i
		}
	}
	kept := false
	for i := 0; i < len(p.on); i++ {
		c := p.at(i)
		if c.remove {
			if i > last {
				break
			}
			n := i + 1
			for p.at(n).remove {
				n++
			}
			// With the comma behind it: the next member that stays takes its place.
			dst = append(dst, span.Patch{At: span.Span{From: p.on[i].Key.From, To: p.on[n].Key.From}})
			i = n - 1
			continue
		}
		kept = true
		if c.value != nil {
			dst = append(dst, span.Patch{At: p.on[i].Value, With: c.value})
		} else {
			dst = append(dst, c.inside...)
		}
	}
	var added []byte
	for _, a := range p.add {
		if kept || len(added) > 0 {
			added = append(added, ',')
		}
		added = quote(added, a.name)
		added = append(added, ':')
		added = append(added, a.value...)
	}
	end := len(p.on) - 1
	switch {
	case end < 0: // an object without members is never patched
	case last < 0:
		dst = append(dst, span.Patch{At: span.Span{From: p.on[0].Key.From, To: p.on[end].Value.To}, With: added})
	case last < end:
		dst = append(dst, span.Patch{At: span.Span{From: p.on[last].Value.To, To: p.on[end].Value.To}, With: added})
	case len(added) > 0:
		dst = append(dst, span.Patch{At: span.Span{From: p.on[last].Value.To, To: p.on[last].Value.To}, With: added})
	}
	return dst
}

type patcher struct {
	d       *llm.Draft
	c       *llm.Capability
	members []span.Member
	plan    plan
	losses  []llm.Loss
}

func (p *patcher) value(name string) []byte {
	if i := p.plan.find(name); i >= 0 {
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
	at := p.plan.find("options")
	if at >= 0 {
		where := p.members[at].Value
		inner, err := span.Members(nil, p.d.Raw[where.From:where.To], nil)
		if err == nil && len(inner) > 0 {
			for i := range inner {
				m := &inner[i]
				m.Key.From, m.Key.To = m.Key.From+where.From, m.Key.To+where.From
				m.Value.From, m.Value.To = m.Value.From+where.From, m.Value.To+where.From
			}
			in := plan{on: inner}
			in.put("num_predict", digits)
			p.plan.change(at, func(c *change) { c.inside = in.patches(nil) })
			return
		}
	}
	// There are none, or they are empty or null.
	p.plan.put("options", append(append([]byte(`{"num_predict":`), digits...), '}'))
}

// reshape fits the request to the capability: think by a splice; what the
// target cannot do refuses it.
func (p *patcher) reshape() {
	c := p.c
	if !c.Known {
		return
	}
	if tools := p.value("tools"); isArray(tools) && kind(tools[1:]) != ']' && !c.Can(llm.Tools) {
		p.lose(llm.LossRefuse, "tools", "the model takes no tools")
	}
	if v := p.value("think"); !isNull(v) {
		d := requestDecoder{r: &llm.Request{}}
		if d.think(v) == nil { // else Ollama itself says what is wrong with it
			value, why := fitThink(d.r.Reasoning, c)
			if why != "" {
				p.lose(llm.LossWarn, "think", why)
			}
			if value == "" {
				p.plan.remove("think")
			} else if value != string(v) {
				p.plan.put("think", []byte(value))
			}
		}
	}
	switch v := p.value("format"); {
	case isObject(v) && !c.Can(llm.JSONSchema):
		p.lose(llm.LossRefuse, "format", "the model cannot keep to a JSON Schema")
	case text(v) == "json" && !c.Can(llm.JSONObject) && !c.Can(llm.JSONSchema):
		p.lose(llm.LossRefuse, "format", "the model cannot promise JSON")
	}
	if kind(p.value("logprobs")) == 't' && !c.Can(llm.Logprobs) {
		p.lose(llm.LossRefuse, "logprobs", "the model gives no log probabilities")
	}
	if !c.Can(llm.Vision) && p.pictured() {
		p.lose(llm.LossRefuse, "images", "the model takes no images") // it would read past them
	}
}

// pictured reports whether the request holds a picture.
func (p *patcher) pictured() bool {
	some := func(v []byte) bool { return isArray(v) && kind(v[1:]) != ']' }
	if some(p.value("images")) {
		return true
	}
	messages := p.value("messages")
	if !bytes.Contains(messages, []byte(`"images"`)) {
		return false
	}
	for _, m := range elements(messages) {
		if some(member(m, "images")) {
			return true
		}
	}
	return false
}
