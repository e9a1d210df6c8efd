package openai

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// typedSchema brings a schema into Moonshot's subset (llm.SchemaTyped), and
// says whether anything is lost by it. What fits already stays byte for byte,
// and so does the order of members.
func typedSchema(s jsontext.Value) (out jsontext.Value, lossy bool) {
	var f fitted
	if member(s, "type") == nil && member(s, "$ref") == nil {
		// The root says that it is an object.
		grown := []byte(`{"type":"object"`)
		for k, v := range members(s) {
			grown = append(quote(append(grown, ','), k), ':')
			grown = append(grown, v...)
		}
		s = append(grown, '}')
	}
	b := typed(nil, s, nil, &f)
	if !f.changed {
		return s, false
	}
	return b, f.lossy
}

// fitted is what became of a schema.
type fitted struct{ changed, lossy bool }

// typed appends one schema; kind is the type that an anyOf around it said, to
// be put where the schema says none.
func typed(dst []byte, s, kind jsontext.Value, f *fitted) []byte {
	if !isObject(s) {
		return append(dst, s...) // true, false, or no schema at all
	}
	own := member(s, "type")
	branches := isArray(member(s, "anyOf"))
	o := open(dst)
	if kind != nil && own == nil && (member(s, "$ref") == nil && !branches) {
		f.changed = true
		o.raw("type", kind)
	}
	inner := kind
	if branches && own != nil {
		inner = own
	}
	for k, v := range members(s) {
		switch name := string(k); name {
		case "type":
			if branches {
				f.changed = true
			} else {
				o.raw(name, v)
			}
		case "anyOf":
			if !isArray(v) {
				o.raw(name, v)
				continue
			}
			o.name(name)
			o.b = typedList(o.b, v, inner, f)
		case "oneOf", "allOf":
			if !isArray(v) {
				o.raw(name, v)
				continue
			}
			o.name(name)
			o.b = typedList(o.b, v, nil, f)
		case "properties", "$defs", "definitions", "patternProperties":
			if !isObject(v) {
				o.raw(name, v)
				continue
			}
			o.name(name)
			in := open(o.b)
			for n, sub := range members(v) {
				in.name(string(n))
				in.b = typed(in.b, sub, nil, f)
			}
			o.b = in.close()
		case "items":
			o.name(name)
			if isArray(v) { // a tuple: any of its members
				f.changed, f.lossy = true, true
				o.b = tuple(o.b, v, f)
			} else {
				o.b = typed(o.b, v, nil, f)
			}
		case "prefixItems":
			f.changed, f.lossy = true, true
			if isArray(v) && member(s, "items") == nil {
				o.name("items")
				o.b = tuple(o.b, v, f)
			}
		case "additionalProperties", "not":
			o.name(name)
			o.b = typed(o.b, v, nil, f)
		default:
			o.raw(name, v)
		}
	}
	return o.close()
}

func typedList(dst []byte, list, kind jsontext.Value, f *fitted) []byte {
	dst = append(dst, '[')
	for i, s := range elements(list) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = typed(dst, s, kind, f)
	}
	return append(dst, ']')
}

// tuple appends one schema that takes what any place of a tuple takes.
func tuple(dst []byte, list jsontext.Value, f *fitted) []byte {
	var kinds []string
	for _, s := range elements(list) {
		kinds = append(kinds, string(s))
	}
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	if len(kinds) == 1 {
		return typed(dst, jsontext.Value(kinds[0]), nil, f)
	}
	dst = append(dst, `{"anyOf":`...)
	return append(typedList(dst, list, nil, f), '}')
}
