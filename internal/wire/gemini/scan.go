package gemini

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// get returns the raw value of one member, in either spelling; nil when it is
// not there.
func get(b []byte, name string) jsontext.Value {
	for o := span.ReadObject(b); o.Next(); {
		if string(o.Name) == name || bytes.IndexByte(o.Name, '_') >= 0 && canon(o.Name) == name {
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
	case "thought":
		return "thought"
	case "thoughtSignature":
		return "thoughtSignature"
	case "functionCall":
		return "functionCall"
	case "functionResponse":
		return "functionResponse"
	case "name":
		return "name"
	case "args":
		return "args"
	case "id":
		return "id"
	case "parts":
		return "parts"
	case "role":
		return "role"
	case "model":
		return "model"
	case "user":
		return "user"
	case "content":
		return "content"
	case "contents":
		return "contents"
	case "candidates":
		return "candidates"
	case "index":
		return "index"
	case "finishReason":
		return "finishReason"
	case "usageMetadata":
		return "usageMetadata"
	case "promptFeedback":
		return "promptFeedback"
	case "modelVersion":
		return "modelVersion"
	case "responseId":
		return "responseId"
	case "createTime":
		return "createTime"
	case "safetyRatings":
		return "safetyRatings"
	case "promptTokenCount":
		return "promptTokenCount"
	case "candidatesTokenCount":
		return "candidatesTokenCount"
	case "totalTokenCount":
		return "totalTokenCount"
	case "thoughtsTokenCount":
		return "thoughtsTokenCount"
	case "cachedContentTokenCount":
		return "cachedContentTokenCount"
	case "toolUsePromptTokenCount":
		return "toolUsePromptTokenCount"
	case "promptTokensDetails":
		return "promptTokensDetails"
	case "candidatesTokensDetails":
		return "candidatesTokensDetails"
	case "STOP":
		return "STOP"
	}
	return string(b)
}

// canon gives a member's name in its camelCase form: JSON for Google's
// protocol buffers may be spelled in snake_case too. It is for objects whose
// members the protocol names, never for arguments and schemas.
func canon(b []byte) string {
	if bytes.IndexByte(b, '_') < 0 {
		return word(b)
	}
	out := make([]byte, 0, len(b))
	up := false
	for _, c := range b {
		if c == '_' {
			up = len(out) > 0
			continue
		}
		if up && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		out = append(out, c)
	}
	return word(out)
}

// text is str without the report: "" for anything that is no string.
func text(v []byte) string {
	s, _ := str(v)
	return s
}

// integer reads a whole number. 5.0 and 1e3 are whole numbers too, and so are
// quoted ones, which Google's JSON takes and, for 64 bits, writes.
func integer(v []byte) (int64, bool) {
	if len(v) > 2 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
	}
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

// comma appends a comma unless an object or array has just been opened.
func comma(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] != '{' && b[n-1] != '[' {
		return append(b, ',')
	}
	return b
}

// key appends the name of a member of ours, with the comma before it.
func key(b []byte, name string) []byte {
	b = append(comma(b), '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

// member appends a member whose name may need escapes.
func member(b []byte, m *llm.Member) []byte {
	b = append(span.Quote(comma(b), m.Name), ':')
	return append(b, m.Value...)
}

// flat appends a JSON text on one line, as a stream's data line wants it: a
// line break in JSON can only stand between tokens, where a space does.
func flat(dst, raw []byte) []byte {
	from := len(dst)
	dst = append(dst, raw...)
	for i := from; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}

// validJSON reports whether b is one JSON value. Doubled names are the
// model's own business.
func validJSON(b []byte) bool {
	return jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true))
}

// readable is validJSON for what a provider sent: a lone surrogate or a broken
// rune costs that character, not the answer.
func readable(b []byte) bool {
	return jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// trim takes the white space off both ends.
func trim(b []byte) []byte { return bytes.Trim(b, " \t\r\n") }

// hash makes a short name of a long one, always the same.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}
