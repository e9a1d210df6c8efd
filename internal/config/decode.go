package config

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"headrace/internal/llm"
)

// decoder fills the struct from the parsed file. It walks the syntax tree
// itself because the YAML library's own decoder gives up at the first error,
// knows no path, forgets the place inside a custom type and cannot say where
// a value came from.
type decoder struct {
	config  *Config
	getenv  func(string) string
	dir     string
	anchors map[string]ast.Node
	// open are the anchors being expanded, against an alias inside itself.
	open  []string
	nodes int
	errs  Errors
}

// maxNodes bounds what aliases can unfold to.
const maxNodes = 100_000

func (d *decoder) fail(line, column int, path, format string, args ...any) {
	d.errs = append(d.errs, d.config.errorAt(line, column, path, fmt.Sprintf(format, args...)))
}

func (d *decoder) failNode(n ast.Node, path, format string, args ...any) {
	p := at(n)
	d.fail(p.Line, p.Column, path, format, args...)
}

// at is where a node begins. A mapping's own token is the colon of its first
// entry, so its first key is asked instead.
func at(n ast.Node) *token.Position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken().Position
		}
		return n.Start.Position
	case *ast.MappingValueNode:
		return n.Key.GetToken().Position
	}
	return n.GetToken().Position
}

// root decodes the document. No body means an empty file.
func (d *decoder) root(n ast.Node) {
	if n == nil {
		return
	}
	if _, ok := n.(*ast.NullNode); ok {
		return
	}
	d.anchors = map[string]ast.Node{}
	for found := range anchorsIn(n) {
		d.anchors[found.Name.GetToken().Value] = found.Value
	}
	d.value(n, reflect.ValueOf(d.config).Elem(), "", "")
}

// anchorsIn gives every anchor under a node.
func anchorsIn(n ast.Node) func(yield func(*ast.AnchorNode) bool) {
	return func(yield func(*ast.AnchorNode) bool) {
		for _, a := range ast.Filter(ast.AnchorType, n) {
			if !yield(a.(*ast.AnchorNode)) {
				return
			}
		}
	}
}

// plain takes anchors and aliases off a node; nil when that is not possible,
// which has been told then. done ends the expansion of an alias.
func (d *decoder) plain(n ast.Node, path string) (_ ast.Node, done func()) {
	opened := 0
	done = func() { d.open = d.open[:len(d.open)-opened] }
	for {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			name := v.Value.GetToken().Value
			target, ok := d.anchors[name]
			switch {
			case !ok:
				d.failNode(v, path, "unknown alias *%s", name)
				return nil, done
			case slices.Contains(d.open, name):
				d.failNode(v, path, "the alias *%s holds itself", name)
				return nil, done
			}
			d.open = append(d.open, name)
			opened++
			n = target
		case *ast.TagNode:
			d.failNode(v, path, "tags such as %s are not taken", v.GetToken().Value)
			return nil, done
		default:
			return n, done
		}
	}
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// value decodes one node into v. The tag holds the rules of the field that v
// belongs to.
func (d *decoder) value(n ast.Node, v reflect.Value, path string, tag reflect.StructTag) {
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.failNode(n, path, "the aliases of this file unfold to more than %d values", maxNodes)
		}
		return
	}
	written := at(n)
	n, done := d.plain(n, path)
	defer done()
	if n == nil {
		return
	}
	if path != "" {
		if _, ok := d.config.loaded.origins[path]; !ok {
			d.config.loaded.origins[path] = Origin{From: "file", Name: d.config.loaded.file, Line: written.Line, Column: written.Column}
		}
	}
	if _, ok := n.(*ast.NullNode); ok {
		// A key with nothing after it: "providers:" while a person is still
		// writing. It means what leaving it out means.
		delete(d.config.loaded.origins, path)
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if _, list := n.(*ast.SequenceNode); list && v.Type() == reflect.TypeFor[Route]() {
		v = v.FieldByName("Targets") // the short form
	}
	switch {
	case reflect.PointerTo(v.Type()).Implements(textUnmarshaler):
		d.scalar(n, v, path, tag)
		return
	case v.Kind() == reflect.Struct, v.Kind() == reflect.Map:
		entries, ok := d.entries(n, path)
		if !ok {
			return
		}
		if v.Kind() == reflect.Map {
			d.mapping(entries, v, path, tag)
		} else {
			d.structure(entries, v, path)
		}
	case v.Kind() == reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.failNode(n, path, "want a list, got %s", describe(n))
			return
		}
		list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, item := range seq.Values {
			if item == nil {
				item = seq
			}
			if _, null := item.(*ast.NullNode); null {
				d.failNode(item, join(path, strconv.Itoa(i)), "the list has an empty entry")
				continue
			}
			d.value(item, list.Index(i), join(path, strconv.Itoa(i)), tag)
		}
		v.Set(list)
	default:
		d.scalar(n, v, path, tag)
	}
}

// entry is one key of a mapping with its value, merges unfolded.
type entry struct {
	name       string
	key, value ast.Node
}

// entries lists a mapping's keys in order; "<<" entries come in for keys that
// are not there themselves.
func (d *decoder) entries(n ast.Node, path string) ([]entry, bool) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		d.failNode(n, path, "want keys with values, got %s", describe(n))
		return nil, false
	}
	var own, merged []entry
	for _, p := range pairs {
		if _, merge := p.Key.(*ast.MergeKeyNode); merge {
			from, done := d.plain(p.Value, path)
			if from != nil {
				more, _ := d.entries(from, path)
				merged = append(merged, more...)
			}
			done()
			continue
		}
		name := p.Key.GetToken().Value
		if s, ok := p.Key.(*ast.StringNode); ok {
			name = s.Value
		}
		own = append(own, entry{name, p.Key, p.Value})
	}
	for _, m := range merged {
		if !slices.ContainsFunc(own, func(o entry) bool { return o.name == m.name }) {
			own = append(own, m)
		}
	}
	return own, true
}

// fields lists the members of a struct that have a name in the file.
func fields(t reflect.Type) []reflect.StructField {
	var list []reflect.StructField
	for f := range t.Fields() {
		if f.Tag.Get("yaml") != "" {
			list = append(list, f)
		}
	}
	return list
}

func (d *decoder) structure(entries []entry, v reflect.Value, path string) {
	known := map[string]reflect.StructField{}
	for _, f := range fields(v.Type()) {
		known[f.Tag.Get("yaml")] = f
	}
	for _, e := range entries {
		f, ok := known[e.name]
		if !ok {
			d.failNode(e.key, join(path, e.name), "unknown key%s", suggest(e.name, slices.Sorted(maps.Keys(known))))
			continue
		}
		d.value(e.value, v.FieldByIndex(f.Index), join(path, e.name), f.Tag)
	}
}

func (d *decoder) mapping(entries []entry, v reflect.Value, path string, tag reflect.StructTag) {
	m := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, e := range entries {
		under := join(path, e.name)
		if message := checkKey(tag.Get("keys"), e.name); message != "" {
			d.failNode(e.key, under, "%s", message)
			continue
		}
		// A map's own key is the better place for "this provider is wrong".
		p := at(e.key)
		d.config.loaded.origins[under] = Origin{From: "file", Name: d.config.loaded.file, Line: p.Line, Column: p.Column}
		one := reflect.New(v.Type().Elem()).Elem()
		_, null := e.value.(*ast.NullNode)
		if null && one.Kind() != reflect.Struct {
			d.failNode(e.key, under, "the key has no value")
			continue
		}
		if !null {
			d.value(e.value, one, under, tag)
		}
		m.SetMapIndex(reflect.ValueOf(e.name).Convert(v.Type().Key()), one)
	}
	v.Set(m)
}

// scalar decodes one plain value, its ${...} references expanded.
func (d *decoder) scalar(n ast.Node, v reflect.Value, path string, tag reflect.StructTag) {
	text, isText := "", false
	switch s := n.(type) {
	case *ast.StringNode:
		text, isText = s.Value, true
	case *ast.LiteralNode:
		text, isText = s.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		text = n.GetToken().Value
	default:
		d.failNode(n, path, "want %s, got %s", wanted(v.Type()), describe(n))
		return
	}
	expanded := false
	if isText && strings.Contains(text, "$") {
		value, refs, err := expand(text, d.getenv, d.dir)
		if err != nil {
			p := at(n)
			d.fail(p.Line, p.Column+d.offset(p, err.ref), path, "%s", err.message)
			return
		}
		text, expanded = value, len(refs) > 0
		if expanded {
			o := d.config.loaded.origins[path]
			o.Ref = strings.Join(refs, " ")
			d.config.loaded.origins[path] = o
		}
	}
	if message := set(v, text, isText && !expanded, expanded, tag); message != "" {
		d.failNode(n, path, "%s", message)
	}
}

// offset finds how far after its start a reference stands in the line of a
// value, 0 when the value runs over several lines.
func (d *decoder) offset(p *token.Position, ref string) int {
	lines := d.config.loaded.lines
	if ref == "" || p.Line > len(lines) {
		return 0
	}
	line := []rune(lines[p.Line-1])
	if p.Column-1 > len(line) {
		return 0
	}
	before, _, ok := strings.Cut(string(line[p.Column-1:]), ref)
	if !ok {
		return 0
	}
	return len([]rune(before))
}

// set stores the text of a scalar and returns what is wrong with it. quoted
// says that the file holds a string, which no number or switch is taken from;
// hidden that the text came from outside the file and must not be repeated.
func set(v reflect.Value, text string, quoted, hidden bool, tag reflect.StructTag) string {
	wrong := func() string {
		if hidden {
			return "want " + wanted(v.Type()) + ", which the expanded value is not"
		}
		if quoted {
			return fmt.Sprintf("want %s, got the text %q", wanted(v.Type()), clip(text))
		}
		return fmt.Sprintf("want %s, got %s", wanted(v.Type()), clip(text))
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			if hidden {
				return wrong()
			}
			return err.Error()
		}
		return checkRange(v, tag)
	}
	switch v.Kind() {
	case reflect.String:
		if message := checkText(text, hidden, tag); message != "" {
			return message
		}
		v.SetString(text)
	case reflect.Bool:
		if quoted || text != "true" && text != "false" {
			return wrong()
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
		if quoted || err != nil {
			return wrong()
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if quoted || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return wrong()
		}
		v.SetFloat(f)
	default:
		// A field of a kind that no case knows is a mistake of this package;
		// the test over every field finds it.
		return "cannot be set: no rule for " + v.Type().String()
	}
	return checkRange(v, tag)
}

// checkText applies the enum rule and refuses control characters, which no
// value needs and which would forge lines in headers and logs.
func checkText(text string, hidden bool, tag reflect.StructTag) string {
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			return "the value holds a control character or a line break"
		}
	}
	if list := tag.Get("enum"); list != "" {
		words := strings.Split(list, ",")
		if !slices.Contains(words, text) {
			if hidden {
				return "want one of " + strings.Join(words, ", ") + ", which the expanded value is not"
			}
			return fmt.Sprintf("want one of %s, got %q%s", strings.Join(words, ", "), clip(text), suggest(text, words))
		}
	}
	return ""
}

// checkRange applies the min and max rules, which are written in the units of
// the field's type.
func checkRange(v reflect.Value, tag reflect.StructTag) string {
	for _, rule := range []struct {
		name, word string
		sign       int
	}{{"min", "at least", -1}, {"max", "at most", 1}} {
		bound := tag.Get(rule.name)
		if bound == "" {
			continue
		}
		b := reflect.New(v.Type()).Elem()
		if message := set(b, bound, false, false, ""); message != "" {
			return "bad rule " + bound + ": " + message
		}
		if compare(v, b) == rule.sign {
			return fmt.Sprintf("want %s %s", rule.word, bound)
		}
	}
	return ""
}

func compare(a, b reflect.Value) int {
	switch a.Kind() {
	case reflect.Int, reflect.Int64:
		switch x, y := a.Int(), b.Int(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
	case reflect.Float64:
		switch x, y := a.Float(), b.Float(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
	}
	return 0
}

// wanted names what a type wants, for people.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return "a duration such as 10s"
	case reflect.TypeFor[ByteSize]():
		return "a size such as 32MB"
	case reflect.TypeFor[USD]():
		return "a price such as 1.25"
	case reflect.TypeFor[Money]():
		return "a sum such as 25.00"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "text"
}

// describe names what a node is, for people.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys with values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode:
		return "a number"
	case *ast.BoolNode:
		return "a switch"
	case *ast.NullNode:
		return "nothing"
	}
	return "something else"
}

// join extends a path. A name with a dot is quoted, so that a path can be
// read back by eye.
func join(path, name string) string {
	if strings.ContainsRune(name, '.') {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// clip shortens a value for a message.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:37]) + "..."
	}
	return s
}

// suggest offers the nearest known word, or nothing when none is near.
func suggest(got string, known []string) string {
	best := llm.Nearest(got, known)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}
