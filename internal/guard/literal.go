package guard

import (
	"bytes"
	"iter"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// literal is a string value inside JSON: its place with the quotes, and what it
// says.
type literal struct {
	from, to int
	text     string
}

// bound names the members, in all dialects, whose strings are no words: ids and
// kinds, which must stay as they are, encoded media, and thoughts with what signs
// them.
var bound = map[string]bool{
	"model": true, "type": true, "id": true, "role": true, "name": true, "call_id": true, "tool_call_id": true, "tool_use_id": true,
	"previous_response_id": true, "response_id": true, "file_id": true, "media_type": true, "mimeType": true, "mime_type": true,
	"data": true, "images": true, "file_data": true, "signature": true, "thinking": true, "encrypted_content": true,
	"thoughtSignature": true, "thought_signature": true,
}

// literals gives the strings of a JSON value that may hold words. Names of
// members are not among them.
func literals(body []byte) iter.Seq[literal] {
	return func(yield func(literal) bool) {
		dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		// skip is the depth of the value of a bound member that is a list; 0 is none.
		skip := 0
		name := ""
		for {
			depth := dec.StackDepth()
			if depth < skip {
				skip = 0
			}
			if dec.PeekKind() != '"' {
				t, err := dec.ReadToken()
				if err != nil {
					return
				}
				if t.Kind() == '[' && skip == 0 && bound[name] {
					skip = dec.StackDepth()
				}
				continue
			}
			kind, n := dec.StackIndex(depth)
			raw, err := dec.ReadValue()
			if err != nil {
				return
			}
			if kind == '{' && n%2 == 0 {
				name = unquote(raw)
				continue
			}
			if skip > 0 || kind == '{' && bound[name] {
				continue
			}
			text := unquote(raw)
			if strings.HasPrefix(text, "data:") {
				continue
			}
			to := int(dec.InputOffset())
			if !yield(literal{to - len(raw), to, text}) {
				return
			}
		}
	}
}

func unquote(raw jsontext.Value) string {
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil && len(text) == 0 {
		return string(raw)
	}
	return string(text)
}
