package span

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner is the quick scan: it takes the JSON texts of which it is sure and
// gives up on all others (broken ones, escapes in names, objects of very many
// members, odd head names), which the careful scan then decides. What it takes
// the careful scan takes too, with the same members: FuzzMembers holds it to
// that.
type scanner struct {
	b []byte
	// names of the objects that are open, the outermost first.
	names []seen
}

// seen is a name in an open object: a print of it, to compare first, and
// where it stands.
type seen struct {
	print    uint64
	from, to int
}

// maxNames bounds the names that are compared one with another.
const maxNames = 64

// quick does what Members does for the texts that it takes.
func quick(dst []Member, body []byte, heads []string) ([]Member, bool) {
	s := scanners.Get().(*scanner)
	s.b = body
	all, ok := s.top(dst, heads)
	s.release()
	return all, ok
}

func (s *scanner) top(dst []Member, heads []string) ([]Member, bool) {
	b := s.b
	i := skip(b, 0)
	if i >= len(b) || b[i] != '{' {
		return dst, false
	}
	i = skip(b, i+1)
	if i < len(b) && b[i] == '}' {
		return dst, skip(b, i+1) == len(b)
	}
	for {
		key := i
		if i = s.name(i, 0); i < 0 {
			return dst, false
		}
		m := Member{Key: Span{key, i}, Name: name(b[key:i])}
		if oddCase(&m, heads) != nil {
			return dst, false
		}
		if i = skip(b, i); i >= len(b) || b[i] != ':' {
			return dst, false
		}
		m.Value.From = skip(b, i+1)
		if i = s.value(m.Value.From, 1); i < 0 {
			return dst, false
		}
		m.Value.To = i
		dst = append(dst, m)
		if i = skip(b, i); i >= len(b) {
			return dst, false
		}
		switch b[i] {
		case ',':
			i = skip(b, i+1)
		case '}':
			return dst, skip(b, i+1) == len(b)
		default:
			return dst, false
		}
	}
}

// value takes the value at i inside depth objects and arrays, and gives the
// offset behind it, or -1.
func (s *scanner) value(i, depth int) int {
	b := s.b
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		end, _ := text(b, i)
		return end
	case '{':
		return s.object(i, depth+1)
	case '[':
		return s.array(i, depth+1)
	case 't':
		return literal(b, i, "true")
	case 'f':
		return literal(b, i, "false")
	case 'n':
		return literal(b, i, "null")
	default:
		return number(b, i)
	}
}

func (s *scanner) object(i, depth int) int {
	b := s.b
	if depth > MaxDepth {
		return -1
	}
	base := len(s.names)
	i = skip(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i = s.name(i, base); i < 0 {
			return -1
		}
		if i = skip(b, i); i >= len(b) || b[i] != ':' {
			return -1
		}
		if i = s.value(skip(b, i+1), depth); i < 0 {
			return -1
		}
		if i = skip(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ',':
			i = skip(b, i+1)
		case '}':
			s.names = s.names[:base]
			return i + 1
		default:
			return -1
		}
	}
}

func (s *scanner) array(i, depth int) int {
	b := s.b
	if depth > MaxDepth {
		return -1
	}
	i = skip(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, depth); i < 0 {
			return -1
		}
		if i = skip(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ',':
			i = skip(b, i+1)
		case ']':
			return i + 1
		default:
			return -1
		}
	}
}

// name takes the member name at i, which must not stand among those from base
// on, and gives the offset behind it, or -1.
func (s *scanner) name(i, base int) int {
	b := s.b
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	end, escaped := text(b, i)
	if end < 0 || escaped {
		return -1
	}
	n := seen{fingerprint(b[i+1 : end-1]), i + 1, end - 1}
	open := s.names[base:]
	if len(open) == maxNames {
		return -1
	}
	for k := range open {
		if open[k].print == n.print && string(b[open[k].from:open[k].to]) == string(b[n.from:n.to]) {
			return -1
		}
	}
	s.names = append(s.names, n)
	return end
}

// fingerprint mixes the length with the first and last eight bytes.
func fingerprint(b []byte) uint64 {
	if n := len(b); n >= 8 {
		return binary.LittleEndian.Uint64(b) + bits.RotateLeft64(binary.LittleEndian.Uint64(b[n-8:]), 23) + uint64(n)
	}
	var p uint64
	for _, c := range b {
		p = p<<8 | uint64(c)
	}
	return p<<8 | uint64(len(b))
}

// skip gives the offset of the first byte from i on that is no white space.
func skip(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func literal(b []byte, i int, want string) int {
	if end := i + len(want); end <= len(b) && string(b[i:end]) == want {
		return end
	}
	return -1
}

// number takes the number at i and gives the offset behind it, or -1.
func number(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b):
		return -1
	case b[i] == '0':
		i++
	default:
		if i = digits(b, i); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if i = digits(b, i); i < 0 {
			return -1
		}
	}
	return i
}

// digits takes one digit or more.
func digits(b []byte, i int) int {
	from := i
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks (with its high bit) the first byte of x, in memory order, that
// is a quote, a backslash or a control character; bytes behind it may be
// marked wrongly. A quote is 0x22: with the second bit turned it stands right
// behind the control characters, and one comparison finds both.
func special(x uint64) uint64 {
	slash := x ^ '\\'*ones
	return ((x^2*ones-0x21*ones)&^x | (slash-ones)&^slash) & highs
}

// short is how much of a string is looked at word by word before it is taken
// for a long one.
const short = 64

// text takes the string at i, quote and all, and gives the offset behind it,
// or -1, and whether it has escapes. Behind short plain bytes it searches for
// the end with the CPU's wide instructions, of which bytes.IndexByte knows.
func text(b []byte, i int) (end int, escaped bool) {
	from := i
	i++
	var high uint64 // has a high bit when the string may go beyond ASCII
	quote := 0      // where the next quote is, once looked for
	for long := i + short; ; long = i + short {
		for i < long {
			if i+8 > len(b) {
				if i >= len(b) {
					return -1, escaped
				}
				c := b[i]
				high |= uint64(c)
				if c != '"' && c != '\\' && c >= ' ' {
					i++
					continue
				}
				break
			}
			x := binary.LittleEndian.Uint64(b[i:])
			high |= x
			if m := special(x); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= long {
			if quote < i {
				n := bytes.IndexByte(b[i:], '"')
				if n < 0 {
					return -1, escaped
				}
				quote = i + n
			}
			run := b[i:quote]
			if n := bytes.IndexByte(run, '\\'); n >= 0 {
				run = run[:n]
			}
			more, ok := printable(run)
			if !ok {
				return -1, escaped
			}
			high |= more
			i += len(run)
		}
		switch b[i] {
		case '"':
			if high&highs != 0 && !utf8.Valid(b[from:i]) {
				return -1, escaped
			}
			return i + 1, escaped
		case '\\':
			escaped = true
			if i = escape(b, i); i < 0 {
				return -1, escaped
			}
		default: // a control character
			return -1, escaped
		}
	}
}

// printable reports that there is no control character in b, and gives a high
// bit if b may go beyond ASCII.
func printable(b []byte) (high uint64, ok bool) {
	var odd uint64 // has a high bit for control characters and beyond ASCII
	rest := b
	for ; len(rest) >= 32; rest = rest[32:] {
		x0, x1 := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
		x2, x3 := binary.LittleEndian.Uint64(rest[16:]), binary.LittleEndian.Uint64(rest[24:])
		odd |= (x0 - ' '*ones) | x0 | (x1 - ' '*ones) | x1 | (x2 - ' '*ones) | x2 | (x3 - ' '*ones) | x3
	}
	for ; len(rest) >= 8; rest = rest[8:] {
		x := binary.LittleEndian.Uint64(rest)
		odd |= (x - ' '*ones) | x
	}
	for _, c := range rest {
		odd |= uint64(c-' ') | uint64(c)
	}
	if odd&highs == 0 {
		return 0, true
	}
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		if (x-' '*ones)&^x&highs != 0 {
			return highs, false
		}
	}
	for _, c := range b {
		if c < ' ' {
			return highs, false
		}
	}
	return highs, true
}

// escape takes the escape sequence at i and gives the offset behind it, or -1.
func escape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case 'n', '"', '\\', 't', '/', 'r', 'b', 'f':
		return i + 2
	case 'u':
	default:
		return -1
	}
	switch v := hex4(b, i); {
	case v < 0 || 0xdc00 <= v && v < 0xe000:
		return -1
	case 0xd800 <= v && v < 0xdc00:
		if low := hex4(b, i+6); low < 0xdc00 || low >= 0xe000 {
			return -1
		}
		return i + 12
	default:
		return i + 6
	}
}

// hex4 reads the number of the escape \uXXXX at i, or gives -1.
func hex4(b []byte, i int) (v int) {
	if i+6 > len(b) || b[i] != '\\' || b[i+1] != 'u' {
		return -1
	}
	for _, c := range b[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		v = v<<4 | int(c)
	}
	return v
}
