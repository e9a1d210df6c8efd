// Package span finds the places of values inside raw JSON, so that a few of
// them can be replaced without touching any other byte.
package span

import (
	"bytes"
	"errors"
	"fmt"
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
// *Error.
func Members(dst []Member, body []byte, heads []string) ([]Member, error) {
	if at := tooDeep(body); at >= 0 {
		return dst, &Error{at, fmt.Sprintf("nesting is deeper than %d", MaxDepth)}
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if dec.PeekKind() != '{' {
		if _, err := dec.ReadToken(); err != nil {
			return dst, syntax(err, int(dec.InputOffset()))
		}
		return dst, &Error{0, "the body is not a JSON object"}
	}
	if _, err := dec.ReadToken(); err != nil {
		return dst, syntax(err, int(dec.InputOffset()))
	}
	for dec.PeekKind() != '}' {
		key, err := dec.ReadValue()
		if err != nil {
			return dst, syntax(err, int(dec.InputOffset()))
		}
		m := Member{Key: Span{int(dec.InputOffset()) - len(key), int(dec.InputOffset())}}
		m.Name = name(key)
		for _, h := range heads {
			if m.Name != h && strings.EqualFold(m.Name, h) {
				return dst, &Error{m.Key.From, fmt.Sprintf("the name %q differs only in case from %q", m.Name, h)}
			}
		}
		value, err := dec.ReadValue()
		if err != nil {
			return dst, syntax(err, int(dec.InputOffset()))
		}
		m.Value = Span{int(dec.InputOffset()) - len(value), int(dec.InputOffset())}
		dst = append(dst, m)
	}
	if _, err := dec.ReadToken(); err != nil {
		return dst, syntax(err, int(dec.InputOffset()))
	}
	end := int(dec.InputOffset())
	if rest := bytes.TrimLeft(body[end:], " \t\r\n"); len(rest) > 0 {
		return dst, &Error{len(body) - len(rest), "there is something after the JSON object"}
	}
	return dst, nil
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
		presence_penalty logprobs top_logprobs type role content id name usage choices delta index`) {
		m[s] = s
	}
	return m
}()

func syntax(err error, offset int) *Error {
	var s *jsontext.SyntacticError
	if errors.As(err, &s) {
		reason := s.Err.Error()
		if errors.Is(s.Err, jsontext.ErrDuplicateName) {
			reason = "the same name stands twice in one object"
			if p := s.JSONPointer.LastToken(); p != "" {
				reason = fmt.Sprintf("the name %q stands twice in one object", p)
			}
		}
		return &Error{int(s.ByteOffset), reason}
	}
	return &Error{offset, "the JSON text is cut off"}
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

// Patch puts With in the place of a span; an empty span inserts.
type Patch struct {
	At   Span
	With []byte
}

// Splice returns the body with the patches applied, as segments that share
// memory with body and the patches: nothing is copied. Patches must be in
// rising order and must not overlap.
func Splice(body []byte, patches ...Patch) [][]byte {
	segments := make([][]byte, 0, 2*len(patches)+1)
	at := 0
	for _, p := range patches {
		if p.At.From > at {
			segments = append(segments, body[at:p.At.From])
		}
		if len(p.With) > 0 {
			segments = append(segments, p.With)
		}
		at = p.At.To
	}
	if at < len(body) {
		segments = append(segments, body[at:])
	}
	return segments
}

// Remove returns the patch that takes a member out of its object, with the
// comma that belongs to it. i is the member's place in members, which must
// list the whole object.
func Remove(members []Member, i int) Patch {
	switch {
	case i+1 < len(members):
		return Patch{At: Span{members[i].Key.From, members[i+1].Key.From}}
	case i > 0:
		return Patch{At: Span{members[i-1].Value.To, members[i].Value.To}}
	default:
		return Patch{At: Span{members[i].Key.From, members[i].Value.To}}
	}
}

// Insert returns the patch that puts a member behind the last one of an object
// whose members are listed; name is written as it is, so it needs no escapes.
// With no members, open is the offset just behind the opening brace.
func Insert(members []Member, open int, name string, value []byte) Patch {
	var with []byte
	at := open
	if n := len(members); n > 0 {
		at = members[n-1].Value.To
		with = append(with, ',')
	}
	with = append(with, '"')
	with = append(with, name...)
	with = append(with, '"', ':')
	with = append(with, value...)
	return Patch{At: Span{at, at}, With: with}
}
