// Package responses speaks OpenAI's Responses dialect both ways: as the server
// of its clients and as the client of OpenAI and of everything compatible.
//
// What is said here of other vendors' manners was read from recordings (2025
// and 2026: OpenAI, Azure, xAI, Bedrock, DeepSeek, OpenRouter, Copilot and
// ChatGPT) and from OpenAI's specification (2026-08).
package responses

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// Codec translates between Responses and the gateway's words. Its zero value
// is ready and safe for concurrent use.
type Codec struct{}

// Dialect returns llm.Responses.
func (Codec) Dialect() llm.Dialect { return llm.Responses }

// heads are the top-level names that decide something; an oddly cased twin of
// one is refused.
var heads = []string{"model", "input", "instructions", "stream", "max_output_tokens", "tools", "tool_choice",
	"user", "safety_identifier", "prompt_cache_key", "reasoning", "text", "previous_response_id", "conversation",
	"store", "background", "service_tier", "include", "prompt"}

// Head reads what routing needs from a request body in one scan. Errors are
// *llm.Error of class InvalidRequest that name the byte offset.
func (Codec) Head(op llm.Op, body []byte) (llm.Head, error) {
	var h llm.Head
	found, err := span.Members(make([]span.Member, 0, 16), body, heads)
	if err != nil {
		return h, broken(err)
	}
	h.Members = make([]llm.Place, len(found))
	hasModel, hasPrompt := false, false
	for i, m := range found {
		h.Members[i] = llm.Place{Name: m.Name, Key: llm.Span(m.Key), Value: llm.Span(m.Value)}
		v := body[m.Value.From:m.Value.To]
		switch m.Name {
		case "model":
			if !span.IsString(v) {
				return h, wrong("model", m.Value.From, "must be a string")
			}
			if h.Model = span.Text(v); h.Model == "" {
				return h, wrong("model", m.Value.From, "must not be empty")
			}
			hasModel = true
		case "prompt":
			hasPrompt = span.IsObject(v)
		case "stream":
			if h.Stream, err = flag(m, v); err != nil {
				return h, err
			}
		case "background":
			if h.Background, err = flag(m, v); err != nil {
				return h, err
			}
		case "store":
			if !span.IsNull(v) {
				store, err := flag(m, v)
				if err != nil {
					return h, err
				}
				h.Store = &store
			}
		case "max_output_tokens":
			if span.IsNull(v) {
				continue
			}
			n, ok := span.Integer(v)
			if !ok || n < 0 {
				return h, wrong(m.Name, m.Value.From, "must be a whole number, not negative")
			}
			h.MaxTokens = n
		case "tools":
			h.Tools = span.IsArray(v) && !span.Blank(v)
		case "prompt_cache_key":
			h.CacheKey = span.Text(v)
		case "safety_identifier":
			if id := span.Text(v); id != "" {
				h.EndUser = id
			}
		case "user":
			if h.EndUser == "" {
				h.EndUser = span.Text(v)
			}
		case "previous_response_id":
			h.PreviousID = span.Text(v)
		}
	}
	if !hasModel && (op == llm.OpChat || op == llm.OpCountTokens) {
		why := "you must provide a model parameter"
		if hasPrompt {
			why = "the model stands in the stored prompt, which only its own provider can read: name the model as well"
		}
		return h, &llm.Error{Class: llm.InvalidRequest, Param: "model", Message: why}
	}
	return h, nil
}

func flag(m span.Member, v []byte) (bool, error) {
	switch span.Kind(v) {
	case 't':
		return true, nil
	case 'f', 'n':
		return false, nil
	}
	return false, wrong(m.Name, m.Value.From, "must be true or false")
}

func wrong(param string, offset int, reason string) error {
	e := llm.Errorf(llm.InvalidRequest, "%s %s (byte %d)", param, reason, offset)
	e.Param = param
	return e
}

// broken makes our error of one from span.
func broken(err error) error {
	e := llm.Errorf(llm.InvalidRequest, "the request body cannot be read: %s", err)
	if _, ok := errors.AsType[*span.Error](err); !ok {
		e.Cause = err
	}
	return e
}

var (
	typeKey   = []byte(`{"type":"`)
	eventMark = []byte(`"response.`)
	// endings are how the types of the telling events end, as they stand in a
	// frame.
	endings = [][]byte{[]byte(`.completed"`), []byte(`.incomplete"`), []byte(`.failed"`), []byte(`.cancelled"`), []byte(`"error"`)}
)

// Telling reports whether a frame may hold usage, a finish reason or an error:
// the terminal events, errors, and whatever is no event. It says yes too often
// rather than too seldom.
func (Codec) Telling(data []byte) bool {
	// OpenAI writes the type first: all is said with it.
	if rest, ok := bytes.CutPrefix(data, typeKey); ok {
		n := bytes.IndexByte(rest, '"')
		if n < 0 {
			return true
		}
		return tells(string(rest[:n]))
	}
	if !bytes.Contains(data, eventMark) {
		return true // [DONE], an error, something that is no event
	}
	for _, e := range endings {
		if bytes.Contains(data, e) {
			return true
		}
	}
	return false
}

// tells says whether an event of the type ends a stream.
func tells(kind string) bool {
	switch kind {
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled", "error":
		return true
	}
	return len(kind) < len("response.") || kind[:len("response.")] != "response."
}

// DecodeError reads an error answer in any of the forms that compatible
// vendors use.
func (Codec) DecodeError(status int, h http.Header, body []byte) *llm.Error {
	return forms.DecodeError(llm.Responses, status, h, body)
}

// EncodeError gives the status and the body with which a client of this
// dialect sees the error.
func (Codec) EncodeError(e *llm.Error) (status int, body []byte) { return forms.EncodeError(e) }

// AppendModels appends the GET /v1/models page.
func (c Codec) AppendModels(dst []byte, models []llm.ModelInfo) []byte {
	return forms.AppendModels(dst, models)
}

// AppendModel appends the GET /v1/models/{id} object.
func (Codec) AppendModel(dst []byte, m llm.ModelInfo) []byte { return forms.AppendModel(dst, m) }

// DecodeCount reads the answer of POST /v1/responses/input_tokens.
func (Codec) DecodeCount(body []byte) (int64, error) {
	raw, err := whole(body)
	if err != nil {
		return 0, err
	}
	n, ok := span.Integer(span.Field(raw, "input_tokens"))
	if !ok || n < 0 {
		return 0, forms.Malformed(llm.Responses, "the provider's answer has no input_tokens", body)
	}
	return n, nil
}

// AppendCount appends the answer of POST /v1/responses/input_tokens.
func (Codec) AppendCount(dst []byte, n int64) []byte {
	o := span.Open(dst)
	o.Str("object", "response.input_tokens")
	o.Int("input_tokens", n)
	return o.Close()
}

// hashOf gives n hexadecimal digits that depend on nothing but s.
func hashOf(s string, n int) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:n]
}
