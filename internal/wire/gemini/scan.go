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

// The readers below walk raw JSON without building anything: bodies are
// validated once, then each level is read from its own bytes. They are safe on
// any input (they stop with bad set), but they do not validate.

// skipSpace returns the offset of the first byte from i that is no white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the offset behind the string that opens at i, or -1.
func skipString(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		k := i
		for k > 0 && b[k-1] == '\\' {
			k--
		}
		i++
		if (i-1-k)%2 == 0 {
			return i
		}
	}
	return -1
}

// skipValue returns the offset behind the value that begins at i, or -1.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				if i = skipString(b, i); i < 0 {
					return -1
				}
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return -1
	}
	from := i
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\r', '\t', ':', '"':
			if i == from {
				return -1
			}
			return i
		}
		i++
	}
	return i
}

// object reads the members of one JSON object in order.
type object struct {
	b   []byte
	i   int
	bad bool
	// name, val and their places belong to the member that next found. name
	// is unescaped; val is raw, without white space around it.
	name     []byte
	val      jsontext.Value
	key      span.Span
	valFrom  int
	finished bool
}

// objectOf starts at the first byte of b that is no white space.
func objectOf(b []byte) object {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return object{b: b, bad: true, finished: true}
	}
	return object{b: b, i: i + 1}
}

// next finds the next member.
func (o *object) next() bool {
	if o.finished {
		return false
	}
	b := o.b
	i := skipSpace(b, o.i)
	if i < len(b) && b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	if i >= len(b) {
		return o.stop(true)
	}
	if b[i] == '}' {
		o.i = i + 1
		return o.stop(false)
	}
	if b[i] != '"' {
		return o.stop(true)
	}
	end := skipString(b, i)
	if end < 0 {
		return o.stop(true)
	}
	o.key = span.Span{From: i, To: end}
	o.name = b[i+1 : end-1]
	if bytes.IndexByte(o.name, '\\') >= 0 {
		if name, err := jsontext.AppendUnquote(nil, b[i:end]); err == nil {
			o.name = name
		}
	}
	i = skipSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return o.stop(true)
	}
	i = skipSpace(b, i+1)
	end = skipValue(b, i)
	if end < 0 {
		return o.stop(true)
	}
	o.valFrom, o.i = i, end
	o.val = jsontext.Value(b[i:end:end])
	return true
}

func (o *object) stop(bad bool) bool {
	o.finished = true
	o.bad = o.bad || bad
	return false
}

// get returns the raw value of one member, in either spelling; nil when it is
// not there.
func get(b []byte, name string) jsontext.Value {
	for o := objectOf(b); o.next(); {
		if string(o.name) == name || bytes.IndexByte(o.name, '_') >= 0 && canon(o.name) == name {
			return o.val
		}
	}
	return nil
}

// array reads the elements of one JSON array in order.
type array struct {
	b        []byte
	i        int
	bad      bool
	val      jsontext.Value
	from     int
	finished bool
	single   bool
}

// manyOf is arrayOf for members that Google takes as one object too.
func manyOf(b []byte) array {
	if kindOf(b) == '{' {
		return array{b: b, single: true}
	}
	return arrayOf(b)
}

func arrayOf(b []byte) array {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return array{b: b, bad: true, finished: true}
	}
	return array{b: b, i: i + 1}
}

func (a *array) next() bool {
	if a.single {
		a.single, a.finished = false, true
		a.val = jsontext.Value(a.b)
		return true
	}
	if a.finished {
		return false
	}
	b := a.b
	i := skipSpace(b, a.i)
	if i < len(b) && b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	if i >= len(b) || b[i] == ']' {
		a.finished = true
		a.bad = i >= len(b)
		return false
	}
	end := skipValue(b, i)
	if end < 0 {
		a.finished, a.bad = true, true
		return false
	}
	a.from, a.i = i, end
	a.val = jsontext.Value(b[i:end:end])
	return true
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
