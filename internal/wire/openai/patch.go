package openai

import (
	"bytes"
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
	p.plan.on = p.members
	var out llm.Encoded
	if e, ok := d.Edit(llm.EditModel); ok {
		p.plan.put("model", span.Quote(nil, e.Text))
	}
	if e, ok := d.Edit(llm.EditMaxTokens); ok {
		p.maxTokens(e.Number)
	}
	if _, ok := d.Edit(llm.EditUsage); ok && d.Head.Stream && !d.Head.IncludeUsage {
		out.DropUsage = true
		p.plan.put("stream_options", withUsage(p.value("stream_options")))
	}
	if _, ok := d.Edit(llm.EditReshape); ok {
		p.reshape()
	}
	out.Losses = p.losses
	out.Body = span.Splice(d.Raw, p.plan.patches(nil)...)
	return out, nil
}

// change is what becomes of one member.
type change struct {
	remove bool
	name   string       // a new name, or ""
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

func (p *plan) rename(from, to string) {
	if i := p.find(from); i >= 0 {
		p.change(i, func(c *change) { c.name = to })
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
		if c.name != "" {
			dst = append(dst, span.Patch{At: p.on[i].Key, With: span.Quote(nil, c.name)})
		}
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
		added = span.Quote(added, a.name)
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

func (p *patcher) maxTokens(n int64) {
	digits := strconv.AppendInt(nil, n, 10)
	set := false
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		if p.plan.find(name) >= 0 {
			p.plan.put(name, digits)
			set = true
		}
	}
	if !set {
		p.plan.put(or(p.c.MaxTokensField, "max_completion_tokens"), digits)
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
		switch has, old := p.plan.find(field) >= 0, p.plan.find(other) >= 0; {
		case has && old:
			if span.IsNull(p.value(field)) && !span.IsNull(p.value(other)) {
				p.plan.remove(field)
				p.plan.rename(other, field)
			} else {
				p.plan.remove(other)
			}
		case old:
			p.plan.rename(other, field)
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
		p.plan.put(c.ThinkSwitch, switched(c.ThinkSwitch, false))
	}
	if warn != "" {
		p.lose(llm.LossWarn, "reasoning_effort", warn)
	}
	if effort != want {
		if effort == "" {
			p.plan.remove("reasoning_effort")
		} else {
			p.plan.put("reasoning_effort", span.Quote(nil, effort))
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
		p.plan.remove("logprobs")
		p.plan.remove("top_logprobs")
	}
	if v := p.value("stop"); !span.IsNull(v) && !span.Blank(v) && !c.Can(llm.StopSequences) {
		p.lose(llm.LossRefuse, "stop", "the model takes no stop sequences")
	}
	if v := p.value("parallel_tool_calls"); v != nil && !c.Can(llm.ParallelTools) {
		if span.Kind(v) == 'f' {
			p.lose(llm.LossWarn, "parallel_tool_calls", "dropped: the model takes no such wish")
		}
		p.plan.remove("parallel_tool_calls")
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
	if v := p.value("tool_choice"); c.QuietForced && c.ThinksByDefault && c.ThinkSwitch != "" && p.plan.find(c.ThinkSwitch) < 0 &&
		(span.Text(v) == "required" || span.IsObject(v) && span.Text(span.At(v, "allowed_tools", "mode")) != "auto") {
		p.lose(llm.LossWarn, "tool_choice", "thinking was turned off: the model takes no forced tool choice while it thinks")
		p.plan.put(c.ThinkSwitch, switched(c.ThinkSwitch, false))
		p.plan.remove("reasoning_effort")
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
		p.plan.put("tool_choice", span.Quote(nil, c.ToolAny))
	}
	if c.SeedField != "" {
		p.plan.rename("seed", c.SeedField)
	}
	if n := c.OutputReserve; n > 0 && p.plan.find("max_tokens") < 0 && p.plan.find("max_completion_tokens") < 0 {
		if _, ok := p.d.Edit(llm.EditMaxTokens); !ok {
			p.lose(llm.LossWarn, "max_tokens", "set to "+strconv.FormatInt(n, 10)+": the provider reserves the whole cap in advance")
			p.plan.put(or(c.MaxTokensField, "max_completion_tokens"), strconv.AppendInt(nil, n, 10))
		}
	}
	if (!c.Closed || c.Accepts == nil) && c.Refuses == nil {
		return
	}
	for i := range p.members {
		name := p.members[i].Name
		change := p.plan.at(i)
		if change.remove || c.Takes(or(change.name, name)) || name == "seed" && c.SeedField != "" {
			continue
		}
		if kind, why := untaken(name, p.value(name)); why != "" {
			p.lose(kind, name, why)
		}
		p.plan.remove(name)
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
	p.plan.remove(name)
}

var reasoningMembers = []string{"reasoning_content", "reasoning", "reasoning_details"}

// reshapeMessages fits roles and thinking members. It looks only where a byte
// search says that there is something to find.
func (p *patcher) reshapeMessages() {
	c := p.c
	developer := c.Known && !c.Can(llm.DeveloperRole)
	thinking := c.Closed || c.Known
	at := p.plan.find("messages")
	if at < 0 {
		return
	}
	where := p.members[at].Value
	messages := p.d.Raw[where.From:where.To]
	developer = developer && bytes.Contains(messages, []byte(`"developer"`))
	require := c.ReasoningRequired && c.ReasoningField != "" && bytes.Contains(messages, []byte(`"tool_calls"`))
	thinking = thinking && bytes.Contains(messages, []byte(`"reasoning`)) || require
	spoken := p.spoken(messages)
	if !developer && !thinking && !spoken {
		return
	}
	var inside []span.Patch
	lost := false
	for from := span.SkipSpace(messages, 1); from < len(messages) && messages[from] == '{'; {
		to := span.Skip(messages, from)
		m, offset := messages[from:to], where.From+from
		if from = span.SkipSpace(messages, to); from < len(messages) && messages[from] == ',' {
			from = span.SkipSpace(messages, from+1)
		}
		fields, err := moved(m, offset)
		if err != nil {
			continue // Head has validated it
		}
		inner := plan{on: fields}
		role := span.Text(span.Field(m, "role"))
		if developer && role == "developer" {
			inner.put("role", []byte(`"system"`))
		}
		if thinking && role == "assistant" {
			lost = p.reshapeThinking(&inner, m, require) || lost
		}
		if spoken {
			p.reshapeSpoken(&inner, m, offset, role)
		}
		if !inner.empty() {
			inside = inner.patches(inside)
		}
	}
	if lost {
		p.lose(llm.LossCarry, "messages", "thinking that this target does not take back")
	}
	if len(inside) > 0 {
		p.plan.change(at, func(c *change) { c.inside = inside })
	}
}

func (p *patcher) reshapeThinking(inner *plan, m []byte, require bool) (lost bool) {
	keep := p.c.ReasoningField
	has := keep != "" && inner.find(keep) >= 0
	for _, name := range reasoningMembers {
		at := inner.find(name)
		if at < 0 || name == keep {
			continue
		}
		v := span.Field(m, name)
		plain := name != "reasoning_details" && keep != "reasoning_details"
		if keep != "" && !has && plain && span.IsString(v) {
			inner.rename(name, keep)
			has = true
			continue
		}
		inner.remove(name)
		lost = lost || !span.IsNull(v) && !has
	}
	if require && !has && keep != "reasoning_details" && span.IsArray(span.Field(m, "tool_calls")) {
		inner.put(keep, []byte(`""`))
	}
	return lost
}
