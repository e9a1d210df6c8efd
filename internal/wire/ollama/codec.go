// Package ollama speaks Ollama's own dialect (/api/...) both ways: as the
// server of its clients and as the client of Ollama, on this host or in its
// cloud. (Its OpenAI-compatible door is wire/openai's business.)
//
// What is said here of Ollama was read from its source (2026-08) and from
// recordings of 2024 to 2026.
package ollama

import (
	"bytes"
	"errors"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// The forms of a Codec.
const (
	// FormGenerate is /api/generate: a prompt in, a response out.
	FormGenerate = "generate"
	// FormEmbed is /api/embed.
	FormEmbed = "embed"
	// FormEmbeddings is the older /api/embeddings: one prompt, one embedding.
	FormEmbeddings = "embeddings"
)

// Codec translates between Ollama's dialect and the gateway's words. Its zero
// value is ready and safe for concurrent use.
type Codec struct {
	// Form is the door that the codec serves: empty for /api/chat and
	// /api/embed, else one of the Form constants. It says how clients are
	// answered. What comes in is told apart by its own members, so that the
	// zero Codec reads requests and answers of every form.
	Form string
}

// Dialect returns llm.Ollama.
func (Codec) Dialect() llm.Dialect { return llm.Ollama }

// heads are the top-level names that decide something. Ollama itself reads
// names without regard to case, so an oddly cased twin of one is refused.
var heads = []string{"model", "messages", "prompt", "system", "suffix", "template", "raw", "context", "images", "stream",
	"tools", "format", "think", "options", "keep_alive", "logprobs", "top_logprobs", "truncate", "shift", "input", "dimensions"}

// Head reads what routing needs from a request body in one scan. A chat whose
// stream is unsaid is a stream: this is the only dialect where that is so.
// Errors are *llm.Error of class InvalidRequest that name the byte offset.
func (Codec) Head(op llm.Op, body []byte) (llm.Head, error) {
	h := llm.Head{Stream: op == llm.OpChat}
	found, err := span.Members(make([]span.Member, 0, 16), body, heads)
	if err != nil {
		return h, broken(err)
	}
	h.Members = make([]llm.Place, len(found))
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
			case 'f':
				h.Stream = false
			case 't', 'n':
			default:
				return h, wrong("stream", m.Value.From, "must be true or false")
			}
		case "tools":
			h.Tools = span.IsArray(v) && span.Kind(v[1:]) != ']'
		case "options":
			if span.IsNull(v) {
				continue
			}
			if !span.IsObject(v) {
				return h, wrong("options", m.Value.From, "must be an object")
			}
			if p := span.Field(v, "num_predict"); !span.IsNull(p) {
				n, ok := span.Integer(p)
				if !ok {
					return h, wrong("options.num_predict", m.Value.From, "must be a whole number")
				}
				h.MaxTokens = max(n, 0) // -1 is no cap, -2 the rest of the window
			}
		}
	}
	if op == llm.OpEmbed {
		h.Stream = false
	}
	if !hasModel && (op == llm.OpChat || op == llm.OpEmbed) {
		return h, &llm.Error{Class: llm.InvalidRequest, Param: "model", Message: "model is required"}
	}
	return h, nil
}

func wrong(param string, offset int, reason string) error {
	e := llm.Errorf(llm.InvalidRequest, "%s %s (byte %d)", param, reason, offset)
	e.Param = param
	return e
}

// refuse words an error about a place that has a path but no offset.
func refuse(path, reason string) error {
	e := llm.Errorf(llm.InvalidRequest, "%s %s", path, reason)
	e.Param = path
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
	errorKey = []byte(`"error"`)
	doneKey  = []byte(`"done"`)
)

// Telling reports whether a line may hold usage, an end or an error. It says
// yes too often rather than too seldom.
func (Codec) Telling(data []byte) bool {
	if span.Kind(data) != '{' || bytes.Contains(data, errorKey) {
		return true
	}
	// "done" stands behind the text in every line, so the last one is it.
	at := bytes.LastIndex(data, doneKey)
	if at < 0 {
		return true
	}
	rest := data[span.SkipSpace(data, at+len(doneKey)):]
	return len(rest) == 0 || rest[0] != ':' || span.Kind(rest[1:]) != 'f' || bytes.Contains(data, countKey)
}

var countKey = []byte(`"eval_count"`)
