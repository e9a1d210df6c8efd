// Package openai speaks the Chat Completions dialect both ways: as the server
// of its clients and as the client of OpenAI and of everything compatible.
//
// What is said here of other vendors' manners was read from recordings of
// about forty of them (2025 and 2026) and from their specifications.
package openai

import (
	"bytes"
	"errors"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// Codec translates between Chat Completions and the gateway's words. Its zero
// value is ready and safe for concurrent use.
type Codec struct{}

// Dialect returns llm.OpenAI.
func (Codec) Dialect() llm.Dialect { return llm.OpenAI }

// heads are the top-level names that decide something; an oddly cased twin of
// one is refused.
var heads = []string{"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
	"tools", "tool_choice", "functions", "function_call", "user", "safety_identifier", "prompt_cache_key",
	"reasoning_effort", "response_format", "n", "service_tier", "store"}

// Head reads what routing needs from a request body in one scan. Errors are
// *llm.Error of class InvalidRequest that name the byte offset.
func (Codec) Head(op llm.Op, body []byte) (llm.Head, error) {
	var h llm.Head
	found, err := span.Members(make([]span.Member, 0, 16), body, heads)
	if err != nil {
		return h, broken(err)
	}
	h.Members = make([]llm.Place, len(found))
	var maxTokens int64
	hasModel := false
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
		case "stream":
			switch span.Kind(v) {
			case 't':
				h.Stream = true
			case 'f', 'n':
			default:
				return h, wrong("stream", m.Value.From, "must be true or false")
			}
		case "max_tokens", "max_completion_tokens":
			if span.IsNull(v) {
				continue
			}
			n, ok := span.Integer(v)
			if !ok || n < 0 {
				return h, wrong(m.Name, m.Value.From, "must be a whole number, not negative")
			}
			if m.Name == "max_tokens" {
				maxTokens = n
			} else {
				h.MaxTokens = n
			}
		case "tools", "functions":
			if span.IsArray(v) && span.Kind(v[1:]) != ']' {
				h.Tools = true
			}
		case "store":
			if k := span.Kind(v); k == 't' || k == 'f' {
				store := k == 't'
				h.Store = &store
			}
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
		case "stream_options":
			h.IncludeUsage = span.Kind(span.Field(v, "include_usage")) == 't'
		}
	}
	if h.MaxTokens == 0 {
		h.MaxTokens = maxTokens
	}
	if !hasModel && (op == llm.OpChat || op == llm.OpCountTokens || op == llm.OpEmbed) {
		return h, &llm.Error{Class: llm.InvalidRequest, Param: "model", Message: "you must provide a model parameter"}
	}
	return h, nil
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

// Telling reports whether a frame may hold usage, a finish reason or an error.
// It says yes too often rather than too seldom.
//
// Nearly every frame of a stream comes here, and to search each name on its
// own costs more than to read the frame: quotes are everywhere, colons are
// few, and the last letter before one tells most names apart.
func (Codec) Telling(data []byte) bool {
	plain := false // a chunk with choices
	for i := 0; ; i++ {
		n := bytes.IndexByte(data[i:], ':')
		if n < 0 {
			// Everything that is no plain chunk: [DONE], a flat error, an array.
			return !plain
		}
		i += n
		end := i
		for end > 0 && (data[end-1] == ' ' || data[end-1] == '\n' || data[end-1] == '\t' || data[end-1] == '\r') {
			end--
		}
		if end < 2 || data[end-1] != '"' {
			continue // within a string
		}
		switch name := data[:end-1]; name[len(name)-1] {
		case 's':
			plain = plain || bytes.HasSuffix(name, []byte(`"choices`))
		case 'n':
			// "finish_reason":null stands in nearly every frame.
			if bytes.HasSuffix(name, []byte(`"finish_reason`)) && span.Kind(data[i+1:]) != 'n' {
				return true
			}
		case 'e':
			if bytes.HasSuffix(name, []byte(`"usage`)) && span.Kind(data[i+1:]) != 'n' {
				return true
			}
		case 'l':
			// The refusal may come behind thoughts.
			if bytes.HasSuffix(name, []byte(`"refusal`)) && span.Kind(data[i+1:]) == '"' {
				return true
			}
		case 'r':
			if bytes.HasSuffix(name, []byte(`"error`)) {
				return true
			}
		case 'p':
			if bytes.HasSuffix(name, []byte(`"base_resp`)) {
				return true
			}
		}
	}
}

var baseKey = []byte(`"base_resp"`)

// AppendModels appends the GET /v1/models page.
func (Codec) AppendModels(dst []byte, models []llm.ModelInfo) []byte {
	return forms.AppendModels(dst, models)
}

// AppendModel appends the GET /v1/models/{id} object.
func (Codec) AppendModel(dst []byte, m llm.ModelInfo) []byte { return forms.AppendModel(dst, m) }
