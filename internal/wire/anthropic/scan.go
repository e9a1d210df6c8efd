package anthropic

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/wire/span"
)

// get returns the raw value of one member, nil when it is not there.
func get(b []byte, name string) jsontext.Value {
	for o := span.ReadObject(b); o.Next(); {
		if string(o.Name) == name {
			return o.Val
		}
	}
	return nil
}

// kindOf is the first byte of a trimmed value: '{', '[', '"', 't', 'f', 'n' or
// a digit or minus sign; 0 for none.
func kindOf(v []byte) byte {
	if len(v) == 0 {
		return 0
	}
	return v[0]
}

func isNull(v []byte) bool { return string(v) == "null" }

// str reads a string value as a copy; invalid UTF-8 is replaced. ok is false
// when v is no string.
func str(v []byte) (s string, ok bool) {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return "", false
	}
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return word(inner), true
	}
	out, err := jsontext.AppendUnquote(make([]byte, 0, len(inner)), v)
	if err != nil && len(out) == 0 {
		return "", false
	}
	return string(out), true
}

// word makes a string; the words of the protocol cost no allocation.
func word(b []byte) string {
	switch string(b) {
	case "":
		return ""
	case "text":
		return "text"
	case "text_delta":
		return "text_delta"
	case "input_json_delta":
		return "input_json_delta"
	case "thinking_delta":
		return "thinking_delta"
	case "signature_delta":
		return "signature_delta"
	case "citations_delta":
		return "citations_delta"
	case "tool_use":
		return "tool_use"
	case "tool_result":
		return "tool_result"
	case "thinking":
		return "thinking"
	case "message":
		return "message"
	case "user":
		return "user"
	case "assistant":
		return "assistant"
	case "end_turn":
		return "end_turn"
	case "max_tokens":
		return "max_tokens"
	}
	return string(b)
}

// text is str without the report: "" for anything that is no string.
func text(v []byte) string {
	s, _ := str(v)
	return s
}

// integer reads a whole number. 5.0 and 1e3 are whole numbers too.
func integer(v []byte) (int64, bool) {
	if k := kindOf(v); k != '-' && (k < '0' || k > '9') {
		return 0, false
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f != float64(int64(f)) || f > 1<<53 || f < -1<<53 {
		return 0, false
	}
	return int64(f), true
}

// count is integer for usage figures: 0 for null and for what is no number.
func count(v []byte) int64 {
	n, _ := integer(v)
	return n
}

// number reads any JSON number.
func number(v []byte) (float64, bool) {
	if k := kindOf(v); k != '-' && (k < '0' || k > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}
