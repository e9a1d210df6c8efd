package rehearsal

import (
	"iter"
	"math/big"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// generate gives a JSON value that satisfies the schema, the same one for the
// same input. It tries plausible candidates and keeps the first one that holds;
// for a schema that nothing satisfies, or that is out of its reach (patterns
// with look-around, not, unevaluated members), it gives its best attempt. An
// empty schema gives an empty object.
func generate(schema jsontext.Value, h hint) jsontext.Value {
	root := parse(schema)
	if root == nil || root.kind != '{' || len(root.names) == 0 {
		return jsontext.Value("{}")
	}
	g := &generator{document: newDocument(root)}
	v, _ := g.value([]*node{root}, h)
	return v.raw
}

type generator struct {
	*document
	size int // bytes made so far
}

// The bounds on what is generated, whatever the schema asks for.
const (
	maxValueDepth = 40
	maxString     = 64 << 10
	maxElements   = 1000
	maxGenerated  = 1 << 20
)

// shape is what several schemas, taken together, ask of one value.
type shape struct {
	never        bool
	types        []string // nil: any
	enum         []*node  // nil: none
	offered      []*node  // default and examples
	names        []string // of props, in order
	props        map[string][]*node
	required     []string
	patternProps []*node // the patternProperties objects
	additional   []*node
	propNames    []*node
	minProps     int
	prefix       [][]*node
	items        []*node
	minItems     int
	maxItems     int
	unique       bool
	contains     []*node
	minContains  int
	low, high    *big.Rat
	above, below bool // low and high themselves are excluded
	multiple     []*big.Rat
	minLen       int
	maxLen       int
	patterns     []string
	format       string
	about        string
	needs        []*node // dependentRequired and dependencies
	groups       [][][]*node
}

func (s *shape) clone() *shape {
	c := *s
	c.types, c.enum, c.offered = slices.Clip(s.types), slices.Clip(s.enum), slices.Clip(s.offered)
	c.names, c.required = slices.Clip(s.names), slices.Clip(s.required)
	c.patternProps, c.additional, c.propNames = slices.Clip(s.patternProps), slices.Clip(s.additional), slices.Clip(s.propNames)
	c.items, c.contains, c.needs = slices.Clip(s.items), slices.Clip(s.contains), slices.Clip(s.needs)
	c.multiple, c.patterns = slices.Clip(s.multiple), slices.Clip(s.patterns)
	c.props = make(map[string][]*node, len(s.props))
	for k, v := range s.props {
		c.props[k] = slices.Clip(v)
	}
	c.prefix = make([][]*node, len(s.prefix))
	for i, v := range s.prefix {
		c.prefix[i] = slices.Clip(v)
	}
	c.groups = slices.Clip(s.groups)
	return &c
}

// absorb adds what the schema n asks.
func (g *generator) absorb(s *shape, n *node, depth int) {
	if n == nil || n.kind == 't' || depth > 64 {
		return
	}
	if n.kind == 'f' {
		s.never = true
		return
	}
	for _, key := range []string{"$ref", "$dynamicRef"} {
		if ref := n.str(key); ref != "" {
			g.absorb(s, g.resolve(ref), depth+1)
		}
	}
	for _, sub := range elements(n, "allOf") {
		g.absorb(s, sub, depth+1)
	}
	g.absorbValue(s, n)
	g.absorbObject(s, n)
	g.absorbArray(s, n)
	for _, key := range []string{"anyOf", "oneOf"} {
		if subs := elements(n, key); len(subs) > 0 {
			var options [][]*node
			for _, null := range []bool{false, true} { // a null branch comes last
				for _, sub := range subs {
					if (sub.str("type") == "null") == null {
						options = append(options, []*node{sub})
					}
				}
			}
			s.groups = append(s.groups, options)
		}
	}
	if cond := n.get("if"); cond != nil {
		s.groups = append(s.groups, [][]*node{{cond, n.get("then")}, {n.get("else")}})
	}
}

func (g *generator) absorbValue(s *shape, n *node) {
	if t := n.get("type"); t != nil {
		var types []string
		if t.kind == '"' {
			types = []string{t.text}
		}
		for _, e := range t.elems {
			types = append(types, e.text)
		}
		s.types = meet(s.types, types)
		s.never = s.never || len(s.types) == 0
	}
	if c := n.get("const"); c != nil {
		s.enum = []*node{c}
	} else if e := elements(n, "enum"); len(e) > 0 && s.enum == nil {
		s.enum = e
	}
	if d := n.get("default"); d != nil {
		s.offered = append(s.offered, d)
	}
	s.offered = append(s.offered, elements(n, "examples")...)
	if f := n.str("format"); f != "" {
		s.format = f
	}
	if s.about == "" {
		s.about = n.str("description")
	}
	if p := n.str("pattern"); p != "" {
		s.patterns = append(s.patterns, p)
	}
	if m, ok := n.count("minLength"); ok {
		s.minLen = max(s.minLen, m)
	}
	if m, ok := n.count("maxLength"); ok && m < s.maxLen {
		s.maxLen = m
	}
	s.raise(n.get("minimum").rat(), isTrue(n, "exclusiveMinimum"))
	s.raise(n.get("exclusiveMinimum").rat(), true)
	s.lower(n.get("maximum").rat(), isTrue(n, "exclusiveMaximum"))
	s.lower(n.get("exclusiveMaximum").rat(), true)
	if m := n.get("multipleOf").rat(); m != nil && m.Sign() > 0 {
		s.multiple = append(s.multiple, m)
	}
}

func (s *shape) raise(r *big.Rat, excluded bool) {
	if r != nil && (s.low == nil || r.Cmp(s.low) > 0 || r.Cmp(s.low) == 0 && excluded) {
		s.low, s.above = r, excluded
	}
}

func (s *shape) lower(r *big.Rat, excluded bool) {
	if r != nil && (s.high == nil || r.Cmp(s.high) < 0 || r.Cmp(s.high) == 0 && excluded) {
		s.high, s.below = r, excluded
	}
}

func (g *generator) absorbObject(s *shape, n *node) {
	if props := n.get("properties"); props != nil {
		for _, name := range props.names {
			if _, ok := s.props[name]; !ok {
				s.names = append(s.names, name)
			}
			s.props[name] = append(s.props[name], props.members[name])
		}
	}
	for _, r := range elements(n, "required") {
		if r.kind == '"' && !slices.Contains(s.required, r.text) {
			s.required = append(s.required, r.text)
		}
	}
	if p := n.get("patternProperties"); p != nil {
		s.patternProps = append(s.patternProps, p)
	}
	if a := n.get("additionalProperties"); a != nil {
		s.additional = append(s.additional, a)
	}
	if p := n.get("propertyNames"); p != nil {
		s.propNames = append(s.propNames, p)
	}
	if m, ok := n.count("minProperties"); ok {
		s.minProps = max(s.minProps, min(m, maxElements))
	}
	for _, key := range []string{"dependentRequired", "dependencies", "dependentSchemas"} {
		if d := n.get(key); d != nil && d.kind == '{' {
			s.needs = append(s.needs, d)
		}
	}
}

func (g *generator) absorbArray(s *shape, n *node) {
	prefix, rest := tuple(n)
	for i, p := range prefix {
		if i == len(s.prefix) {
			s.prefix = append(s.prefix, nil)
		}
		s.prefix[i] = append(s.prefix[i], p)
	}
	if rest != nil {
		s.items = append(s.items, rest)
	}
	if m, ok := n.count("minItems"); ok {
		s.minItems = max(s.minItems, min(m, maxElements))
	}
	if m, ok := n.count("maxItems"); ok {
		s.maxItems = min(s.maxItems, m)
	}
	s.unique = s.unique || isTrue(n, "uniqueItems")
	if c := n.get("contains"); c != nil {
		m, ok := n.count("minContains")
		if !ok {
			m = 1
		}
		s.contains, s.minContains = append(s.contains, c), max(s.minContains, min(m, maxElements))
	}
}

// meet intersects two type lists; integer is a number.
func meet(old, with []string) []string {
	if old == nil {
		return with
	}
	out := []string{}
	for _, a := range old {
		for _, b := range with {
			switch {
			case a == b:
				out = append(out, a)
			case a == "number" && b == "integer", a == "integer" && b == "number":
				out = append(out, "integer")
			}
		}
	}
	return out
}

// value gives a value for the schemas taken together, and whether it holds.
func (g *generator) value(schemas []*node, h hint) (*node, bool) {
	s := &shape{props: map[string][]*node{}, maxLen: maxString, maxItems: maxElements}
	for _, n := range schemas {
		g.absorb(s, n, 0)
	}
	var last *node
	if v := g.choose(s, schemas, h, &last); v != nil {
		return v, true
	}
	if last == nil {
		last = &node{kind: 'n', raw: jsontext.Value("null")}
	}
	return last, false
}

// choose takes one option of each group in turn, and gives the first value
// that satisfies the schemas, or nil; last is the best attempt.
func (g *generator) choose(s *shape, schemas []*node, h hint, last **node) *node {
	if g.steps--; g.steps < 0 {
		return nil
	}
	if len(s.groups) == 0 {
		if s.never {
			return nil
		}
		for v := range g.candidates(s, h) {
			if *last == nil {
				*last = v
			}
			if !slices.ContainsFunc(schemas, func(n *node) bool { return !g.valid(n, v, 0) }) {
				return v
			}
		}
		return nil
	}
	for _, option := range s.groups[0] {
		next := s.clone()
		next.groups = slices.Clone(s.groups[1:])
		for _, n := range option {
			g.absorb(next, n, 0)
		}
		if len(next.groups) > 64 {
			continue
		}
		if v := g.choose(next, schemas, h, last); v != nil {
			return v
		}
	}
	return nil
}

// candidates gives values for a shape without groups, best first.
func (g *generator) candidates(s *shape, h hint) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		if h.depth > maxValueDepth || g.size > maxGenerated {
			yield(&node{kind: 'n', raw: jsontext.Value("null")})
			return
		}
		if s.enum != nil {
			slices.Values(h.rank(s.enum))(yield)
			return
		}
		types := s.types
		if types == nil {
			types = []string{s.likelyType()}
		}
		for _, null := range []bool{false, true} {
			for _, t := range types {
				if (t == "null") != null {
					continue
				}
				for _, v := range g.ofType(t, s, h) {
					g.size += len(v.raw)
					if !yield(v) {
						return
					}
				}
				if t == "object" && g.steps > 0 {
					// Optional members break a oneOf, or an anyOf needs one.
					h.all = !h.all
					if !yield(g.object(s, h)) {
						return
					}
				}
			}
		}
	}
}

func (s *shape) likelyType() string {
	switch {
	case len(s.props) > 0 || len(s.required) > 0 || s.minProps > 0 || s.additional != nil:
		return "object"
	case s.items != nil || s.prefix != nil || s.minItems > 0 || s.contains != nil:
		return "array"
	case s.low != nil || s.high != nil || s.multiple != nil:
		return "number"
	case len(s.offered) > 0:
		switch s.offered[0].kind {
		case '{':
			return "object"
		case '[':
			return "array"
		case '0':
			return "number"
		case 't', 'f':
			return "boolean"
		}
	}
	return "string"
}

func (g *generator) ofType(t string, s *shape, h hint) []*node {
	switch t {
	case "object":
		return []*node{g.object(s, h)}
	case "array":
		return g.array(s, h)
	case "boolean":
		no, yes := &node{kind: 'f', raw: jsontext.Value("false")}, &node{kind: 't', raw: jsontext.Value("true")}
		if len(s.offered) > 0 && s.offered[0].kind == 't' && !h.dangerous() || h.vary%2 == 1 {
			return []*node{yes, no}
		}
		return []*node{no, yes}
	case "null":
		return []*node{{kind: 'n', raw: jsontext.Value("null")}}
	case "integer", "number":
		return g.number(t == "integer", s, h)
	default:
		return g.text(s, h)
	}
}

func (g *generator) object(s *shape, h hint) *node {
	want := slices.Clone(s.required)
	if h.all && h.depth < 6 {
		for _, name := range s.names {
			if !slices.Contains(want, name) {
				want = append(want, name)
			}
		}
	}
	for i := 0; i < len(want) && i < maxElements; i++ { // want grows while it is walked
		for _, d := range s.needs {
			switch need := d.members[want[i]]; {
			case need == nil:
			case need.kind == '[':
				for _, r := range need.elems {
					if !slices.Contains(want, r.text) {
						want = append(want, r.text)
					}
				}
			default:
				more := s.clone()
				g.absorb(more, need, 0)
				for _, r := range more.required {
					if !slices.Contains(want, r) {
						want = append(want, r)
					}
				}
				s = more
			}
		}
	}
	for _, name := range s.names {
		if len(want) >= s.minProps {
			break
		}
		if !slices.Contains(want, name) {
			want = append(want, name)
		}
	}
	for i := 1; len(want) < s.minProps && i <= maxElements; i++ {
		want = append(want, g.extraName(s, h, i))
	}
	// In the schema's own order, then what it does not list.
	ordered := make([]string, 0, len(want))
	for _, name := range s.names {
		if slices.Contains(want, name) {
			ordered = append(ordered, name)
		}
	}
	for _, name := range want {
		if !slices.Contains(ordered, name) {
			ordered = append(ordered, name)
		}
	}
	out := &node{kind: '{', members: map[string]*node{}}
	raw := []byte{'{'}
	for _, name := range ordered {
		schemas, listed := s.props[name]
		schemas = slices.Clone(schemas)
		for _, p := range s.patternProps {
			for _, pattern := range p.names {
				if re := g.pattern(pattern); re != nil && re.MatchString(name) {
					schemas, listed = append(schemas, p.members[pattern]), true
				}
			}
		}
		if !listed {
			schemas = s.additional
		}
		v, ok := g.value(schemas, h.member(name))
		if !ok && !slices.Contains(s.required, name) && len(out.names) >= s.minProps {
			continue
		}
		if len(out.names) > 0 {
			raw = append(raw, ',')
		}
		raw = append(append(append(raw, quote(name)...), ':'), v.raw...)
		out.names = append(out.names, name)
		out.members[name] = v
	}
	out.raw = append(raw, '}')
	return out
}

// extraName gives the i-th name that the schema does not list.
func (g *generator) extraName(s *shape, h hint, i int) string {
	for _, p := range s.patternProps {
		for _, pattern := range p.names {
			if names := fromPattern(pattern, i); len(names) > 0 {
				return names[len(names)-1]
			}
		}
	}
	if len(s.propNames) > 0 {
		k := h.member("name")
		k.vary = i - 1
		if v, ok := g.value(s.propNames, k); ok && v.kind == '"' {
			return v.text
		}
	}
	return "extra" + strconv.Itoa(i)
}

func (g *generator) array(s *shape, h hint) []*node {
	n := max(s.minItems, s.minContains)
	if n == 0 && s.maxItems > 0 && h.depth < 8 {
		n = max(1, len(s.prefix))
		if s.prefix != nil && slices.ContainsFunc(s.items, func(i *node) bool { return i.kind == 'f' }) {
			n = len(s.prefix)
		}
		n = min(n, s.maxItems)
	}
	make := func(n int) *node {
		out := &node{kind: '['}
		raw := []byte{'['}
		for i := range n {
			if g.size > maxGenerated {
				break
			}
			schemas := s.items
			if i < len(s.prefix) {
				schemas = s.prefix[i]
			}
			if i < s.minContains {
				schemas = append(slices.Clip(schemas), s.contains...)
			}
			v, ok := g.value(schemas, h.element(i))
			for k := 0; k < n+8 && s.unique && slices.ContainsFunc(out.elems, func(e *node) bool { return equal(e, v) }); k++ {
				other := h.element(0)
				other.vary = k
				v, ok = g.value(schemas, other)
			}
			if !ok && i >= s.minItems && i >= s.minContains {
				break // a cyclic or impossible element
			}
			if i > 0 {
				raw = append(raw, ',')
			}
			raw = append(raw, v.raw...)
			out.elems = append(out.elems, v)
		}
		out.raw = append(raw, ']')
		return out
	}
	out := []*node{make(n)}
	if s.minItems == 0 && len(out[0].elems) > 0 {
		out = append(out, &node{kind: '[', raw: jsontext.Value("[]")})
	}
	return out
}

func (g *generator) number(whole bool, s *shape, h hint) []*node {
	step := big.NewRat(1, 1)
	if len(s.multiple) > 0 {
		step = s.multiple[0]
		for _, m := range s.multiple[1:] {
			step = commonMultiple(step, m)
		}
		if whole {
			step = commonMultiple(step, big.NewRat(1, 1))
		}
	}
	// The grid of multiples of step, from the smallest that is allowed.
	on := func(r *big.Rat) *big.Rat { // the first multiple at or above r
		q := new(big.Rat).Quo(r, step)
		n := new(big.Int).Div(q.Num(), q.Denom())
		if !q.IsInt() {
			n.Add(n, big.NewInt(1))
		}
		return new(big.Rat).Mul(new(big.Rat).SetInt(n), step)
	}
	var try []*big.Rat
	for _, o := range s.offered {
		if r := o.rat(); r != nil && h.vary == 0 {
			try = append(try, r)
		}
	}
	vary := new(big.Rat).Mul(step, big.NewRat(int64(h.vary), 1))
	first := on(big.NewRat(1, 1))
	try = append(try, new(big.Rat).Add(first, vary))
	if s.low != nil {
		low := on(s.low)
		if s.above && low.Cmp(s.low) == 0 {
			low = new(big.Rat).Add(low, step)
		}
		try = append(try, new(big.Rat).Add(low, vary), low)
	}
	if s.high != nil {
		high := on(s.high)
		if high.Cmp(s.high) > 0 || s.below && high.Cmp(s.high) == 0 {
			high = new(big.Rat).Sub(high, step)
		}
		try = append(try, new(big.Rat).Sub(high, vary), high)
	}
	if !whole && len(s.multiple) == 0 && s.low != nil && s.high != nil {
		mid := new(big.Rat).Add(s.low, s.high)
		try = append(try, mid.Quo(mid, big.NewRat(2, 1)))
	}
	try = append(try, new(big.Rat))
	var out []*node
	for _, r := range try {
		if s.low != nil && (r.Cmp(s.low) < 0 || s.above && r.Cmp(s.low) == 0) ||
			s.high != nil && (r.Cmp(s.high) > 0 || s.below && r.Cmp(s.high) == 0) || whole && !r.IsInt() {
			continue
		}
		raw := decimal(r)
		out = append(out, &node{kind: '0', raw: jsontext.Value(raw)})
	}
	if len(out) == 0 {
		out = append(out, &node{kind: '0', raw: jsontext.Value("1")})
	}
	return out
}

// decimal writes a number without an exponent, rounded to 20 places if it has
// no end.
func decimal(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	digits, exact := r.FloatPrec()
	if !exact || digits > 20 {
		digits = 20
	}
	return strings.TrimRight(strings.TrimRight(r.FloatString(digits), "0"), ".")
}

// commonMultiple gives the least common multiple of two positive rationals.
func commonMultiple(a, b *big.Rat) *big.Rat {
	// lcm(p/q, r/s) = lcm(p*s, r*q) / (q*s)
	x := new(big.Int).Mul(a.Num(), b.Denom())
	y := new(big.Int).Mul(b.Num(), a.Denom())
	gcd := new(big.Int).GCD(nil, nil, x, y)
	x.Div(x, gcd).Mul(x, y)
	return new(big.Rat).SetFrac(x, new(big.Int).Mul(a.Denom(), b.Denom()))
}

func (g *generator) text(s *shape, h hint) []*node {
	var try []string
	command := h.command(s.about)
	if command {
		try = append(try, "true")
	}
	var offered []string
	if !command && !h.path() { // a default may well be a command or a path that matters
		for _, o := range s.offered {
			if o.kind == '"' && o.text != "" {
				offered = append(offered, o.text)
			}
		}
	}
	if h.vary == 0 {
		try, offered = append(try, offered...), nil
	}
	if f, ok := formats[s.format]; ok && !command {
		if h.vary > 0 {
			try = append(try, f.again(h.vary))
		}
		try = append(try, f.value)
	} else if !command {
		try = append(try, h.words(s.about, s.minLen, s.maxLen))
	}
	for _, p := range s.patterns {
		for extra := range 5 {
			try = append(try, fromPattern(p, extra+h.vary)...)
		}
		for _, extra := range []int{8, 16, 32, 64, s.minLen, s.maxLen} {
			if extra <= 4096 {
				try = append(try, fromPattern(p, extra)...)
			}
		}
	}
	try = append(try, offered...)
	out := make([]*node, 0, len(try))
	for _, t := range try {
		if n := utf8.RuneCountInString(t); (n < s.minLen || n > s.maxLen) && s.format == "" {
			t = fit(t, s.minLen, s.maxLen)
		}
		if !slices.ContainsFunc(out, func(o *node) bool { return o.text == t }) {
			out = append(out, stringNode(t))
		}
	}
	return out
}

// fit cuts or pads, in characters, with spaces: they leave a command as it is.
func fit(t string, low, high int) string {
	r := []rune(t)
	low = min(low, maxString)
	if len(r) > high {
		r = r[:high]
	}
	for len(r) < low {
		r = append(r, ' ')
	}
	return string(r)
}

// fromPattern gives texts that match an ECMA pattern, as far as Go can read
// it; every repetition without a bound is made extra times more than it must.
// Nil when the pattern cannot be read.
func fromPattern(pattern string, extra int) []string {
	re, err := syntax.Parse(goPattern(pattern), syntax.Perl)
	if err != nil || len(pattern) > 4096 {
		return nil
	}
	var b strings.Builder
	fromRegexp(&b, re, extra)
	if b.Len() > maxString {
		return nil
	}
	return []string{b.String()}
}

func fromRegexp(b *strings.Builder, re *syntax.Regexp, extra int) {
	if b.Len() > maxString {
		return
	}
	times := func(n int) {
		for range n {
			fromRegexp(b, re.Sub[0], 0)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		b.WriteRune(oneOf(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpCapture:
		fromRegexp(b, re.Sub[0], extra)
	case syntax.OpStar:
		times(extra)
	case syntax.OpPlus:
		times(1 + extra)
	case syntax.OpQuest:
		times(min(extra, 1))
	case syntax.OpRepeat:
		n := re.Min + extra
		if re.Max >= 0 {
			n = min(n, re.Max)
		}
		times(n)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			fromRegexp(b, sub, extra)
		}
	case syntax.OpAlternate:
		fromRegexp(b, re.Sub[0], extra)
	}
}

// oneOf picks a readable character of a class.
func oneOf(ranges []rune) rune {
	for _, want := range []rune{'a', 'A', '1', '0', '-', '_', ' '} {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := max(ranges[i], 0x21); r <= ranges[i+1] && r < ranges[i]+128; r++ {
			if utf8.ValidRune(r) && r != 0x7f {
				return r
			}
		}
	}
	if len(ranges) > 0 {
		return ranges[0]
	}
	return 'a'
}
