package sse

import "bytes"

// array is how far a growing JSON array has been read. It knows as much of JSON
// as it takes to see where an object ends; whether that is sound is for whoever
// reads the object.
type array struct {
	at    int // everything before it is read; an index of the reader's buffer
	from  int // where the object begins that was read last or is open; likewise
	depth int // open brackets
	outer int // 1 within the array, 0 before it
	begun bool
	done  bool
	// quoted and escaped say that at stands inside a string, and behind a
	// backslash.
	quoted, escaped bool
}

// closed reports whether the array, or the object that stands in its place, is
// whole.
func (a *array) closed() bool { return a.done }

// end gives the index behind the next whole object in b, or behind the bracket
// that closes the array; 0 when there is none yet.
func (a *array) end(b []byte) int {
	for a.at < len(b) {
		if a.quoted {
			if a.escaped {
				a.escaped = false
				a.at++
				continue
			}
			n := bytes.IndexAny(b[a.at:], `"\`)
			if n < 0 {
				a.at = len(b)
				return 0
			}
			a.at += n
			a.quoted, a.escaped = b[a.at] == '\\', b[a.at] == '\\'
			a.at++
			continue
		}
		c := b[a.at]
		a.at++
		switch c {
		case '"':
			a.quoted = true
		case '[', '{':
			if !a.begun {
				a.begun = true
				if c == '[' {
					a.outer, a.depth, a.from = 1, 1, -1
					continue
				}
			}
			if a.depth == a.outer {
				a.from = a.at - 1
			}
			a.depth++
		case ']', '}':
			a.depth--
			switch {
			case a.depth < a.outer: // the array's own
				a.from, a.done = -1, true
				return a.at
			case a.depth == a.outer:
				a.done = a.outer == 0
				return a.at
			}
		}
	}
	return 0
}
