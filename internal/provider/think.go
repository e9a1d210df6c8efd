package provider

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// ThinkLevels are the levels of Think beside numbers of tokens.
var ThinkLevels = []string{"off", "low", "medium", "high", "max"}

// budget reads a level that is a number of thinking tokens.
func budget(level string) (tokens int64, ok bool) {
	n, err := strconv.ParseInt(level, 10, 32)
	return n, err == nil && n > 0
}

// member is a value at a path of a request's body; an empty value leaves it as
// it is.
type member struct {
	path  []string
	value func(level string) string
}

// thinkMembers say how hard to think in each dialect. What a model does not
// take of it is fitted to it as if the client had written it.
var thinkMembers = map[llm.Dialect][]member{
	llm.OpenAI:    {{[]string{"reasoning_effort"}, effortWord}},
	llm.Responses: {{[]string{"reasoning", "effort"}, effortWord}},
	llm.Anthropic: {
		{[]string{"thinking"}, func(level string) string {
			if _, ok := budget(level); ok {
				return `{"type":"enabled","budget_tokens":` + level + `}`
			}
			if level == "off" {
				return `{"type":"disabled"}`
			}
			return `{"type":"adaptive"}`
		}},
		{[]string{"output_config", "effort"}, func(level string) string {
			if _, ok := budget(level); ok || level == "off" {
				return "" // it says more than how long to think
			}
			return quote(level)
		}},
	},
	llm.Gemini: {{[]string{"generationConfig", "thinkingConfig"}, func(level string) string {
		if _, ok := budget(level); ok {
			return `{"thinkingBudget":` + level + `}`
		}
		switch level {
		case "off":
			return `{"thinkingBudget":0}`
		case "max":
			level = "high"
		}
		return `{"thinkingLevel":` + quote(level) + `}`
	}}},
	llm.Ollama: {{[]string{"think"}, func(level string) string {
		if n, ok := budget(level); ok {
			level = strings.TrimPrefix(llm.EffortOf(n), "x")
		}
		switch level {
		case "off":
			return "false"
		case "max":
			level = "high"
		}
		return quote(level)
	}}},
}

func effortWord(level string) string {
	if n, ok := budget(level); ok {
		level = llm.EffortOf(n)
	}
	if level == "off" {
		level = "none"
	}
	return quote(level)
}

func quote(s string) string { return `"` + s + `"` }

// Think gives a chat request that says how hard to think, in the words of its
// own dialect, and that is fitted to its target. A body that cannot be read is
// left to the provider to refuse.
func Think(d llm.Draft, level string) llm.Draft {
	s := codecs[d.Dialect]
	if _, number := budget(level); s == nil || d.Op != llm.OpChat || !number && !slices.Contains(ThinkLevels, level) {
		return d
	}
	way := s.way(d.Op, d.Form)
	if way == nil {
		return d
	}
	raw := d.Raw
	for _, m := range thinkMembers[d.Dialect] {
		if v := m.value(level); v != "" {
			raw = put(raw, m.path, []byte(v))
		}
	}
	head, err := s.of(way).Head(d.Op, raw)
	if err != nil {
		return d
	}
	if d.Dialect == llm.Gemini { // these stand in the path
		head.Model, head.Stream = d.Head.Model, d.Head.Stream
	}
	return d.Respelled(raw, head).With(llm.Edit{Kind: llm.EditReshape}).With(llm.Edit{Kind: llm.EditThink, Text: level})
}

// put sets the value at a path of an object and leaves all other bytes. The
// result shares no memory with the object.
func put(object []byte, path []string, value []byte) []byte {
	if len(path) == 0 {
		return value
	}
	if !span.IsObject(object) {
		object = []byte("{}")
	}
	empty := true
	for o := span.ReadObject(object); o.Next(); empty = false {
		if string(o.Name) == path[0] {
			return slices.Concat(object[:o.From], put(o.Val, path[1:], value), object[o.From+len(o.Val):])
		}
	}
	end := bytes.LastIndexByte(object, '}')
	comma := ","
	if empty {
		comma = ""
	}
	return slices.Concat(object[:end], []byte(comma+quote(path[0])+":"), put(nil, path[1:], value), object[end:])
}

// Words gives a whole answer to a chat draft in words, whatever form it came in.
func Words(d *llm.Draft, a *llm.Answer) (*llm.Response, error) {
	if a.Response != nil {
		return a.Response, nil
	}
	s := codecs[d.Dialect]
	if s == nil || !a.Native {
		return nil, llm.Errorf(llm.Unsupported, "a %s answer has no words", d.Dialect)
	}
	way := s.way(d.Op, d.Form)
	if way == nil {
		return nil, llm.Errorf(llm.Unsupported, "%s has no %s", d.Dialect, d.Op)
	}
	return s.of(way).DecodeResponse(a.Body)
}

// told is the loss that tells the client how hard it was made to think.
func told(d *llm.Draft) []llm.Loss {
	if e, ok := d.Edit(llm.EditThink); ok {
		if _, number := budget(e.Text); number {
			e.Text += " tokens"
		}
		return []llm.Loss{{Kind: llm.LossWarn, Path: "thinking", Why: "set to " + e.Text}}
	}
	return nil
}
