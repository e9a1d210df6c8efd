package rehearsal

import (
	"bytes"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// node is a parsed JSON value that keeps its bytes and the order of names.
type node struct {
	kind    jsontext.Kind
	raw     jsontext.Value
	text    string // of a string, unquoted
	names   []string
	members map[string]*node
	elems   []*node
}

// maxSchema is the largest schema that is read; a larger one counts as {}.
const maxSchema = 4 << 20

// parse reads one JSON value; nil when raw is empty, broken or too large.
func parse(raw jsontext.Value) *node {
	if len(raw) == 0 || len(raw) > maxSchema {
		return nil
	}
	n, err := readNode(jsontext.NewDecoder(bytes.NewBuffer(raw)), raw, 0)
	if err != nil {
		return nil
	}
	return n
}

func readNode(dec *jsontext.Decoder, src []byte, depth int) (*node, error) {
	n := &node{kind: dec.PeekKind()}
	switch n.kind {
	case '{', '[':
		if depth > 200 {
			return nil, jsontext.ErrDuplicateName // any error: nothing of ours nests so deep
		}
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		from := dec.InputOffset() - 1
		if n.kind == '{' {
			n.members = map[string]*node{}
		}
		for dec.PeekKind() != '}' && dec.PeekKind() != ']' {
			name := ""
			if n.kind == '{' {
				tok, err := dec.ReadToken()
				if err != nil {
					return nil, err
				}
				name = tok.String()
			}
			v, err := readNode(dec, src, depth+1)
			if err != nil {
				return nil, err
			}
			if n.kind == '{' {
				n.names = append(n.names, name)
				n.members[name] = v
			} else {
				n.elems = append(n.elems, v)
			}
		}
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		n.raw = src[from:dec.InputOffset()]
	default:
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		n.raw = raw.Clone()
		if n.kind == '"' {
			text, err := jsontext.AppendUnquote(nil, raw)
			if err != nil {
				return nil, err
			}
			n.text = string(text)
		}
	}
	return n, nil
}

// get returns the named member, or nil.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	return n.members[name]
}

// str returns the named member's text, or "".
func (n *node) str(name string) string {
	if m := n.get(name); m != nil {
		return m.text
	}
	return ""
}

// count returns the named member as a whole number within [0, 1<<20].
func (n *node) count(name string) (int, bool) {
	m := n.get(name)
	if m == nil || m.kind != '0' {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(m.raw), 64)
	if err != nil || f < 0 {
		return 0, false
	}
	return int(min(f, 1<<20)), true
}

// rat returns a number exactly; nil for no number or one with a giant exponent.
func (n *node) rat() *big.Rat {
	if n == nil || n.kind != '0' || len(n.raw) > 400 {
		return nil
	}
	if i := bytes.IndexAny(n.raw, "eE"); i >= 0 {
		if e, err := strconv.Atoi(string(n.raw[i+1:])); err != nil || e > 400 || e < -400 {
			return nil
		}
	}
	r, ok := new(big.Rat).SetString(string(n.raw))
	if !ok {
		return nil
	}
	return r
}

// equal reports whether two values are the same JSON.
func equal(a, b *node) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case '"':
		return a.text == b.text
	case '0':
		x, y := a.rat(), b.rat()
		return x != nil && y != nil && x.Cmp(y) == 0
	case '[':
		return slices.EqualFunc(a.elems, b.elems, equal)
	case '{':
		if len(a.names) != len(b.names) {
			return false
		}
		for _, name := range a.names {
			if b.members[name] == nil || !equal(a.members[name], b.members[name]) {
				return false
			}
		}
	}
	return true
}

// document is a schema with everything that its references may point at.
type document struct {
	root    *node
	anchors map[string]*node
	// steps bounds the work on one schema, which may be built to explode.
	steps   int
	regexps map[string]*regexp.Regexp
}

func newDocument(root *node) *document {
	d := &document{root: root, anchors: map[string]*node{}, steps: 50_000, regexps: map[string]*regexp.Regexp{}}
	d.index(root)
	return d
}

func (d *document) index(n *node) {
	for _, key := range []string{"$anchor", "$dynamicAnchor"} {
		if a := n.str(key); a != "" {
			d.anchors["#"+a] = n
		}
	}
	for _, key := range []string{"$id", "id"} {
		if id := n.str(key); id != "" {
			d.anchors[id] = n
		}
	}
	for _, name := range n.names {
		d.index(n.members[name])
	}
	for _, e := range n.elems {
		d.index(e)
	}
}

// resolve follows a reference inside the document; nil when it leads nowhere.
func (d *document) resolve(ref string) *node {
	if n := d.anchors[ref]; n != nil {
		return n
	}
	base, fragment, _ := strings.Cut(ref, "#")
	at := d.root
	if base != "" {
		if at = d.anchors[base]; at == nil {
			return nil
		}
	}
	if fragment == "" {
		return at
	}
	if !strings.HasPrefix(fragment, "/") {
		return d.anchors["#"+fragment]
	}
	for part := range strings.SplitSeq(fragment[1:], "/") {
		if un, err := url.PathUnescape(part); err == nil {
			part = un
		}
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		switch at.kind {
		case '{':
			at = at.members[part]
		case '[':
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(at.elems) {
				return nil
			}
			at = at.elems[i]
		default:
			return nil
		}
		if at == nil {
			return nil
		}
	}
	return at
}

// unicodeEscape finds ECMA escapes that Go spells otherwise.
var unicodeEscape = regexp.MustCompile(`\\u([0-9a-fA-F]{4})`)

func goPattern(p string) string { return unicodeEscape.ReplaceAllString(p, `\x{$1}`) }

// pattern compiles an ECMA pattern; nil when Go cannot read it (look-around).
func (d *document) pattern(p string) *regexp.Regexp {
	re, ok := d.regexps[p]
	if !ok {
		if len(p) <= 4096 {
			re, _ = regexp.Compile(goPattern(p)) // nil says that it cannot be checked
		}
		d.regexps[p] = re
	}
	return re
}

// valid reports whether v satisfies the schema s, as far as this small checker
// knows JSON Schema 2020-12 and draft-07: it exists to choose among generated
// candidates. Formats, unevaluated members and patterns that Go cannot compile
// are not checked.
func (d *document) valid(s, v *node, depth int) bool {
	if d.steps--; d.steps < 0 || depth > 64 {
		return true
	}
	switch {
	case s == nil || s.kind == 't':
		return true
	case s.kind == 'f':
		return false
	case s.kind != '{':
		return true
	}
	for _, key := range []string{"$ref", "$dynamicRef"} {
		if ref := s.str(key); ref != "" {
			if to := d.resolve(ref); to != nil && !d.valid(to, v, depth+1) {
				return false
			}
		}
	}
	if t := s.get("type"); t != nil && !hasType(t, v) {
		return false
	}
	if c := s.get("const"); c != nil && !equal(c, v) {
		return false
	}
	if e := s.get("enum"); e != nil && e.kind == '[' && !slices.ContainsFunc(e.elems, func(x *node) bool { return equal(x, v) }) {
		return false
	}
	return d.validOf(s, v, depth) && d.validKind(s, v, depth)
}

// validOf checks the keywords that combine schemas.
func (d *document) validOf(s, v *node, depth int) bool {
	for _, sub := range elements(s, "allOf") {
		if !d.valid(sub, v, depth+1) {
			return false
		}
	}
	if subs := elements(s, "anyOf"); len(subs) > 0 && d.matches(subs, v, depth) == 0 {
		return false
	}
	if subs := elements(s, "oneOf"); len(subs) > 0 && d.matches(subs, v, depth) != 1 {
		return false
	}
	if not := s.get("not"); not != nil && d.valid(not, v, depth+1) {
		return false
	}
	if cond := s.get("if"); cond != nil {
		next := "else"
		if d.valid(cond, v, depth+1) {
			next = "then"
		}
		if !d.valid(s.get(next), v, depth+1) {
			return false
		}
	}
	return true
}

func (d *document) matches(subs []*node, v *node, depth int) int {
	n := 0
	for _, sub := range subs {
		if d.valid(sub, v, depth+1) {
			n++
		}
	}
	return n
}

// validKind checks the keywords that belong to one kind of value.
func (d *document) validKind(s, v *node, depth int) bool {
	switch v.kind {
	case '"':
		n := utf8.RuneCountInString(v.text)
		if m, ok := s.count("minLength"); ok && n < m {
			return false
		}
		if m, ok := s.count("maxLength"); ok && n > m {
			return false
		}
		if p := s.str("pattern"); p != "" {
			if re := d.pattern(p); re != nil && !re.MatchString(v.text) {
				return false
			}
		}
	case '0':
		x := v.rat()
		if x == nil {
			return true
		}
		low, high, multiple := s.get("minimum").rat(), s.get("maximum").rat(), s.get("multipleOf").rat()
		if low != nil && (x.Cmp(low) < 0 || isTrue(s, "exclusiveMinimum") && x.Cmp(low) == 0) {
			return false
		}
		if high != nil && (x.Cmp(high) > 0 || isTrue(s, "exclusiveMaximum") && x.Cmp(high) == 0) {
			return false
		}
		if low = s.get("exclusiveMinimum").rat(); low != nil && x.Cmp(low) <= 0 {
			return false
		}
		if high = s.get("exclusiveMaximum").rat(); high != nil && x.Cmp(high) >= 0 {
			return false
		}
		if multiple != nil && multiple.Sign() > 0 && !new(big.Rat).Quo(x, multiple).IsInt() {
			return false
		}
	case '[':
		return d.validArray(s, v, depth)
	case '{':
		return d.validObject(s, v, depth)
	}
	return true
}

func (d *document) validArray(s, v *node, depth int) bool {
	if m, ok := s.count("minItems"); ok && len(v.elems) < m {
		return false
	}
	if m, ok := s.count("maxItems"); ok && len(v.elems) > m {
		return false
	}
	if isTrue(s, "uniqueItems") {
		for i := range v.elems {
			if d.steps--; d.steps < 0 {
				return true
			}
			for _, later := range v.elems[i+1:] {
				if equal(v.elems[i], later) {
					return false
				}
			}
		}
	}
	prefix, rest := tuple(s)
	for i, e := range v.elems {
		sub := rest
		if i < len(prefix) {
			sub = prefix[i]
		}
		if !d.valid(sub, e, depth+1) {
			return false
		}
	}
	if c := s.get("contains"); c != nil {
		low, ok := s.count("minContains")
		if !ok {
			low = 1
		}
		n := 0
		for _, e := range v.elems {
			if d.valid(c, e, depth+1) {
				n++
			}
		}
		if high, ok := s.count("maxContains"); n < low || ok && n > high {
			return false
		}
	}
	return true
}

func (d *document) validObject(s, v *node, depth int) bool {
	if m, ok := s.count("minProperties"); ok && len(v.names) < m {
		return false
	}
	if m, ok := s.count("maxProperties"); ok && len(v.names) > m {
		return false
	}
	for _, r := range elements(s, "required") {
		if v.members[r.text] == nil {
			return false
		}
	}
	props, patterns := s.get("properties"), s.get("patternProperties")
	for _, name := range v.names {
		value, known := v.members[name], false
		if p := props.get(name); p != nil {
			known = true
			if !d.valid(p, value, depth+1) {
				return false
			}
		}
		if patterns != nil {
			for _, p := range patterns.names {
				if re := d.pattern(p); re != nil && re.MatchString(name) {
					known = true
					if !d.valid(patterns.members[p], value, depth+1) {
						return false
					}
				}
			}
		}
		if !known && !d.valid(s.get("additionalProperties"), value, depth+1) {
			return false
		}
		if pn := s.get("propertyNames"); pn != nil && !d.valid(pn, stringNode(name), depth+1) {
			return false
		}
	}
	for _, key := range []string{"dependentRequired", "dependencies", "dependentSchemas"} {
		deps := s.get(key)
		if deps == nil {
			continue
		}
		for _, name := range deps.names {
			if v.members[name] == nil {
				continue
			}
			need := deps.members[name]
			if need.kind != '[' {
				if !d.valid(need, v, depth+1) {
					return false
				}
				continue
			}
			for _, r := range need.elems {
				if v.members[r.text] == nil {
					return false
				}
			}
		}
	}
	return true
}

// elements returns the elements of a member that is an array.
func elements(s *node, name string) []*node {
	if m := s.get(name); m != nil && m.kind == '[' {
		return m.elems
	}
	return nil
}

func isTrue(s *node, name string) bool {
	m := s.get(name)
	return m != nil && m.kind == 't'
}

// tuple gives the schemas of the first elements and that of the rest, in the
// words of 2020-12 (prefixItems, items) or draft-07 (items, additionalItems).
func tuple(s *node) (prefix []*node, rest *node) {
	if items := s.get("items"); items != nil {
		if items.kind == '[' {
			return items.elems, s.get("additionalItems")
		}
		rest = items
	}
	return elements(s, "prefixItems"), rest
}

func hasType(t, v *node) bool {
	if t.kind == '[' {
		return slices.ContainsFunc(t.elems, func(e *node) bool { return hasType(e, v) })
	}
	switch t.text {
	case "object":
		return v.kind == '{'
	case "array":
		return v.kind == '['
	case "string":
		return v.kind == '"'
	case "boolean":
		return v.kind == 't' || v.kind == 'f'
	case "null":
		return v.kind == 'n'
	case "number":
		return v.kind == '0'
	case "integer":
		x := v.rat()
		return x != nil && x.IsInt()
	}
	return true
}

// quote gives a JSON string; text that is no UTF-8 is mended.
func quote(s string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		b, _ = jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD")) // valid now
	}
	return b
}

func stringNode(s string) *node { return &node{kind: '"', raw: quote(s), text: s} }
