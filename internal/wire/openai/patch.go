package openai

import (
	"strconv"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Patch writes a draft of this dialect for a target of this dialect: the edits
// are spliced in at the places that Head recorded, every other byte stays and
// is shared with d.Raw. Without EditReshape nothing changes but what the other
// edits name.
func (Codec) Patch(d *llm.Draft, c *llm.Capability) (llm.Encoded, error) {
	if d.Dialect != llm.OpenAI {
		return llm.Encoded{}, llm.Errorf(llm.Unsupported, "a draft of dialect %s cannot be patched as Chat Completions", d.Dialect)
	}
	p := patcher{d: d, c: c, members: make([]span.Member, len(d.Head.Members))}
	for i, m := range d.Head.Members {
		p.members[i] = span.Member{Name: m.Name, Key: span.Span(m.Key), Value: span.Span(m.Value)}
	}
	p.plan.On = p.members
	var out llm.Encoded
	if e, ok := d.Edit(llm.EditModel); ok {
		p.plan.Put("model", span.Quote(nil, e.Text))
	}
	if e, ok := d.Edit(llm.EditMaxTokens); ok {
		p.maxTokens(e.Number)
	}
	if _, ok := d.Edit(llm.EditUsage); ok && d.Head.Stream && !d.Head.IncludeUsage {
		out.DropUsage = true
		p.plan.Put("stream_options", withUsage(p.value("stream_options")))
	}
	if _, ok := d.Edit(llm.EditReshape); ok {
		p.reshape()
	}
	out.Losses = p.losses
	out.Body = span.Splice(d.Raw, p.plan.Patches(nil)...)
	return out, nil
}

type patcher struct {
	d       *llm.Draft
	c       *llm.Capability
	members []span.Member
	plan    span.Plan
	losses  []llm.Loss
}

func (p *patcher) value(name string) []byte { return p.in(&p.plan, name) }

// in gives the value of a member of the object that a plan is for, or nil.
func (p *patcher) in(plan *span.Plan, name string) []byte {
	if i := plan.Find(name); i >= 0 {
		v := plan.On[i].Value
		return p.d.Raw[v.From:v.To]
	}
	return nil
}

func (p *patcher) lose(kind llm.LossKind, path, why string) {
	p.losses = append(p.losses, llm.Loss{Kind: kind, Path: path, Why: why})
}

func (p *patcher) maxTokens(n int64) {
	digits := strconv.AppendInt(nil, n, 10)
	set := false
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		if p.plan.Find(name) >= 0 {
			p.plan.Put(name, digits)
			set = true
		}
	}
	if !set {
		p.plan.Put(or(p.c.MaxTokensField, "max_completion_tokens"), digits)
	}
}

// reshape fits the request to the capability: the top level by splices, and of
// the messages what a target is known to refuse outright (a role, a thinking
// member).
func (p *patcher) reshape() {
	c := p.c
	field := c.MaxTokensField
	if field == "" && c.Known {
		field = "max_completion_tokens"
	}
	if field != "" {
		other := "max_tokens"
		if field == other {
			other = "max_completion_tokens"
		}
		switch has, old := p.plan.Find(field) >= 0, p.plan.Find(other) >= 0; {
		case has && old:
			if span.IsNull(p.value(field)) && !span.IsNull(p.value(other)) {
				p.plan.Remove(field)
				p.plan.Rename(other, field)
			} else {
				p.plan.Remove(other)
			}
		case old:
			p.plan.Rename(other, field)
		}
	}
	tools := span.IsArray(p.value("tools")) && span.Kind(p.value("tools")[1:]) != ']'
	functions := span.IsArray(p.value("functions")) && span.Kind(p.value("functions")[1:]) != ']'
	if (tools || functions) && !c.Can(llm.Tools) {
		p.lose(llm.LossRefuse, "tools", "the model takes no tools")
	}
	offered := functions
	for _, t := range span.Elements(p.value("tools")) {
		switch span.Text(span.Field(t, "type")) {
		case "", "function", "custom":
			offered = true
		}
		if offered {
			break
		}
	}
	want := span.Text(p.value("reasoning_effort"))
	effort, warn, refuse := fitEffort(want, offered, c)
	if refuse != "" {
		p.lose(llm.LossRefuse, "tools", refuse)
	}
	if want == "none" && effort != want && c.ThinkSwitch != "" && c.Can(llm.Thinking) {
		effort, warn = "", ""
		p.plan.Put(c.ThinkSwitch, switched(c.ThinkSwitch, false))
	}
	if warn != "" {
		p.lose(llm.LossWarn, "reasoning_effort", warn)
	}
	if effort != want {
		if effort == "" {
			p.plan.Remove("reasoning_effort")
		} else {
			p.plan.Put("reasoning_effort", span.Quote(nil, effort))
		}
	}
	if !c.Can(llm.SamplingParams) && effort != "none" {
		for _, s := range [...]struct{ name, normal string }{{"temperature", "1"}, {"top_p", "1"}, {"top_k", ""},
			{"frequency_penalty", "0"}, {"presence_penalty", "0"}, {"logit_bias", "{}"}} {
			p.drop(s.name, s.normal)
		}
	}
	if !c.Can(llm.Seed) {
		p.drop("seed", "")
	}
	if !c.Can(llm.Logprobs) {
		if span.Kind(p.value("logprobs")) == 't' {
			p.lose(llm.LossRefuse, "logprobs", "the model gives no log probabilities")
		}
		p.plan.Remove("logprobs")
		p.plan.Remove("top_logprobs")
	}
	if v := p.value("stop"); !span.IsNull(v) && !span.Blank(v) && !c.Can(llm.StopSequences) {
		p.lose(llm.LossRefuse, "stop", "the model takes no stop sequences")
	}
	if v := p.value("parallel_tool_calls"); v != nil && !c.Can(llm.ParallelTools) {
		if span.Kind(v) == 'f' {
			p.lose(llm.LossWarn, "parallel_tool_calls", "dropped: the model takes no such wish")
		}
		p.plan.Remove("parallel_tool_calls")
	}
	if v := p.value("tool_choice"); !c.Can(llm.ForcedTool) {
		if s := span.Text(v); s == "required" || s == "any" || span.IsObject(v) && span.Text(span.At(v, "allowed_tools", "mode")) != "auto" {
			p.lose(llm.LossRefuse, "tool_choice", "the model cannot be forced to call a tool")
		}
	}
	switch span.Text(span.Field(p.value("response_format"), "type")) {
	case "json_schema":
		if !c.Can(llm.JSONSchema) {
			p.lose(llm.LossRefuse, "response_format", "the model cannot keep to a JSON Schema")
		}
	case "json_object":
		if !c.Can(llm.JSONObject) && !c.Can(llm.JSONSchema) {
			p.lose(llm.LossRefuse, "response_format", "the model cannot promise JSON")
		}
	}
	p.manners()
	p.reshapeMessages()
}

// manners fits the top level to the smaller differences of the target's wire.
func (p *patcher) manners() {
	c := p.c
	if most := c.MaxTools; most > 0 {
		n := 0
		for range span.Elements(p.value("tools")) {
			n++
		}
		if n > most {
			p.lose(llm.LossRefuse, "tools", "the provider takes at most "+strconv.Itoa(most)+" tools, not "+strconv.Itoa(n))
		}
	}
	if v := p.value("tool_choice"); c.QuietForced && c.ThinksByDefault && c.ThinkSwitch != "" && p.plan.Find(c.ThinkSwitch) < 0 &&
		(span.Text(v) == "required" || span.IsObject(v) && span.Text(span.At(v, "allowed_tools", "mode")) != "auto") {
		p.lose(llm.LossWarn, "tool_choice", "thinking was turned off: the model takes no forced tool choice while it thinks")
		p.plan.Put(c.ThinkSwitch, switched(c.ThinkSwitch, false))
		p.plan.Remove("reasoning_effort")
	}
	if v := p.value("stop"); span.IsArray(v) {
		n := 0
		for range span.Elements(v) {
			n++
		}
		if most := maxStops(c); n > most {
			p.lose(llm.LossRefuse, "stop", "the provider takes at most "+strconv.Itoa(most)+" stop sequences, not "+strconv.Itoa(n))
		}
	}
	if c.ToolAny != "" && span.Text(p.value("tool_choice")) == "required" {
		p.plan.Put("tool_choice", span.Quote(nil, c.ToolAny))
	}
	if c.SeedField != "" {
		p.plan.Rename("seed", c.SeedField)
	}
	if n := c.OutputReserve; n > 0 && p.plan.Find("max_tokens") < 0 && p.plan.Find("max_completion_tokens") < 0 {
		if _, ok := p.d.Edit(llm.EditMaxTokens); !ok {
			p.lose(llm.LossWarn, "max_tokens", "set to "+strconv.FormatInt(n, 10)+": the provider reserves the whole cap in advance")
			p.plan.Put(or(c.MaxTokensField, "max_completion_tokens"), strconv.AppendInt(nil, n, 10))
		}
	}
	if (!c.Closed || c.Accepts == nil) && c.Refuses == nil {
		return
	}
	for i := range p.members {
		name := p.members[i].Name
		now, stays := p.plan.Now(i)
		if !stays || c.Takes(now) || name == "seed" && c.SeedField != "" {
			continue
		}
		if kind, why := untaken(name, p.value(name)); why != "" {
			p.lose(kind, name, why)
		}
		p.plan.Remove(name)
	}
}

// drop removes a member that the model refuses; its own default goes without a
// word.
func (p *patcher) drop(name, normal string) {
	v := p.value(name)
	if v == nil {
		return
	}
	if !span.IsNull(v) && !sameNumber(v, normal) {
		p.lose(llm.LossWarn, name, "dropped: the model refuses it")
	}
	p.plan.Remove(name)
}

var reasoningMembers = []string{"reasoning_content", "reasoning", "reasoning_details"}

// reshapeMessages fits roles and thinking members. It looks only where a byte
// search says that there is something to find.
func (p *patcher) reshapeMessages() {
	c := p.c
	developer := c.Known && !c.Can(llm.DeveloperRole)
	thinking := c.Closed || c.Known
	at := p.plan.Find("messages")
	if at < 0 {
		return
	}
	where := p.members[at].Value
	messages := p.d.Raw[where.From:where.To]
	developer = developer && span.Has(messages, `"developer"`)
	require := c.ReasoningRequired && c.ReasoningField != "" && span.Has(messages, `"tool_calls"`)
	thinking = thinking && span.Has(messages, `"reasoning`) || require
	spoken := p.spoken(messages)
	if !developer && !thinking && !spoken {
		return
	}
	var inside []span.Patch
	var fields []span.Member // of the message at hand
	lost := false
	for from := span.SkipSpace(messages, 1); from < len(messages) && messages[from] == '{'; {
		to := span.Skip(messages, from)
		m, offset := messages[from:to], where.From+from
		if from = span.SkipSpace(messages, to); from < len(messages) && messages[from] == ',' {
			from = span.SkipSpace(messages, from+1)
		}
		fields = span.Places(fields[:0], m, offset)
		inner := span.Plan{On: fields}
		role := span.Text(p.in(&inner, "role"))
		switch {
		case role == "assistant", role == "tool", developer && role == "developer":
		default:
			continue // nothing of the others is fitted
		}
		if developer && role == "developer" {
			inner.Put("role", []byte(`"system"`))
		}
		if thinking && role == "assistant" {
			lost = p.reshapeThinking(&inner, require) || lost
		}
		if spoken {
			p.reshapeSpoken(&inner, role)
		}
		if !inner.Empty() {
			inside = inner.Patches(inside)
		}
	}
	if lost {
		p.lose(llm.LossCarry, "messages", "thinking that this target does not take back")
	}
	if len(inside) > 0 {
		p.plan.Inside(at, inside)
	}
}

func (p *patcher) reshapeThinking(inner *span.Plan, require bool) (lost bool) {
	keep := p.c.ReasoningField
	has := keep != "" && inner.Find(keep) >= 0
	for _, name := range reasoningMembers {
		at := inner.Find(name)
		if at < 0 || name == keep {
			continue
		}
		v := p.in(inner, name)
		plain := name != "reasoning_details" && keep != "reasoning_details"
		if keep != "" && !has && plain && span.IsString(v) {
			inner.Rename(name, keep)
			has = true
			continue
		}
		inner.Remove(name)
		lost = lost || !span.IsNull(v) && !has
	}
	if require && !has && keep != "reasoning_details" && span.IsArray(p.in(inner, "tool_calls")) {
		inner.Put(keep, []byte(`""`))
	}
	return lost
}
