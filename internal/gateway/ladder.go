package gateway

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/route"
	"headrace/internal/tokens"
	"headrace/internal/wire/span"
)

// thinkLevels are those of x-headrace-thinking, beside numbers of tokens.
var thinkLevels = []string{"off", "low", "medium", "high", "max"}

// wishes notes what the client wants of the answer beside what its dialect has
// words for.
func wishes(d *llm.Draft, h http.Header) *llm.Error {
	if at, ok := d.Head.At(thinkingConfig); ok && d.Op == llm.OpChat {
		level, ok := level(d.Raw[at.From:at.To])
		if !ok {
			return llm.Errorf(llm.InvalidRequest, "thinking_config is one of %s, a number of tokens, or an object with level, effort or budget_tokens", strings.Join(thinkLevels, ", "))
		}
		d.Think = level
	}
	if lines := h["X-Headrace-Thinking"]; len(lines) > 0 {
		level := strings.ToLower(strings.TrimSpace(lines[0]))
		if len(lines) > 1 || !slices.Contains(thinkLevels, level) && !tokensOf(level) {
			return llm.Errorf(llm.InvalidRequest, "x-headrace-thinking is one of %s, or a number of tokens", strings.Join(thinkLevels, ", "))
		}
		d.Think = level
	}
	if len(d.Task) > maxTask || strings.HasPrefix(d.Task, "~") {
		return llm.Errorf(llm.InvalidRequest, "x-headrace-task is at most %d bytes and does not begin with ~", maxTask)
	}
	if v := h.Get("X-Headrace-Max-Cost"); v != "" {
		dollars, err := strconv.ParseFloat(strings.TrimPrefix(v, "$"), 64)
		if err != nil || !(dollars > 0 && dollars < 1e6) {
			return llm.Errorf(llm.InvalidRequest, "x-headrace-max-cost is a sum of US dollars such as 0.02")
		}
		d.MaxCost = llm.Nanodollars(dollars * 1e9)
	}
	return nil
}

// maxTask is how long the name of a task may be: it stands in tables.
const maxTask = 64

// thinkingConfig is a member of our own that says how hard to think.
const thinkingConfig = "thinking_config"

func tokensOf(s string) bool {
	n, err := strconv.ParseInt(s, 10, 32)
	return err == nil && n > 0
}

// level reads thinking_config: a level, a number of tokens, or an object that
// holds one of them as level, effort or budget_tokens.
func level(raw []byte) (string, bool) {
	known := func(s string) (string, bool) {
		switch s = strings.ToLower(s); {
		case s == "none" || s == "0":
			s = "off"
		case s == "minimal":
			s = "low"
		case s == "xhigh":
			s = "max"
		}
		return s, slices.Contains(thinkLevels, s) || tokensOf(s)
	}
	word := func(v []byte) (string, bool) {
		if n, ok := span.Integer(v); ok {
			return known(strconv.FormatInt(n, 10))
		}
		return known(span.Text(v))
	}
	if !span.IsObject(raw) {
		return word(raw)
	}
	got, ok := "", false
	for k, v := range span.Fields(raw) {
		switch string(k) {
		case "level", "effort", "budget_tokens":
			if ok { // two of them may not agree
				return "", false
			}
			if got, ok = word(v); !ok {
				return "", false
			}
		default:
			return "", false
		}
	}
	return got, ok
}

// plainly takes the members of our own out of a body: no provider is sent them.
func (x *exchange) plainly(d *llm.Draft) *llm.Error {
	at := slices.IndexFunc(d.Head.Members, func(m llm.Place) bool { return m.Name == thinkingConfig })
	if at < 0 || d.Op != llm.OpChat {
		return nil
	}
	m := d.Head.Members[at]
	from, to := m.Key.From, m.Value.To
	if at+1 < len(d.Head.Members) {
		to = d.Head.Members[at+1].Key.From
	} else if at > 0 {
		from = d.Head.Members[at-1].Value.To
	}
	raw := slices.Concat(d.Raw[:from], d.Raw[to:])
	head, err := x.reply.door.Head(d.Op, raw)
	if err != nil {
		return asError(err, llm.InvalidRequest)
	}
	if d.Dialect == llm.Gemini { // these stand in the path
		head.Model, head.Stream = d.Head.Model, d.Head.Stream
	}
	*d = d.Respelled(raw, head)
	return nil
}

// roughEnough is how many tokens fit every window, however they are counted.
const roughEnough = 2000

// needs is what a request needs of a model. What cannot be decoded needs
// nothing: its provider is to say what is wrong with it.
func needs(d *llm.Draft) (n route.Needs) {
	family := tokens.FamilyOf(d.Head.Model)
	if n.Tokens = tokens.Rough(d.Raw, family); n.Tokens > roughEnough {
		n.Tokens = tokens.Estimate(d.Raw, family) // pictures are long and count little
	}
	n.Has = Features(d)
	if r, err := d.Request(); err == nil && d.Op == llm.OpChat {
		n.Tools, n.Task, n.Script = len(r.Tools), d.Task, route.ScriptOf(lastSaid(r))
	}
	return n
}

// Features are those that a model must have for a chat. What cannot be decoded
// needs none.
func Features(d *llm.Draft) (has llm.Feature) {
	if d.Op != llm.OpChat {
		return 0
	}
	r, err := d.Request()
	if err != nil {
		return 0
	}
	if len(r.Tools) > 0 {
		has |= llm.Tools
	}
	if r.Format.Kind == llm.FormatJSONSchema {
		has |= llm.JSONSchema
	}
	for i := range r.Items {
		for k := range r.Items[i].Blocks {
			switch r.Items[i].Blocks[k].Kind {
			case llm.BlockImage:
				has |= llm.Vision
			case llm.BlockFile:
				has |= llm.PDF
			case llm.BlockAudio:
				has |= llm.AudioInput
			}
		}
	}
	return has
}

// schemaMembers are where a request asks for an answer that fits a schema, and
// what stands there then.
var schemaMembers = map[llm.Dialect][]struct {
	name string
	mark []byte
}{
	llm.OpenAI:    {{"response_format", []byte("json_schema")}},
	llm.Responses: {{"text", []byte("json_schema")}},
	llm.Anthropic: {{"output_config", []byte("json_schema")}, {"output_format", []byte("json_schema")}},
	llm.Gemini:    {{"generationConfig", []byte("Schema")}, {"generation_config", []byte("schema")}},
	llm.Ollama:    {{"format", []byte("{")}},
}

// atSight are the features that a chat needs, as far as its head tells; those of
// its messages too where they have been read already.
func atSight(d *llm.Draft) (has llm.Feature) {
	switch {
	case d.Op != llm.OpChat:
		return 0
	case d.Decoded():
		return Features(d)
	}
	if d.Head.Tools {
		has |= llm.Tools
	}
	for _, m := range schemaMembers[d.Dialect] {
		if at, ok := d.Head.At(m.name); ok && bytes.Contains(d.Raw[at.From:at.To], m.mark) {
			has |= llm.JSONSchema
		}
	}
	return has
}

// lastSaid is the first text of the last message of the user.
func lastSaid(r *llm.Request) string {
	for i := len(r.Items) - 1; i >= 0; i-- {
		if it := &r.Items[i]; it.Kind == llm.ItemMessage && it.Role == llm.User {
			for k := range it.Blocks {
				if it.Blocks[k].Kind == llm.BlockText && it.Blocks[k].Text != "" {
					return it.Blocks[k].Text
				}
			}
		}
	}
	return ""
}
