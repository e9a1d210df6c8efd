package learn

import (
	"math/bits"
	"unicode/utf8"

	"headrace/internal/llm"
)

// Key is a task: what requests of one kind have in common. It is a hash; the
// text cannot be had from it. Keys of different scopes differ, so that what one
// tenant's prompts taught does not speak for another's.
type Key uint64

// hasher makes keys that are the same in every process: they are stored.
type hasher uint64

const (
	keyBasis hasher = 14695981039346656037
	keyPrime hasher = 1099511628211
)

func (h hasher) byte(b byte) hasher { return (h ^ hasher(b)) * keyPrime }

func (h hasher) string(s string) hasher {
	for i := range len(s) {
		h = h.byte(s[i])
	}
	return h.byte(0)
}

func (h hasher) number(n uint64) hasher {
	for range 8 {
		h = h.byte(byte(n))
		n >>= 8
	}
	return h
}

// key spreads the hash; FNV's low bits alone are weak.
func (h hasher) key() Key {
	x := uint64(h)
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	return Key(x)
}

// Scope is whose tasks they are: those of another one have other keys.
type Scope uint64

// ScopeOf makes a scope of what tells the owners of tasks apart, such as the
// virtual key and the route.
func ScopeOf(of ...string) Scope {
	h := keyBasis
	for _, s := range of {
		h = h.string(s)
	}
	return Scope(h)
}

// TaskOf is Scope.Task of a scope with one name.
func TaskOf(scope, named string, r *llm.Request) Key { return ScopeOf(scope).Task(named, r) }

// Task gives the task of a request: the one that the client names, or else
// the skeleton of its instructions, the names of its tools and the schema of
// its answer, of which at most the first MostText bytes each are read. A
// request that has none of these is known by its shape alone: script, code,
// length.
func (scope Scope) Task(named string, r *llm.Request) Key {
	h := hasher(scope)
	if named != "" {
		return h.byte(1).string(named).key()
	}
	left, any := MostText, false
	for i := range r.Items {
		it := &r.Items[i]
		if it.Role != llm.System && it.Role != llm.Developer || it.Kind != llm.ItemMessage {
			continue
		}
		for j := range it.Blocks {
			text := it.Blocks[j].Text
			if len(text) > left {
				text = text[:left]
			}
			left -= len(text)
			h, any = h.skeleton(text), any || text != ""
		}
	}
	h = h.byte(2)
	// Clients give tools in any order: their hashes are added up.
	var tools hasher
	for i := range r.Tools {
		tools += keyBasis.string(r.Tools[i].Name).byte(7)
	}
	if len(r.Tools) > 0 {
		h, any = h.number(uint64(tools)), true
	}
	if s := r.Format.Schema; len(s) > 0 {
		h, any = h.byte(3).string(string(s[:min(len(s), MostText)])), true
	} else if r.Format.Kind == llm.FormatJSONObject {
		h, any = h.byte(4), true
	}
	if !any {
		h = h.byte(5).byte(shape(Prompt(r)))
	}
	return h.key()
}

// skeleton takes in a text without what differs from call to call: digits,
// case, and how much white space there is.
func (h hasher) skeleton(s string) hasher {
	gap := true
	for i := range len(s) {
		b := s[i]
		switch class[b] {
		case digit:
			if i > 0 && class[s[i-1]] == digit {
				continue
			}
			b = '0'
		case space:
			if gap {
				continue
			}
			b = ' '
		case upper:
			b |= 0x20
		}
		gap = b == ' '
		h = h.byte(b)
	}
	return h
}

// Prompt is the text that a request is judged by: of its last user message the
// first MostText bytes. It is a part of the request, or of a copy where the
// message has several texts.
func Prompt(r *llm.Request) string {
	for i := len(r.Items) - 1; i >= 0; i-- {
		it := &r.Items[i]
		if it.Kind != llm.ItemMessage || it.Role != llm.User {
			continue
		}
		// What comes first, an image's caption say, has less to say than the rest.
		text := ""
		for j := range it.Blocks {
			if it.Blocks[j].Kind == llm.BlockText && len(it.Blocks[j].Text) > len(text) {
				text = it.Blocks[j].Text
			}
		}
		if text != "" {
			return text[:min(len(text), MostText)]
		}
	}
	return ""
}

// shape is a coarse kind of text: two bits of script, one of code, three of
// length.
func shape(s string) byte {
	var han, high, braces int
	for i := 0; i < len(s); {
		if b := s[i]; b < 0x80 {
			if b == '{' || b == ';' || b == '=' {
				braces++
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r >= 0x3000 && r < 0xa000 || r >= 0xac00 && r < 0xd800 {
			han += n
		} else {
			high += n
		}
		i += n
	}
	var k byte
	switch {
	case han*4 > len(s):
		k = 1
	case high*4 > len(s):
		k = 2
	}
	if braces*40 > len(s) {
		k |= 4
	}
	return k | byte(min(max(bits.Len(uint(len(s)))-4, 0), 7))<<3
}

// After is the task of a request after an attempt at it: what is known then
// depends on who answered and on what the checks said. Evidence is the
// caller's own small number, such as Failed or Agreed.
func (k Key) After(rung int, evidence Evidence) Key {
	return (keyBasis.number(uint64(k)).byte(6).number(uint64(rung)).number(uint64(evidence))).key()
}

// Evidence is what is known of an answer. The values up to 15 are these; more
// are the caller's.
type Evidence uint32

// The evidence of the checks.
const (
	// Unchecked: nothing is known.
	Unchecked Evidence = iota
	// Passed and Failed are the free checks: schema, tool arguments, cut, empty.
	Passed
	Failed
	// Agreed and Differed say whether a second opinion gave the same answer.
	Agreed
	Differed
)
