package span

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// The readers below walk raw JSON of one level without building anything: a
// body is validated once, then each level is read from its own bytes. They are
// safe on any input (they stop with Bad set), but they do not validate.

// endOfString returns the offset behind the string that opens at i, or -1.
func endOfString(b []byte, i int) int {
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

// endOfValue returns the offset behind the value that begins at i, or -1.
func endOfValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return endOfString(b, i)
	case '{', '[':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				if i = endOfString(b, i); i < 0 {
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

// ObjectReader reads the members of one JSON object in order.
type ObjectReader struct {
	// Name, Val and their places belong to the member that Next found. Name is
	// unescaped; Val is raw, without white space around it, and begins at From.
	// Key is where the name stands, with its quotes.
	Name []byte
	Val  jsontext.Value
	Key  Span
	From int
	// Bad says that the object does not end as it must.
	Bad bool

	b        []byte
	i        int
	finished bool
}

// ReadObject starts at the first byte of b that is no white space.
func ReadObject(b []byte) ObjectReader {
	i := SkipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return ObjectReader{b: b, Bad: true, finished: true}
	}
	return ObjectReader{b: b, i: i + 1}
}

// Next finds the next member.
func (o *ObjectReader) Next() bool {
	if o.finished {
		return false
	}
	b := o.b
	i := SkipSpace(b, o.i)
	if i < len(b) && b[i] == ',' {
		i = SkipSpace(b, i+1)
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
	end := endOfString(b, i)
	if end < 0 {
		return o.stop(true)
	}
	o.Key = Span{From: i, To: end}
	o.Name = b[i+1 : end-1]
	if bytes.IndexByte(o.Name, '\\') >= 0 {
		if name, err := jsontext.AppendUnquote(nil, b[i:end]); err == nil {
			o.Name = name
		}
	}
	i = SkipSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return o.stop(true)
	}
	i = SkipSpace(b, i+1)
	end = endOfValue(b, i)
	if end < 0 {
		return o.stop(true)
	}
	o.From, o.i = i, end
	o.Val = jsontext.Value(b[i:end:end])
	return true
}

// Quoted is the name as it is spelled, with its quotes.
func (o *ObjectReader) Quoted() []byte { return o.b[o.Key.From:o.Key.To] }

func (o *ObjectReader) stop(bad bool) bool {
	o.finished = true
	o.Bad = o.Bad || bad
	return false
}

// ArrayReader reads the elements of one JSON array in order.
type ArrayReader struct {
	// Val is the element that Next found, raw; it begins at From.
	Val  jsontext.Value
	From int
	// Bad says that the array does not end as it must.
	Bad bool

	b        []byte
	i        int
	finished bool
	single   bool
}

// ReadMany is ReadArray for members that may be one object alone.
func ReadMany(b []byte) ArrayReader {
	if Kind(b) == '{' {
		return ArrayReader{b: b, single: true}
	}
	return ReadArray(b)
}

// ReadArray starts at the first byte of b that is no white space.
func ReadArray(b []byte) ArrayReader {
	i := SkipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return ArrayReader{b: b, Bad: true, finished: true}
	}
	return ArrayReader{b: b, i: i + 1}
}

// Single says that the element to come is an object alone.
func (a *ArrayReader) Single() bool { return a.single }

// Next finds the next element.
func (a *ArrayReader) Next() bool {
	if a.single {
		a.single, a.finished = false, true
		a.Val = jsontext.Value(a.b)
		return true
	}
	if a.finished {
		return false
	}
	b := a.b
	i := SkipSpace(b, a.i)
	if i < len(b) && b[i] == ',' {
		i = SkipSpace(b, i+1)
	}
	if i >= len(b) || b[i] == ']' {
		a.finished = true
		a.Bad = i >= len(b)
		return false
	}
	end := endOfValue(b, i)
	if end < 0 {
		a.finished, a.Bad = true, true
		return false
	}
	a.From, a.i = i, end
	a.Val = jsontext.Value(b[i:end:end])
	return true
}
