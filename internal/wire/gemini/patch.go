package gemini

import (
	"bytes"
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Patch applies a draft's edits by splices: bytes that no edit names stay as
// they came, and the segments share memory with d.Raw. The model stands in the
// path, which is the provider's business; where a body names one too (in
// batches of embeddings and in counts it must) it is made to say the same.
// EditUsage means nothing here, since every answer tells usage.
//
// EditReshape fits generationConfig and the forced tool choice to the model,
// and puts the documented sentinel on calls without a signature, which Gemini
// 3 and later refuse.
//
// Without any edit one thing is taken out all the same: state of another
// vendor that we wrapped for the client, which Google cannot read.
func (c Codec) Patch(d *llm.Draft, to *llm.Capability) (llm.Encoded, error) {
	if to == nil {
		to = &llm.Capability{}
	}
	p := patcher{d: d, raw: d.Raw, c: to, model: d.Head.Model, l: span.NewList(len(d.Head.Members))}
	p.l.Open = span.SkipSpace(d.Raw, 0) + 1
	for i, m := range d.Head.Members {
		p.l.At[i] = span.Span{From: m.Key.From, To: m.Value.To}
	}
	if e, ok := d.Edit(llm.EditModel); ok && e.Text != "" {
		p.model = e.Text
	}
	p.models()
	var config thing
	if i, v := p.find("generationConfig"); i >= 0 && kindOf(v) == '{' {
		config = p.object(p.d.Head.Members[i].Value.From, v)
	}
	if e, ok := d.Edit(llm.EditMaxTokens); ok && d.Op == llm.OpChat {
		config.set("maxOutputTokens", strconv.AppendInt(nil, e.Number, 10))
	}
	_, reshape := d.Edit(llm.EditReshape)
	reshape = reshape && d.Op == llm.OpChat
	if reshape && to.Known {
		p.reshape(&config)
	}
	if config.changed {
		if i, v := p.find("generationConfig"); i >= 0 && kindOf(v) == '{' {
			p.l.Ops[i] = span.Op{Inner: config.l.Patches()}
		} else {
			b := append(key(nil, "generationConfig"), '{')
			for _, m := range config.l.More {
				b = append(comma(b), m...)
			}
			b = append(b, '}')
			if i >= 0 {
				p.l.Ops[i] = span.Op{Remove: true} // it was null
			}
			p.l.More = append(p.l.More, b)
		}
	}
	p.history(reshape && signs(p.model))
	return llm.Encoded{Body: span.Splice(d.Raw, p.l.Patches()...), Losses: p.Losses.All}, nil
}

type patcher struct {
	d     *llm.Draft
	raw   []byte
	c     *llm.Capability
	model string
	l     span.List
	llm.Losses
}

// find gives a top-level member by its camelCase name.
func (p *patcher) find(name string) (int, []byte) {
	for i := range p.d.Head.Members {
		m := &p.d.Head.Members[i]
		if m.Name == name || strings.IndexByte(m.Name, '_') > 0 && canon([]byte(m.Name)) == name {
			return i, p.raw[m.Value.From:m.Value.To]
		}
	}
	return -1, nil
}

// thing is an object inside the body whose members can be changed.
type thing struct {
	raw     []byte
	base    int
	names   []string
	values  []span.Span
	l       span.List
	changed bool
}

func (p *patcher) object(base int, v []byte) thing {
	t := thing{raw: p.raw, base: base}
	t.l.Open = base + 1
	for o := span.ReadObject(v); o.Next(); {
		t.names = append(t.names, canon(o.Name))
		t.values = append(t.values, span.Span{From: base + o.From, To: base + o.From + len(o.Val)})
		t.l.At = append(t.l.At, span.Span{From: base + o.Key.From, To: base + o.From + len(o.Val)})
		t.l.Ops = append(t.l.Ops, span.Op{})
	}
	return t
}

func (t *thing) find(name string) (int, []byte) {
	for i := range t.names {
		if t.names[i] == name {
			return i, t.raw[t.values[i].From:t.values[i].To]
		}
	}
	return -1, nil
}

// set gives a member a value, adding the member if need be.
func (t *thing) set(name string, value []byte) {
	t.changed = true
	if i, _ := t.find(name); i >= 0 {
		t.l.Ops[i] = span.Op{Inner: []span.Patch{{At: span.Span{From: t.values[i].From, To: t.values[i].To}, With: value}}}
		return
	}
	for k := range t.l.More {
		if bytes.HasPrefix(t.l.More[k], key(nil, name)) {
			t.l.More[k] = append(key(nil, name), value...)
			return
		}
	}
	t.l.More = append(t.l.More, append(key(nil, name), value...))
}

func (t *thing) remove(name string) {
	if i, _ := t.find(name); i >= 0 {
		t.changed = true
		t.l.Ops[i] = span.Op{Remove: true}
	}
}

// models makes the models that stand in the body say what the path says.
func (p *patcher) models() {
	if p.model == "" {
		return
	}
	name := func(v []byte) []byte {
		s := text(v)
		bare, prefixed := strings.CutPrefix(s, "models/")
		switch {
		case s == "" || bare == p.model:
			return nil
		case prefixed:
			return span.Quote(nil, "models/"+p.model)
		}
		return span.Quote(nil, p.model)
	}
	for i := range p.d.Head.Members {
		m := &p.d.Head.Members[i]
		v := p.raw[m.Value.From:m.Value.To]
		switch canon([]byte(m.Name)) {
		case "model":
			if now := name(v); now != nil {
				p.l.Ops[i] = span.Op{Inner: []span.Patch{{At: span.Span(m.Value), With: now}}}
			}
		case "generateContentRequest":
			p.l.Ops[i] = span.Op{Inner: modelIn(nil, v, m.Value.From, name)}
		case "requests":
			var ps []span.Patch
			for a := span.ReadArray(v); a.Next(); {
				ps = modelIn(ps, a.Val, m.Value.From+a.From, name)
			}
			p.l.Ops[i] = span.Op{Inner: ps}
		}
	}
}

func modelIn(ps []span.Patch, v []byte, base int, name func([]byte) []byte) []span.Patch {
	for o := span.ReadObject(v); o.Next(); {
		if string(o.Name) != "model" {
			continue
		}
		if now := name(o.Val); now != nil {
			from := base + o.From
			ps = append(ps, span.Patch{At: span.Span{From: from, To: from + len(o.Val)}, With: now})
		}
	}
	return ps
}

// reshape fits the members to the model.
func (p *patcher) reshape(config *thing) {
	c := p.c
	const path = "generationConfig."
	limit := p.d.Head.MaxTokens
	if e, ok := p.d.Edit(llm.EditMaxTokens); ok {
		limit = e.Number
	}
	if c.MaxOutput > 0 && limit > c.MaxOutput {
		p.Lose(llm.LossWarn, path+"maxOutputTokens", "clamped from %d to %d: the model gives no more", limit, c.MaxOutput)
		config.set("maxOutputTokens", strconv.AppendInt(nil, c.MaxOutput, 10))
	}
	for _, s := range samplingOf(&llm.Sampling{}) {
		if _, s.value = config.find(s.name); s.value == nil {
			continue
		}
		if keep, why := fitSampling(&s, c); !keep {
			config.remove(s.name)
			if why != "" {
				p.Lose(llm.LossWarn, path+s.name, "%s", why)
			}
		}
	}
	if _, v := config.find("candidateCount"); v != nil {
		if n, _ := integer(v); n > 1 && generation(p.model) >= 4 {
			p.Lose(llm.LossRefuse, path+"candidateCount", "the model gives one answer")
		}
	}
	if _, v := config.find("responseLogprobs"); string(v) == "true" && !c.Can(llm.Logprobs) {
		p.Lose(llm.LossRefuse, path+"responseLogprobs", "the model gives no log probabilities")
	}
	if _, v := config.find("stopSequences"); kindOf(v) == '[' && offers(v) && !c.Can(llm.StopSequences) {
		p.Lose(llm.LossRefuse, path+"stopSequences", "the model takes no stop sequences")
	}
	for _, name := range []string{"responseSchema", "responseJsonSchema"} {
		if _, v := config.find(name); kindOf(v) == '{' && !c.Can(llm.JSONSchema) {
			p.Lose(llm.LossRefuse, path+name, "the model takes no JSON Schema")
		}
	}
	if _, v := config.find("thinkingConfig"); kindOf(v) == '{' {
		p.thinking(config, v)
	}
	if _, v := p.find("tools"); v != nil && c.MaxTools > 0 {
		n := 0
		for a := span.ReadMany(v); a.Next(); {
			for f := span.ReadMany(get(a.Val, "functionDeclarations")); f.Next(); n++ {
			}
		}
		if n > c.MaxTools {
			p.Lose(llm.LossRefuse, "tools", "the provider takes at most %d tools, not %d", c.MaxTools, n)
		}
	}
	if _, v := p.find("toolConfig"); v != nil && !c.Can(llm.ForcedTool) && strings.EqualFold(text(get(get(v, "functionCallingConfig"), "mode")), "any") {
		p.Lose(llm.LossRefuse, "toolConfig", "the model refuses a forced tool choice")
	}
	if _, v := p.find("contents"); v != nil && !c.Can(llm.Prefill) {
		role := ""
		for a := span.ReadMany(v); a.Next(); {
			role = text(get(a.Val, "role"))
		}
		if role == "model" {
			p.Lose(llm.LossRefuse, "contents", "the model does not go on from its own turn")
		}
	}
	if i, _ := p.find("cachedContent"); i >= 0 && generation(p.model) >= 4 {
		p.Lose(llm.LossRefuse, "cachedContent", "the model takes no explicit cache")
	}
}

// thinking rewrites a thinkingConfig that the model would refuse.
func (p *patcher) thinking(config *thing, v []byte) {
	d := requestDecoder{r: &llm.Request{}}
	if d.thinking(v) != nil {
		return
	}
	was := d.r.Reasoning
	level := levels(p.model, p.c)
	_, exact := fitLevel(was.Effort, p.c)
	fits := p.c.Can(llm.Thinking)
	if level {
		fits = fits && was.Mode == "" && exact
	} else {
		fits = fits && was.Effort == "" && (was.Mode != llm.ThinkOff || minBudget(p.model) == 0) && was.Budget <= maxBudget(p.model)
	}
	if fits {
		return
	}
	t := fitThought(&was, p.model, p.c, false, p.Lose)
	if !t.said() {
		config.remove("thinkingConfig")
		return
	}
	config.set("thinkingConfig", appendThinking(nil, &t))
}

// history edits the contents where they hold what the target cannot take: our
// own wrapping of another vendor's state, and with sign set calls that nobody
// signed. The byte searches keep the usual request from being read at all.
func (p *patcher) history(sign bool) {
	i, v := p.find("contents")
	if i < 0 {
		return
	}
	ours := span.Has(v, wrapped)
	sign = sign && (span.Has(v, `"functionCall"`) || span.Has(v, `"function_call"`))
	if !ours && !sign {
		return
	}
	base := p.d.Head.Members[i].Value.From
	l := span.List{Open: base + 1}
	changed := false
	a := span.ReadMany(v)
	single := a.Single()
	for n := 0; a.Next(); n++ {
		from := base + a.From
		l.At = append(l.At, span.Span{From: from, To: from + len(a.Val)})
		o := p.content(a.Val, from, n, sign)
		changed = changed || o.Remove || o.Inner != nil
		l.Ops = append(l.Ops, o)
	}
	switch {
	case !changed:
	case single:
		p.l.Ops[i] = l.Ops[0]
	default:
		p.l.Ops[i] = span.Op{Inner: l.Patches()}
	}
}

// content cleans the parts of one content, and signs its first call.
func (p *patcher) content(content []byte, base, n int, sign bool) span.Op {
	var l span.List
	changed, single, called := false, false, false
	model := text(get(content, "role")) == "model"
	for o := span.ReadObject(content); o.Next(); {
		if canon(o.Name) != "parts" {
			continue
		}
		l = span.List{Open: base + o.From + 1}
		a := span.ReadMany(o.Val)
		single = a.Single()
		for k := 0; a.Next(); k++ {
			from := base + o.From + a.From
			l.At = append(l.At, span.Span{From: from, To: from + len(a.Val)})
			var this span.Op
			whole := span.Span{From: from, To: from + len(a.Val)}
			out, dirty := cleaned(a.Val)
			switch {
			case dirty && out == nil:
				this.Remove = true
			case dirty:
				this.Inner = []span.Patch{{At: whole, With: out}}
			}
			if dirty {
				p.Lose(llm.LossCarry, "contents."+strconv.Itoa(n)+".parts."+strconv.Itoa(k), "left out: state that another vendor made")
			}
			if part := readPart(a.Val); part.call != nil && model {
				if sign && !called && !dirty && get(a.Val, "thoughtSignature") == nil {
					at := from + bytes.LastIndexByte(a.Val, '}')
					this.Inner = []span.Patch{{At: span.Span{From: at, To: at}, With: []byte(`,"thoughtSignature":"` + SkipSignature + `"`)}}
				}
				called = true
			}
			changed = changed || this.Remove || this.Inner != nil
			l.Ops = append(l.Ops, this)
		}
	}
	switch {
	case !changed:
		return span.Op{}
	case l.Empty():
		return span.Op{Remove: true}
	case single:
		return l.Ops[0]
	}
	return span.Op{Inner: l.Patches()}
}
