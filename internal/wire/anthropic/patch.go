package anthropic

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Patch applies a draft's edits by splices: bytes that no edit names stay as
// they came, and the segments share memory with d.Raw. EditUsage means nothing
// here, since Messages streams always tell usage.
//
// EditReshape fits the top-level members to c: thinking, effort, sampling,
// forced tool choice, the output cap; and, where the model lacks them, system
// messages inside the conversation become tagged text of a user turn. With it
// thinking without a signature is taken out too, which every model refuses.
//
// A client's anthropic-version is left alone; where it sent none, the header
// says 2023-06-01.
//
// Without any edit one thing is taken out all the same: thinking whose
// signature is the gateway's own wrapping of another vendor's state, which no
// Messages provider can read.
func (Codec) Patch(d *llm.Draft, c *llm.Capability) (llm.Encoded, error) {
	if c == nil {
		c = &llm.Capability{}
	}
	p := patcher{d: d, raw: d.Raw, c: c, l: span.NewList(len(d.Head.Members))}
	for i, m := range d.Head.Members {
		p.l.At[i] = span.Span{From: m.Key.From, To: m.Value.To}
	}
	if e, ok := d.Edit(llm.EditModel); ok && e.Text != d.Head.Model {
		p.set("model", span.Quote(nil, e.Text))
	}
	limit := d.Head.MaxTokens
	_, limited := d.Head.At("max_tokens")
	if e, ok := d.Edit(llm.EditMaxTokens); ok && (limited || d.Op != llm.OpCountTokens) {
		p.set("max_tokens", strconv.AppendInt(nil, e.Number, 10))
		limit, limited = e.Number, true
	}
	_, reshape := d.Edit(llm.EditReshape)
	if reshape && c.Known {
		p.reshape(limit, limited)
	}
	p.history(reshape)
	if p.budgeted && p.openLoopUnsigned() {
		// An open tool loop must begin with its thinking on these models, and
		// it did not come back (claude-api 3.4).
		p.remove("thinking")
		p.warn("thinking", "dropped: the thinking of the open tool call did not come back")
	}
	e := llm.Encoded{Body: span.Splice(d.Raw, p.l.Patches()...), Losses: p.losses}
	if d.Header.Get("anthropic-version") == "" {
		// The API wants one; a client that says none means the old one.
		e.Header = http.Header{"Anthropic-Version": {versionOld}}
	}
	return e, nil
}

type patcher struct {
	d      *llm.Draft
	raw    []byte
	c      *llm.Capability
	l      span.List
	losses []llm.Loss
	// budgeted says that the model is asked to think with a budget.
	budgeted bool
}

// openLoopUnsigned reports whether the last assistant message called tools,
// waits for them to be taken up, and does not begin with signed thinking.
func (p *patcher) openLoopUnsigned() bool {
	_, v := p.find("messages")
	var before, last []byte
	for a := span.ReadArray(v); a.Next(); {
		before, last = last, a.Val
	}
	if text(get(last, "role")) != "user" || text(get(before, "role")) != "assistant" {
		return false
	}
	results := false
	for a := span.ReadArray(get(last, "content")); a.Next(); {
		results = results || text(get(a.Val, "type")) == "tool_result"
	}
	if !results {
		return false
	}
	for a := span.ReadArray(get(before, "content")); a.Next(); {
		switch text(get(a.Val, "type")) {
		case "redacted_thinking":
			return false
		case "thinking":
			if s := text(get(a.Val, "signature")); s == "" || strings.HasPrefix(s, wrapped) {
				continue // is taken out
			}
			return false
		}
		return true
	}
	return false
}

func (p *patcher) warn(path, why string) {
	p.losses = append(p.losses, llm.Loss{Kind: llm.LossWarn, Path: path, Why: why})
}

func (p *patcher) find(name string) (int, []byte) {
	for i := range p.d.Head.Members {
		if m := &p.d.Head.Members[i]; m.Name == name {
			return i, p.raw[m.Value.From:m.Value.To]
		}
	}
	return -1, nil
}

// set gives the named member a value, adding the member if need be.
func (p *patcher) set(name string, value []byte) {
	i, _ := p.find(name)
	if i < 0 {
		for k := range p.l.More {
			if bytes.HasPrefix(p.l.More[k], key(nil, name)) {
				p.l.More[k] = append(key(nil, name), value...)
				return
			}
		}
		p.l.More = append(p.l.More, append(key(nil, name), value...))
		return
	}
	v := p.d.Head.Members[i].Value
	p.l.Ops[i] = span.Op{Inner: []span.Patch{{At: span.Span(v), With: value}}}
}

func (p *patcher) remove(name string) {
	if i, _ := p.find(name); i >= 0 {
		p.l.Ops[i] = span.Op{Remove: true}
	}
}

// reshape fits the members to the model.
func (p *patcher) reshape(limit int64, limited bool) {
	c := p.c
	if limited && c.MaxOutput > 0 && limit > c.MaxOutput {
		p.warn("max_tokens", "clamped from "+strconv.FormatInt(limit, 10)+" to "+strconv.FormatInt(c.MaxOutput, 10)+": the model gives no more")
		limit = c.MaxOutput
		p.set("max_tokens", strconv.AppendInt(nil, limit, 10))
	}

	_, choice := p.find("tool_choice")
	typ := text(get(choice, "type"))
	forced := typ == "any" || typ == "tool"
	if forced && !c.Can(llm.ForcedTool) {
		p.losses = append(p.losses, llm.Loss{Kind: llm.LossRefuse, Path: "tool_choice", Why: "the model refuses a forced tool choice"})
		p.set("tool_choice", rewrite(choice, func(name string, _ []byte) ([]byte, bool) {
			return []byte(`"auto"`), name == "type"
		}, "name"))
		forced = false
	}

	_, thinking := p.find("thinking")
	_, config := p.find("output_config")
	t := thought{forced: forced, max: limit, limited: limited}
	was := text(get(thinking, "type"))
	switch was {
	case "adaptive", "enabled", "disabled", "between_tools":
		t.typ = was
		t.budget = count(get(thinking, "budget_tokens"))
	}
	effort := text(get(config, "effort"))
	t.effort = effort
	asked := t
	t = fitThought(t, c, &p.losses)
	p.budgeted = t.typ == "enabled"
	switch {
	case asked.typ == "":
	case t.typ == "":
		p.remove("thinking")
	case t.typ != asked.typ || t.typ == "enabled" && t.budget != asked.budget:
		p.set("thinking", reshapeThinking(thinking, t))
	}
	switch {
	case t.effort == effort:
	case config == nil:
		p.set("output_config", append(span.Quote([]byte(`{"effort":`), t.effort), '}'))
	default:
		set := func(name string, _ []byte) ([]byte, bool) { return span.Quote(nil, t.effort), name == "effort" }
		var now []byte
		switch {
		case t.effort == "":
			now = rewrite(config, nil, "effort")
		case effort == "":
			now = rewrite(config, nil, "effort")
			now = append(span.Quote(key(now[:len(now)-1], "effort"), t.effort), '}')
		default:
			now = rewrite(config, set)
		}
		if string(now) == "{}" {
			p.remove("output_config")
		} else {
			p.set("output_config", now)
		}
	}

	thinks := t.typ == "enabled" || t.typ == "adaptive"
	_, temperature := p.find("temperature")
	both := temperature != nil && !isDefault("temperature", temperature)
	for _, name := range []string{"temperature", "top_p", "top_k"} {
		if _, v := p.find(name); v != nil {
			if keep, why := fitSampling(name, v, c, thinks, both); !keep {
				p.remove(name)
				if why != "" {
					p.warn(name, why)
				}
			}
		}
	}
}

// reshapeThinking writes thinking in its new form and keeps of its members
// those that the form has.
func reshapeThinking(v []byte, t thought) []byte {
	b := span.Quote([]byte(`{"type":`), t.typ)
	if t.typ == "enabled" {
		b = strconv.AppendInt(key(b, "budget_tokens"), t.budget, 10)
	}
	for o := span.ReadObject(v); o.Next(); {
		switch name := string(o.Name); name {
		case "type", "budget_tokens":
		case "block_binding":
			if t.typ == "adaptive" {
				b = append(key(b, name), o.Val...)
			}
		default:
			if t.typ == "adaptive" || t.typ == "enabled" {
				b = append(key(b, name), o.Val...)
			}
		}
	}
	return append(b, '}')
}

// rewrite copies an object without the dropped members and with the values
// that set gives.
func rewrite(v []byte, set func(name string, val []byte) ([]byte, bool), drop ...string) []byte {
	b := []byte{'{'}
	for o := span.ReadObject(v); o.Next(); {
		name := string(o.Name)
		if slices.Contains(drop, name) {
			continue
		}
		b = append(append(comma(b), o.Quoted()...), ':')
		if set != nil {
			if now, ok := set(name, o.Val); ok {
				b = append(b, now...)
				continue
			}
		}
		b = append(b, o.Val...)
	}
	return append(b, '}')
}

const (
	systemRole   = `"system"`
	ourMark      = `"` + wrapped
	thinkingMark = `"thinking"`
)

// history edits the messages where they hold what the target cannot take. The
// byte searches keep the usual request from being read at all.
func (p *patcher) history(reshape bool) {
	i, v := p.find("messages")
	if i < 0 {
		return
	}
	fold := reshape && p.c.Known && !p.c.Can(llm.MidSystem) && span.Has(v, systemRole)
	ours := span.Has(v, ourMark)
	bare := reshape && span.Has(v, thinkingMark) || ours
	if !fold && !bare {
		return
	}
	base := p.d.Head.Members[i].Value.From
	l := span.List{Open: base + 1}
	changed := false
	a := span.ReadArray(v)
	for n := 0; a.Next(); n++ {
		from := base + a.From
		l.At = append(l.At, span.Span{From: from, To: from + len(a.Val)})
		var o span.Op
		switch text(get(a.Val, "role")) {
		case "system":
			if !fold {
				break
			}
			path := "messages." + strconv.Itoa(n)
			p.warn(path, "approximated: a system message inside the conversation became tagged text of the user's turn")
			if now := folded(a.Val); now != nil {
				o.Inner = []span.Patch{{At: span.Span{From: from, To: from + len(a.Val)}, With: now}}
			} else {
				o.Remove = true
			}
		case "assistant":
			if bare {
				o = p.strip(a.Val, from, n, reshape)
			}
		}
		changed = changed || o.Remove || o.Inner != nil
		l.Ops = append(l.Ops, o)
	}
	if changed {
		p.l.Ops[i] = span.Op{Inner: l.Patches()}
	}
}

// strip takes out the thinking blocks of one assistant message that no model
// signed: those of our own wrapping, and with all set the unsigned ones too.
func (p *patcher) strip(message []byte, base, n int, all bool) span.Op {
	var l span.List
	dropped := false
	for o := span.ReadObject(message); o.Next(); {
		if string(o.Name) != "content" || kindOf(o.Val) != '[' {
			continue
		}
		l.Open = base + o.From + 1
		a := span.ReadArray(o.Val)
		for k := 0; a.Next(); k++ {
			from := base + o.From + a.From
			l.At = append(l.At, span.Span{From: from, To: from + len(a.Val)})
			drop := false
			if text(get(a.Val, "type")) == "thinking" {
				s := text(get(a.Val, "signature"))
				drop = len(s) >= len(wrapped) && s[:len(wrapped)] == wrapped || all && s == ""
			}
			if drop {
				p.losses = append(p.losses, llm.Loss{Kind: llm.LossCarry, Path: "messages." + strconv.Itoa(n) + ".content." + strconv.Itoa(k), Why: "left out: thinking that no Anthropic model signed"})
			}
			dropped = dropped || drop
			l.Ops = append(l.Ops, span.Op{Remove: drop})
		}
	}
	if !dropped {
		return span.Op{}
	}
	if l.Empty() {
		return span.Op{Remove: true}
	}
	return span.Op{Inner: l.Patches()}
}

// folded writes a system message as a user's; nil when it has no text.
func folded(message []byte) []byte {
	items, err := decodeContent(nil, get(message, "content"), llm.User, "", 0)
	if err != nil {
		return nil
	}
	var blocks [][]byte
	for i := range items {
		for j := range items[i].Blocks {
			b := items[i].Blocks[j]
			if b.Kind != llm.BlockText || blank(b.Text) {
				continue
			}
			b.Text, b.Raw = tagged(b.Text), nil
			if len(items) == 1 && len(items[0].Blocks) == 1 && plainText(&b) {
				return append(span.Quote([]byte(`{"role":"user","content":`), b.Text), '}')
			}
			blocks = append(blocks, appendBlock(nil, &b))
		}
	}
	if len(blocks) == 0 {
		return nil
	}
	return append(append([]byte(`{"role":"user","content":`), join(blocks)...), '}')
}
