package responses

import (
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Patch writes a draft of this dialect for a target of this dialect: the edits
// are spliced in at the places that Head recorded, every other byte stays and
// is shared with d.Raw. Without EditReshape nothing changes but what the other
// edits name, and thoughts whose state the gateway wrapped for another issuer:
// no provider of this dialect can read them.
func (Codec) Patch(d *llm.Draft, c *llm.Capability) (llm.Encoded, error) {
	if d.Dialect != llm.Responses {
		return llm.Encoded{}, llm.Errorf(llm.Unsupported, "a draft of dialect %s cannot be patched as Responses", d.Dialect)
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
		p.plan.Put("max_output_tokens", strconv.AppendInt(nil, e.Number, 10))
	}
	_, reshape := d.Edit(llm.EditReshape)
	if reshape {
		p.reshape()
	}
	p.items(reshape)
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

// reshape fits the top level to the capability.
func (p *patcher) reshape() {
	c := p.c
	if v := p.value("tools"); span.IsArray(v) && !span.Blank(v) && !c.Can(llm.Tools) {
		p.lose(llm.LossRefuse, "tools", "the model takes no tools")
	}
	reasoning := p.value("reasoning")
	want := span.Text(span.Field(reasoning, "effort"))
	effort, warn := fitEffort(want, c)
	if warn != "" {
		p.lose(llm.LossWarn, "reasoning.effort", warn)
	}
	if effort != want {
		p.setEffort(effort)
	}
	if !sampling(c, effort) {
		p.drop("temperature", 1)
		p.drop("top_p", 1)
	}
	if v := p.value("parallel_tool_calls"); v != nil && !c.Can(llm.ParallelTools) {
		if span.Kind(v) == 'f' {
			p.lose(llm.LossWarn, "parallel_tool_calls", "dropped: the model takes no such wish")
		}
		p.plan.Remove("parallel_tool_calls")
	}
	if v := p.value("tool_choice"); !c.Can(llm.ForcedTool) {
		if span.Text(v) == "required" || span.IsObject(v) && span.Text(span.Field(v, "mode")) != "auto" {
			p.lose(llm.LossRefuse, "tool_choice", "the model cannot be forced to call a tool")
		}
	}
	switch span.Text(span.At(p.value("text"), "format", "type")) {
	case "json_schema":
		if !c.Can(llm.JSONSchema) {
			p.lose(llm.LossRefuse, "text.format", "the model cannot keep to a JSON Schema")
		}
	case "json_object":
		if !c.Can(llm.JSONObject) && !c.Can(llm.JSONSchema) {
			p.lose(llm.LossRefuse, "text.format", "the model cannot promise JSON")
		}
	}
}

// setEffort changes the effort inside reasoning, or takes it out.
func (p *patcher) setEffort(effort string) {
	i := p.plan.Find("reasoning")
	if i < 0 { // the client said nothing, and nothing is what fits
		return
	}
	where := p.members[i].Value
	inner := span.Plan{On: p.within(where)}
	if effort == "" {
		inner.Remove("effort")
	} else {
		inner.Put("effort", span.Quote(nil, effort))
	}
	p.plan.Inside(i, inner.Patches(nil))
}

// within gives the members of the object at a place, with their places in the
// whole body.
func (p *patcher) within(where span.Span) []span.Member {
	fields, err := span.Members(nil, p.d.Raw[where.From:where.To], nil)
	if err != nil {
		return nil // Head has validated it
	}
	for k := range fields {
		f := &fields[k]
		f.Key.From, f.Key.To = f.Key.From+where.From, f.Key.To+where.From
		f.Value.From, f.Value.To = f.Value.From+where.From, f.Value.To+where.From
	}
	return fields
}

// drop removes a member that the model refuses; its own default goes without a
// word.
func (p *patcher) drop(name string, normal float64) {
	v := p.value(name)
	if v == nil {
		return
	}
	if f, ok := span.Number(v); !span.IsNull(v) && !(ok && f == normal) {
		p.lose(llm.LossWarn, name, "dropped: the model refuses it")
	}
	p.plan.Remove(name)
}

const (
	ourMark       = `"` + wrapped
	developerMark = `"developer"`
)

// items takes out thoughts that the gateway wrapped and, when the request is
// reshaped, gives instructions the role that the target knows. It looks only
// where a byte search says that there is something to find.
func (p *patcher) items(reshape bool) {
	at := p.plan.Find("input")
	if at < 0 {
		return
	}
	where := p.members[at].Value
	input := p.d.Raw[where.From:where.To]
	ours := span.Has(input, ourMark)
	developer := reshape && p.c.Known && !p.c.Can(llm.DeveloperRole) && span.Has(input, developerMark)
	if !span.IsArray(input) || !ours && !developer {
		return
	}
	var inside []span.Patch
	type place struct {
		span.Span
		drop bool
	}
	var all []place
	for from := span.SkipSpace(input, 1); from < len(input) && input[from] != ']'; {
		to := span.Skip(input, from)
		item := input[from:to]
		all = append(all, place{span.Span{From: where.From + from, To: where.From + to},
			ours && span.Text(span.Field(item, "type")) == "reasoning" && strings.HasPrefix(span.Text(span.Field(item, "encrypted_content")), wrapped)})
		if from = span.SkipSpace(input, to); from < len(input) && input[from] == ',' {
			from = span.SkipSpace(input, from+1)
		}
	}
	lost := false
	for i := 0; i < len(all); i++ {
		it := all[i]
		if it.drop {
			lost = true
			n := i + 1
			for n < len(all) && all[n].drop {
				n++
			}
			switch {
			case n < len(all): // with the comma behind it
				inside = append(inside, span.Patch{At: span.Span{From: it.From, To: all[n].From}})
			case i > 0: // with the comma before it
				inside = append(inside, span.Patch{At: span.Span{From: all[i-1].To, To: all[n-1].To}})
			default:
				inside = append(inside, span.Patch{At: span.Span{From: it.From, To: all[n-1].To}})
			}
			i = n - 1
			continue
		}
		item := p.d.Raw[it.From:it.To]
		if developer && span.IsObject(item) && span.Text(span.Field(item, "role")) == "developer" && span.Field(item, "content") != nil {
			inner := span.Plan{On: p.within(it.Span)}
			inner.Put("role", []byte(`"system"`))
			inside = inner.Patches(inside)
		}
	}
	if lost {
		p.lose(llm.LossCarry, "input", "thinking that this target does not take back")
	}
	if len(inside) > 0 {
		p.plan.Inside(at, inside)
	}
}
