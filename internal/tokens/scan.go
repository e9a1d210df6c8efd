package tokens

import "bytes"

// counts are what an estimate is made of. They are found by looking at bytes,
// never by decoding JSON.
type counts struct {
	// words are runs of ASCII letters; long is the number of letters beyond the
	// fifth of an average word.
	words, long int64
	// digits are groups of about three digits.
	digits int64
	// punct are ASCII characters of prose and code, marks those that JSON is
	// built of (quotes, braces, brackets, colons), breaks line breaks and runs of
	// white space.
	punct, marks, breaks int64
	// wide are Chinese, Japanese and Korean characters, other the rest beyond
	// ASCII, escaped those written \uXXXX.
	wide, other, escaped int64
	// roles are members named "role", which are messages; tools is 1 when there
	// is a member "tools".
	roles, tools int64
	// pictures and documents are tokens of media, opaque is the length of other
	// base64 in bytes.
	pictures, documents, opaque int64
}

// class is what kind of byte a byte is.
type class uint8

const (
	letter  class = iota
	control       // n, r and t: letters, and line breaks after a backslash
	unicode       // u: a letter, and a character by number after a backslash
	digit
	space
	feed   // other white space
	punct  // what prose and code is made of
	mark   // what JSON is built of
	escape // a backslash
	cont   // continuation of a rune
	lead   // first byte of a rune beyond ASCII
	wide   // first byte of a rune of the CJK kind
	double // first byte of a rune of four
	kinds  = 16
)

var classes = func() (t [256]class) {
	for c := range t {
		k := punct
		switch {
		case c == 'n' || c == 'r' || c == 't':
			k = control
		case c == 'u':
			k = unicode
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			k = letter
		case c >= '0' && c <= '9':
			k = digit
		case c == ' ':
			k = space
		case c == '\n' || c == '\r' || c == '\t':
			k = feed
		case c == '\\':
			k = escape
		case c == '"' || c == '{' || c == '}' || c == '[' || c == ']' || c == ':':
			k = mark
		case c >= 0x80 && c < 0xC0:
			k = cont
		case c >= 0xE3 && c <= 0xED:
			k = wide // U+3000 to U+DFFF: kana, Han, Hangul
		case c >= 0xF0:
			k = double
		case c >= 0xC0:
			k = lead
		}
		t[c] = k
	}
	return t
}()

// pairs counts which class of byte follows which. Two tables take turns, since
// runs of letters would otherwise wait for one counter.
type pairs [2][kinds * kinds]int32

// text counts the classes of a run of JSON text. Nothing in it branches on the
// text, which would cost more than all else, and no byte waits for the one
// before it.
func (p *pairs) text(b []byte) {
	last := mark
	for len(b) >= 2 {
		c, d := classes[b[0]], classes[b[1]]
		p[0][last&15<<4|c&15]++
		p[1][c&15<<4|d&15]++
		last = d
		b = b[2:]
	}
	if len(b) > 0 {
		p[0][last&15<<4|classes[b[0]]&15]++
	}
}

// into adds what the pairs say to the counts. A letter after a backslash begins
// a word here though it is none; the weight of a break makes up for it.
func (p *pairs) into(n *counts) {
	at := func(from, to class) int64 {
		return int64(p[0][from<<4|to]) + int64(p[1][from<<4|to])
	}
	var total, runs [kinds]int64
	for from := range class(kinds) {
		for to := range class(kinds) {
			v := at(from, to)
			total[to] += v
			if from != to && !(from <= unicode && to <= unicode) {
				runs[to] += v
			}
		}
	}
	letters := total[letter] + total[control] + total[unicode]
	words := runs[letter] + runs[control] + runs[unicode]
	n.words += words
	n.long += max(letters-5*words, 0)
	n.digits += runs[digit] + (total[digit]-runs[digit])/3
	n.punct += total[punct]
	n.marks += total[mark]
	n.breaks += at(escape, control) + runs[feed] + (total[space]-runs[space])/8
	n.wide += total[wide]
	n.other += total[lead] + 2*total[double]
	n.escaped += at(escape, unicode)
}

// text counts a run of JSON text.
func (n *counts) text(b []byte) {
	var p pairs
	n.add(&p, b)
	p.into(n)
}

func (n *counts) add(p *pairs, b []byte) {
	p.text(b)
	n.roles += int64(bytes.Count(b, []byte(`"role"`)))
	if n.tools == 0 && bytes.Contains(b, []byte(`"tools"`)) {
		n.tools = 1
	}
}

const (
	// probe is how far apart a body is looked at for base64; a run shorter than
	// it may be taken for text.
	probe = 512
	// window is how many base64 characters in a row make a run.
	window = 64
	// sampled is how much of a body's text is looked at; of a longer one, blocks
	// of this many bytes at even distances.
	sampled = 16 << 10
	block   = 256
)

// base64ish says which bytes base64 is made of, both alphabets.
var base64ish = func() (t [256]bool) {
	for c := range t {
		t[c] = classes[c] <= digit || c == '+' || c == '/' || c == '-' || c == '_'
	}
	return t
}()

// cut counts the runs of base64 in a request body, looking for them at even
// distances, and gives what is left, which is text, appended to text, with its
// size.
func (n *counts) cut(text [][]byte, b []byte, f *weights, probe int) (_ [][]byte, size int) {
	from := 0
	for i := probe; i < len(b); i += probe {
		if w := b[i:min(i+window, len(b))]; !allBase64(w) || !mixed(w) {
			continue
		}
		start := i
		for start > from && base64ish[b[start-1]] {
			start--
		}
		end := len(b)
		if q := bytes.IndexByte(b[i:], '"'); q >= 0 {
			end = i + q
		}
		for end > i && b[end-1] == '=' {
			end--
		}
		// A long word of another kind (a path, a run of dashes) ends within.
		for e := i; e < end; e += probe {
			if !allBase64(b[e:min(e+window, end)]) {
				end = e
			}
		}
		if end-start < probe {
			continue
		}
		text = append(text, b[from:start])
		size += start - from
		n.media(b[max(from, start-160):start], b[start:end], f)
		from = end
		i = end
	}
	return append(text, b[from:]), size + len(b) - from
}

// body counts a whole request body.
func (n *counts) body(b []byte, f *weights) {
	var room [16][]byte
	text, size := n.cut(room[:0], b, f, probe)
	var p pairs
	if size <= sampled {
		for _, t := range text {
			n.add(&p, t)
		}
		p.into(n)
		return
	}
	// Even blocks over the whole text.
	var s counts
	seen := 0
	every := size / (sampled / block)
	skip := 0
	for _, t := range text {
		for skip < len(t) {
			e := min(skip+block, len(t))
			s.add(&p, t[skip:e])
			seen += e - skip
			skip += every
		}
		skip -= len(t)
	}
	if seen == 0 {
		return
	}
	p.into(&s)
	n.scale(&s, float64(size)/float64(seen))
}

func (n *counts) scale(s *counts, by float64) {
	for _, f := range []struct {
		to   *int64
		from int64
	}{
		{&n.words, s.words}, {&n.long, s.long}, {&n.digits, s.digits}, {&n.punct, s.punct}, {&n.marks, s.marks},
		{&n.breaks, s.breaks}, {&n.wide, s.wide}, {&n.other, s.other}, {&n.escaped, s.escaped}, {&n.roles, s.roles},
	} {
		*f.to += int64(float64(f.from) * by)
	}
	n.tools |= s.tools
}

func allBase64(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for _, c := range b {
		if !base64ish[c] {
			return false
		}
	}
	return true
}

// mixed reports whether base64 holds what 64 characters of it nearly always
// do: letters of both cases and a digit. A row of dashes or a long word does not.
func mixed(b []byte) bool {
	var upper, lower, digits bool
	for _, c := range b {
		upper = upper || c >= 'A' && c <= 'Z'
		lower = lower || c >= 'a' && c <= 'z'
		digits = digits || c >= '0' && c <= '9'
	}
	return upper && lower && digits
}
