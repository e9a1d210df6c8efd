// Package gemini speaks Google's generateContent dialect: as the server of its
// clients and as a client of its providers. It turns bytes into the gateway's
// words and back; it opens no connection, starts no goroutine and reads no
// clock.
//
// Facts about the wire are from Google's documentation and SDKs and from
// recorded traffic, read 2026-11-22 (docs/wire/gemini.md).
package gemini

import (
	"errors"
	"fmt"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Codec is the generateContent dialect. The zero value speaks with the
// Developer API and is ready; safe for concurrent use.
type Codec struct {
	// Vertex writes requests as Vertex AI takes them: it knows neither ids of
	// calls nor "store" nor "serviceTier", and counts a bare request.
	Vertex bool
	// Array says that the client asked for a stream without alt=sse: what is
	// written is a JSON array that grows. llm.StreamOptions.Array does the same
	// for one stream.
	Array bool
}

// Dialect returns llm.Gemini.
func (Codec) Dialect() llm.Dialect { return llm.Gemini }

// heads are the names that decide something: another spelling of one of them
// in the same body, but for the snake_case that the protocol knows, is refused.
var heads = []string{"model", "contents", "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_config",
	"generationConfig", "generation_config", "safetySettings", "safety_settings", "cachedContent", "cached_content",
	"store", "serviceTier", "service_tier", "generateContentRequest", "generate_content_request", "content", "requests"}

// top reads the top-level members of a body in one scan that validates all of
// it. A member given in both spellings is refused: which one counts is not for
// us to guess.
func top(dst []span.Member, body []byte) ([]span.Member, error) {
	members, err := span.Members(dst, body, heads)
	if err != nil {
		return nil, unreadable(err)
	}
	for i := range members {
		if strings.IndexByte(members[i].Name, '_') < 0 {
			continue
		}
		name := canon([]byte(members[i].Name))
		for _, head := range heads {
			if name != head && strings.EqualFold(name, head) {
				return nil, llm.Errorf(llm.InvalidRequest, "the request body is not usable JSON: byte %d: the name %q differs only in case from %q", members[i].Key.From, members[i].Name, head)
			}
		}
		for k := range members {
			if k != i && canon([]byte(members[k].Name)) == name {
				return nil, twice(max(members[i].Key.From, members[k].Key.From), name)
			}
		}
	}
	return members, nil
}

func twice(at int, name string) *llm.Error {
	return llm.Errorf(llm.InvalidRequest, "the request body is not usable JSON: byte %d: the member %q is given in two spellings", at, name)
}

// Head reads the head of a body in one scan that validates all of it. The
// model and the stream flag stand in the path: the door writes them to the
// Head; a model in the body is read when there is one. Every error is an
// *llm.Error of class InvalidRequest that names the byte where it shows.
func (Codec) Head(op llm.Op, body []byte) (llm.Head, error) {
	var room [24]span.Member
	members, err := top(room[:0], body)
	if err != nil {
		return llm.Head{}, err
	}
	h := llm.Head{Members: make([]llm.Place, len(members))}
	said := false
	for i := range members {
		m := &members[i]
		h.Members[i] = llm.Place{Name: m.Name, Key: llm.Span(m.Key), Value: llm.Span(m.Value)}
		v := body[m.Value.From:m.Value.To]
		if isNull(v) {
			continue
		}
		switch canon([]byte(m.Name)) {
		case "model":
			s, ok := str(v)
			if !ok {
				return h, misplaced(m, "model: must be a string")
			}
			h.Model = strings.TrimPrefix(s, "models/")
		case "contents":
			if k := kindOf(v); k != '[' && k != '{' {
				return h, misplaced(m, "contents: must be an array")
			}
			said = said || op != llm.OpEmbed
		case "generateContentRequest":
			if kindOf(v) != '{' {
				return h, misplaced(m, "generateContentRequest: must be an object")
			}
			said = said || op == llm.OpCountTokens
			h.Tools = h.Tools || offers(get(v, "tools"))
		case "content":
			said = said || op == llm.OpEmbed
		case "requests":
			if kindOf(v) != '[' {
				return h, misplaced(m, "requests: must be an array")
			}
			said = said || op == llm.OpEmbed
		case "tools":
			h.Tools = h.Tools || offers(v)
		case "generationConfig":
			if kindOf(v) != '{' {
				return h, misplaced(m, "generationConfig: must be an object")
			}
			limit := false
			for o := span.ReadObject(v); o.Next(); {
				if canon(o.Name) != "maxOutputTokens" {
					continue
				}
				if limit {
					return h, twice(m.Value.From+o.Key.From, "maxOutputTokens")
				}
				limit = true
				if isNull(o.Val) {
					continue
				}
				n, ok := integer(o.Val)
				if !ok || n < 0 {
					return h, llm.Errorf(llm.InvalidRequest, "generationConfig.maxOutputTokens: must be a whole number (at byte %d)", m.Value.From+o.From)
				}
				h.MaxTokens = n
			}
		}
	}
	switch {
	case said, op == llm.OpRaw:
	case op == llm.OpEmbed:
		return h, llm.Errorf(llm.InvalidRequest, "content: content is not specified")
	default:
		return h, llm.Errorf(llm.InvalidRequest, "contents: contents is not specified")
	}
	return h, nil
}

func offers(tools []byte) bool {
	a := span.ReadMany(tools)
	return a.Next()
}

// unreadable turns a span error into the client's error.
func unreadable(err error) *llm.Error {
	e := llm.Errorf(llm.InvalidRequest, "the request body is not usable JSON: %v", err)
	if s, ok := errors.AsType[*span.Error](err); ok {
		e.Message = fmt.Sprintf("the request body is not usable JSON: byte %d: %s", s.Offset, s.Reason)
	}
	e.Cause = err
	return e
}

func misplaced(m *span.Member, why string) *llm.Error {
	return llm.Errorf(llm.InvalidRequest, "%s (at byte %d)", why, m.Value.From)
}

// invalid is an error at a path of the request.
func invalid(path, why string) *llm.Error {
	e := llm.Errorf(llm.InvalidRequest, "%s: %s", path, why)
	e.Param = path
	return e
}
