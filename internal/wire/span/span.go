// Package span finds the places of values inside raw JSON, so that a few of
// them can be replaced without touching any other byte.
package span

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Span is the half-open range of bytes [From, To).
type Span struct{ From, To int }

// Member is a member of an object: where its name (quotes included) and its
// value stand, both without surrounding white space.
type Member struct {
	Name       string
	Key, Value Span
}

// MaxDepth is how deeply objects and arrays may nest.
const MaxDepth = 100

// Error is a body that cannot be taken, with the byte where it shows.
type Error struct {
	Offset int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason) }

// Members scans a JSON object once: it validates the whole text (syntax,
// UTF-8, no name twice at any level, depth), and returns the top-level members
// in source order, appended to dst. heads are the names that decide something;
// a name that differs from one of them only in case (Unicode folding) is
// refused, because another parser might take it for the head. All errors are
// *Error; the members found before one are of no use. Safe for concurrent use.
func Members(dst []Member, body []byte, heads []string) ([]Member, error) {
	if all, ok := quick(dst, body, heads); ok {
		return all, nil
	}
	return careful(dst, body, heads)
}

// careful is the twin of quick that takes every case and words every error.
func careful(dst []Member, body []byte, heads []string) ([]Member, error) {
	if at := tooDeep(body); at >= 0 {
		return dst, &Error{at, fmt.Sprintf("nesting is deeper than %d", MaxDepth)}
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if dec.PeekKind() != '{' {
		at := len(body) - len(bytes.TrimLeft(body, space))
		if _, err := dec.ReadToken(); err != nil {
			return dst, syntax(err, len(body))
		}
		return dst, &Error{at, "the body is not a JSON object"}
	}
	if _, err := dec.ReadToken(); err != nil {
		return dst, syntax(err, len(body))
	}
	for dec.PeekKind() != '}' {
		key, err := dec.ReadValue()
		if err != nil {
			return dst, syntax(err, len(body))
		}
		m := Member{Key: Span{int(dec.InputOffset()) - len(key), int(dec.InputOffset())}}
		m.Name = name(key)
		if err := oddCase(&m, heads); err != nil {
			return dst, err
		}
		value, err := dec.ReadValue()
		if err != nil {
			return dst, syntax(err, len(body))
		}
		m.Value = Span{int(dec.InputOffset()) - len(value), int(dec.InputOffset())}
		dst = append(dst, m)
	}
	if _, err := dec.ReadToken(); err != nil {
		return dst, syntax(err, len(body))
	}
	end := int(dec.InputOffset())
	if rest := bytes.TrimLeft(body[end:], space); len(rest) > 0 {
		return dst, &Error{len(body) - len(rest), "there is something after the JSON object"}
	}
	return dst, nil
}

const space = " \t\r\n"

// oddCase refuses a name that another parser might take for a head.
func oddCase(m *Member, heads []string) error {
	for _, h := range heads {
		if m.Name == h {
			return nil
		}
	}
	for _, h := range heads {
		if strings.EqualFold(m.Name, h) {
			return &Error{m.Key.From, fmt.Sprintf("the name %q differs only in case from %q", m.Name, h)}
		}
	}
	return nil
}

// name gives the unescaped name; common ones without an allocation.
func name(key []byte) string {
	inner := key[1 : len(key)-1]
	if s, ok := known[string(inner)]; ok {
		return s
	}
	b, err := jsontext.AppendUnquote(nil, key)
	if err != nil { // the decoder has validated it
		return string(inner)
	}
	return string(b)
}

var known = func() map[string]string {
	m := map[string]string{}
	for _, s := range strings.Fields(`model messages max_tokens max_completion_tokens stream stream_options tools tool_choice
		temperature top_p top_k system stop stop_sequences metadata user thinking output_config response_format reasoning_effort
		parallel_tool_calls n seed service_tier context_management prompt_cache_key store include_usage frequency_penalty
		presence_penalty logprobs top_logprobs type role content id name usage choices delta index sequence_number output_index content_index summary_index item_id item
		logprobs obfuscation response text part arguments function tool_calls tool_call_id reasoning_content refusal annotations`) {
		m[s] = s
	}
	return m
}()

// syntax words a decoder's error; size is the length of the whole text.
func syntax(err error, size int) *Error {
	s, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), !ok:
		return &Error{size, "the JSON text is cut off"}
	case !errors.Is(err, jsontext.ErrDuplicateName):
		return &Error{int(s.ByteOffset), s.Err.Error()}
	case s.JSONPointer.LastToken() == "":
		return &Error{int(s.ByteOffset), "the same name stands twice in one object"}
	default:
		return &Error{int(s.ByteOffset), fmt.Sprintf("the name %q stands twice in one object", s.JSONPointer.LastToken())}
	}
}

// tooDeep returns the offset at which nesting passes MaxDepth, or -1. It reads
// valid JSON rightly; on other text it may be wrong, and the decoder decides.
func tooDeep(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			if depth++; depth > MaxDepth {
				return i
			}
		case '}', ']':
			depth--
		case '"':
			for i++; ; i++ {
				n := bytes.IndexByte(b[i:], '"')
				if n < 0 {
					return -1
				}
				i += n
				k := i
				for k > 0 && b[k-1] == '\\' {
					k--
				}
				if (i-k)%2 == 0 {
					break
				}
			}
		}
	}
	return -1
}
