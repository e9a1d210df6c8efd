package ollama

import (
	"bytes"
	"iter"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// The walkers below read JSON text that has been validated as a whole once
// (valid, or span.Members); they find values without decoding them, so that
// what is carried is carried byte for byte. On text that is not valid they
// stop early and never panic.

// valid reports whether raw is one JSON value. Providers are read leniently:
// a doubled name (the last one wins, as in most parsers) or broken UTF-8 in an
// answer is no reason to lose it.
func valid(raw []byte) bool {
	return jsontext.Value(raw).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString gives the end of the string that begins at i.
func skipString(b []byte, i int) int {
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

// skip gives the end of the value that begins at i.
func skip(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; i < len(b); {
			switch b[i] {
			case '"':
				i = skipString(b, i)
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

// members walks the members of an object: the unescaped name, valid until the
// next step, and the value. It yields nothing for any other value.
func members(raw []byte) iter.Seq2[[]byte, jsontext.Value] {
	return func(yield func([]byte, jsontext.Value) bool) {
		i := space(raw, 0)
		if i >= len(raw) || raw[i] != '{' {
			return
		}
		for i = space(raw, i+1); i < len(raw) && raw[i] == '"'; {
			end := skipString(raw, i)
			if end-i < 2 {
				return
			}
			name := raw[i+1 : end-1]
			if bytes.IndexByte(name, '\\') >= 0 {
				name, _ = jsontext.AppendUnquote(nil, raw[i:end]) // validated: no error, or replaced bytes
			}
			i = space(raw, end)
			if i >= len(raw) || raw[i] != ':' {
				return
			}
			i = space(raw, i+1)
			end = skip(raw, i)
			if end <= i {
				return
			}
			if !yield(name, jsontext.Value(raw[i:end:end])) {
				return
			}
			i = space(raw, end)
			if i >= len(raw) || raw[i] != ',' {
				return
			}
			i = space(raw, i+1)
		}
	}
}

// elements walks the elements of an array.
func elements(raw []byte) iter.Seq2[int, jsontext.Value] {
	return func(yield func(int, jsontext.Value) bool) {
		i := space(raw, 0)
		if i >= len(raw) || raw[i] != '[' {
			return
		}
		i = space(raw, i+1)
		for n := 0; i < len(raw) && raw[i] != ']'; n++ {
			end := skip(raw, i)
			if end <= i || !yield(n, jsontext.Value(raw[i:end:end])) {
				return
			}
			i = space(raw, end)
			if i >= len(raw) || raw[i] != ',' {
				return
			}
			i = space(raw, i+1)
		}
	}
}

// member gives the value of a member, or nil.
func member(raw []byte, name string) jsontext.Value {
	var found jsontext.Value
	for k, v := range members(raw) {
		if string(k) == name {
			found = v
		}
	}
	return found
}

func kind(v []byte) byte {
	if i := space(v, 0); i < len(v) {
		return v[i]
	}
	return 0
}

func isString(v []byte) bool { return kind(v) == '"' }
func isObject(v []byte) bool { return kind(v) == '{' }
func isArray(v []byte) bool  { return kind(v) == '[' }
func isNumber(v []byte) bool { k := kind(v); return k == '-' || k >= '0' && k <= '9' }

// isNull also holds for a member that is not there.
func isNull(v []byte) bool { k := kind(v); return k == 0 || k == 'n' }

// text gives the value of a string, or "" for anything else.
func text(v []byte) string {
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

// integer reads a whole number, also one spelled 12.0 or 1e3.
func integer(v []byte) (int64, bool) {
	if !isNumber(v) {
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

func count(v []byte) int64 {
	n, _ := integer(v)
	return max(n, 0)
}

func number(v []byte) (float64, bool) {
	if !isNumber(v) {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// quote appends s as a JSON string. Broken UTF-8 becomes U+FFFD, which is all
// that JSON can hold; that is the only error AppendQuote has.
func quote[T ~[]byte | ~string](dst []byte, s T) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// object writes the members of one JSON object, commas included.
type object struct {
	b     []byte
	comma bool
}

func open(dst []byte) object { return object{b: append(dst, '{')} }

func (o *object) name(n string) {
	if o.comma {
		o.b = append(o.b, ',')
	}
	o.comma = true
	o.b = quote(o.b, n)
	o.b = append(o.b, ':')
}

func (o *object) raw(n string, v []byte) { o.name(n); o.b = append(o.b, v...) }

func (o *object) str(n, v string) { o.name(n); o.b = quote(o.b, v) }

func (o *object) int(n string, v int64) { o.name(n); o.b = strconv.AppendInt(o.b, v, 10) }

func (o *object) bool(n string, v bool) { o.name(n); o.b = strconv.AppendBool(o.b, v) }

func (o *object) close() []byte { return append(o.b, '}') }
