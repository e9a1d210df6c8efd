// Package anthropic speaks the Messages dialect: as the server of its clients
// and as a client of its providers. It turns bytes into the gateway's words
// and back; it opens no connection, starts no goroutine and reads no clock.
//
// Facts about the wire are from Anthropic's SDK types (@anthropic-ai/sdk
// 1.12.0), its documentation and recorded traffic, read 2026-11-22.
package anthropic

import (
	"errors"
	"fmt"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Codec is the Messages dialect. The zero value is ready and safe for
// concurrent use.
type Codec struct{}

// Dialect returns llm.Anthropic.
func (Codec) Dialect() llm.Dialect { return llm.Anthropic }

// heads are the names that decide something: another spelling of one of them
// in the same body is refused.
var heads = []string{"model", "messages", "system", "max_tokens", "stream", "tools", "tool_choice", "thinking", "output_config", "metadata"}

// Head reads the head of a body in one scan that validates all of it. Every
// error is an *llm.Error of class InvalidRequest that names the byte where it
// shows. A count_tokens body needs no max_tokens; any other does, and 0 is a
// legal value (it warms the prompt cache).
func (Codec) Head(op llm.Op, body []byte) (llm.Head, error) {
	var room [24]span.Member
	members, err := span.Members(room[:0], body, heads)
	if err != nil {
		return llm.Head{}, unreadable(err)
	}
	h := llm.Head{Members: make([]llm.Place, len(members))}
	at := func(i int) []byte { return body[members[i].Value.From:members[i].Value.To] }
	model, limit, messages := false, false, false
	for i := range members {
		m := &members[i]
		h.Members[i] = llm.Place{Name: m.Name, Key: llm.Span(m.Key), Value: llm.Span(m.Value)}
		switch m.Name {
		case "model":
			s, ok := str(at(i))
			if !ok || s == "" {
				return h, misplaced(m, "model: must be a non-empty string")
			}
			h.Model, model = s, true
		case "stream":
			switch string(at(i)) {
			case "true":
				h.Stream = true
			case "false", "null":
			default:
				return h, misplaced(m, "stream: must be true or false")
			}
		case "max_tokens":
			if isNull(at(i)) {
				break
			}
			n, ok := integer(at(i))
			if !ok || n < 0 {
				return h, misplaced(m, "max_tokens: must be a whole number")
			}
			h.MaxTokens, limit = n, true
		case "messages":
			if kindOf(at(i)) != '[' {
				return h, misplaced(m, "messages: must be an array")
			}
			messages = true
		case "tools":
			a := span.ReadArray(at(i))
			h.Tools = a.Next()
		case "metadata":
			h.EndUser = text(get(at(i), "user_id"))
		}
	}
	switch {
	case !model:
		return h, llm.Errorf(llm.InvalidRequest, "model: Field required")
	case !messages:
		return h, llm.Errorf(llm.InvalidRequest, "messages: Field required")
	case !limit && op != llm.OpCountTokens:
		return h, llm.Errorf(llm.InvalidRequest, "max_tokens: Field required")
	}
	return h, nil
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
