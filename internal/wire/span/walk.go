package span

import (
	"bytes"
	"iter"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// The walkers below read JSON text that has been validated as a whole once
// (Valid, or Members); they find values without decoding them, so that
// what is carried is carried byte for byte. On text that is not valid they
// stop early and never panic.

// Valid reports whether raw is one JSON value. Providers are read leniently:
// a doubled name (the last one wins, as in most parsers) or broken UTF-8 in an
// answer is no reason to lose it.
func Valid(raw []byte) bool {
	return jsontext.Value(raw).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// SkipSpace gives the place of the first byte from i on that is no white space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// SkipString gives the end of the string that begins at i.
func SkipString(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n
		k := i
		for b[k-1] == '\\' {
			k--
		}
		i++
		if (i-k)%2 == 1 {
			return i
		}
	}
	return len(b)
}

// Skip gives the end of the value that begins at i.
func Skip(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return SkipString(b, i)
	case '{', '[':
		for depth := 0; i < len(b); {
			switch b[i] {
			case '"':
				i = SkipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return len(b)
	}
	for i < len(b) {
		switch b[i] {
		case ',', ']', '}', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

// Fields walks the members of an object: the unescaped name, valid until the
// next step, and the value. It yields nothing for any other value.
func Fields(raw []byte) iter.Seq2[[]byte, jsontext.Value] {
	return func(yield func([]byte, jsontext.Value) bool) {
		i := SkipSpace(raw, 0)
		if i >= len(raw) || raw[i] != '{' {
			return
		}
		for i = SkipSpace(raw, i+1); i < len(raw) && raw[i] == '"'; {
			end := SkipString(raw, i)
			if end-i < 2 {
				return
			}
			name := raw[i+1 : end-1]
			if bytes.IndexByte(name, '\\') >= 0 {
				name, _ = jsontext.AppendUnquote(nil, raw[i:end]) // validated: no error, or replaced bytes
			}
			i = SkipSpace(raw, end)
			if i >= len(raw) || raw[i] != ':' {
				return
			}
			i = SkipSpace(raw, i+1)
			end = Skip(raw, i)
			if end <= i {
				return
			}
			if !yield(name, jsontext.Value(raw[i:end:end])) {
				return
			}
			i = SkipSpace(raw, end)
			if i >= len(raw) || raw[i] != ',' {
				return
			}
			i = SkipSpace(raw, i+1)
		}
	}
}

// Places appends the members of an object; offset is where raw begins in the
// body that the places are to count in.
func Places(dst []Member, raw []byte, offset int) []Member {
	i := SkipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return dst
	}
	for i = SkipSpace(raw, i+1); i < len(raw) && raw[i] == '"'; {
		end := SkipString(raw, i)
		colon := SkipSpace(raw, end)
		if end-i < 2 || colon >= len(raw) || raw[colon] != ':' {
			break
		}
		from := SkipSpace(raw, colon+1)
		to := Skip(raw, from)
		if to <= from {
			break
		}
		dst = append(dst, Member{Name: name(raw[i:end]), Key: Span{offset + i, offset + end}, Value: Span{offset + from, offset + to}})
		if i = SkipSpace(raw, to); i >= len(raw) || raw[i] != ',' {
			break
		}
		i = SkipSpace(raw, i+1)
	}
	return dst
}

// Elements walks the elements of an array.
func Elements(raw []byte) iter.Seq2[int, jsontext.Value] {
	return func(yield func(int, jsontext.Value) bool) {
		i := SkipSpace(raw, 0)
		if i >= len(raw) || raw[i] != '[' {
			return
		}
		i = SkipSpace(raw, i+1)
		for n := 0; i < len(raw) && raw[i] != ']'; n++ {
			end := Skip(raw, i)
			if end <= i || !yield(n, jsontext.Value(raw[i:end:end])) {
				return
			}
			i = SkipSpace(raw, end)
			if i >= len(raw) || raw[i] != ',' {
				return
			}
			i = SkipSpace(raw, i+1)
		}
	}
}

// Field gives the value of a member, or nil.
func Field(raw []byte, name string) jsontext.Value {
	var found jsontext.Value
	for k, v := range Fields(raw) {
		if string(k) == name {
			found = v
		}
	}
	return found
}

// At follows names into nested objects; nil when one is missing.
func At(raw []byte, names ...string) jsontext.Value {
	v := jsontext.Value(raw)
	for _, n := range names {
		if v = Field(v, n); v == nil {
			return nil
		}
	}
	return v
}

// Kind gives the first byte of the value, or 0 when there is none.
func Kind(v []byte) byte {
	if i := SkipSpace(v, 0); i < len(v) {
		return v[i]
	}
	return 0
}

// IsString reports a string.
func IsString(v []byte) bool { return Kind(v) == '"' }

// IsObject reports an object.
func IsObject(v []byte) bool { return Kind(v) == '{' }

// IsArray reports an array.
func IsArray(v []byte) bool { return Kind(v) == '[' }

// IsNumber reports a number.
func IsNumber(v []byte) bool { k := Kind(v); return k == '-' || k >= '0' && k <= '9' }

// IsNull also holds for a member that is not there.
func IsNull(v []byte) bool { k := Kind(v); return k == 0 || k == 'n' }

// Text gives the value of a string, or "" for anything else.
func Text(v []byte) string {
	if len(v) < 2 || v[0] != '"' {
		return ""
	}
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	b, _ := jsontext.AppendUnquote(nil, v) // validated: no error, or replaced bytes
	return string(b)
}

// Word is text for a string, the literal itself for a number: error codes
// come as both.
func Word(v []byte) string {
	if IsNumber(v) {
		return string(v)
	}
	return Text(v)
}

// Integer reads a whole number, also one spelled 12.0 or 1e3.
func Integer(v []byte) (int64, bool) {
	if !IsNumber(v) {
		return 0, false
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// Count is Integer for what cannot be negative; 0 for anything else.
func Count(v []byte) int64 {
	n, _ := Integer(v)
	return max(n, 0)
}

// Number reads any number.
func Number(v []byte) (float64, bool) {
	if !IsNumber(v) {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// Quote appends s as a JSON string. Broken UTF-8 becomes U+FFFD, which is all
// that JSON can hold.
func Quote[T ~[]byte | ~string](dst []byte, s T) []byte {
	return append(Escape(append(dst, '"'), s), '"')
}

// Object writes the members of one JSON object, commas included.
type Object struct {
	// B is what has been written, with whatever stood before it.
	B    []byte
	some bool
}

// Open begins an object behind dst.
func Open(dst []byte) Object { return Object{B: append(dst, '{')} }

// Resume goes on with an object that has members already and is not closed.
func Resume(dst []byte) Object { return Object{B: dst, some: true} }

// Name writes a name; its value is the caller's to append to B.
func (o *Object) Name(n string) {
	if o.some {
		o.B = append(o.B, ',')
	}
	o.some = true
	o.B = Quote(o.B, n)
	o.B = append(o.B, ':')
}

// Raw writes a member whose value is JSON already.
func (o *Object) Raw(n string, v []byte) { o.Name(n); o.B = append(o.B, v...) }

// Str writes a member that is a string.
func (o *Object) Str(n, v string) { o.Name(n); o.B = Quote(o.B, v) }

// Int writes a member that is a whole number.
func (o *Object) Int(n string, v int64) { o.Name(n); o.B = strconv.AppendInt(o.B, v, 10) }

// Bool writes a member that is true or false.
func (o *Object) Bool(n string, v bool) { o.Name(n); o.B = strconv.AppendBool(o.B, v) }

// Some reports whether a member was written.
func (o *Object) Some() bool { return o.some }

// Close ends the object and gives all bytes.
func (o *Object) Close() []byte { return append(o.B, '}') }

// Blank reports an empty object, array or string.
func Blank(v []byte) bool {
	switch Kind(v) {
	case '{', '[':
		k := Kind(v[1:])
		return k == '}' || k == ']'
	case '"':
		return len(v) == 2
	}
	return false
}

// AppendFlat appends a JSON text on one line, as a stream's data line wants it:
// a line break in JSON can only stand between tokens, where a space does.
func AppendFlat(dst, raw []byte) []byte {
	from := len(dst)
	dst = append(dst, raw...)
	for i := from; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}
