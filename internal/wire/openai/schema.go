package openai

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/wire/span"
)

// typedSchema brings a schema into Moonshot's subset (llm.SchemaTyped), and
// says whether anything is lost by it. What fits already stays byte for byte,
// and so does the order of members.
func typedSchema(s jsontext.Value) (out jsontext.Value, lossy bool) {
	var f fitted
	if span.Field(s, "type") == nil && span.Field(s, "$ref") == nil {
		// The root says that it is an object.
		grown := []byte(`{"type":"object"`)
		for k, v := range span.Fields(s) {
			grown = append(span.Quote(append(grown, ','), k), ':')
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
	if !span.IsObject(s) {
		return append(dst, s...) // true, false, or no schema at all
	}
	own := span.Field(s, "type")
	branches := span.IsArray(span.Field(s, "anyOf"))
	o := span.Open(dst)
	if kind != nil && own == nil && (span.Field(s, "$ref") == nil && !branches) {
		f.changed = true
		o.Raw("type", kind)
	}
	inner := kind
	if branches && own != nil {
		inner = own
	}
	for k, v := range span.Fields(s) {
		switch name := string(k); name {
		case "type":
			if branches {
				f.changed = true
			} else {
				o.Raw(name, v)
			}
		case "anyOf":
			if !span.IsArray(v) {
				o.Raw(name, v)
				continue
			}
			o.Name(name)
			o.B = typedList(o.B, v, inner, f)
		case "oneOf", "allOf":
			if !span.IsArray(v) {
				o.Raw(name, v)
				continue
			}
			o.Name(name)
			o.B = typedList(o.B, v, nil, f)
		case "properties", "$defs", "definitions", "patternProperties":
			if !span.IsObject(v) {
				o.Raw(name, v)
				continue
			}
			o.Name(name)
			in := span.Open(o.B)
			for n, sub := range span.Fields(v) {
				in.Name(string(n))
				in.B = typed(in.B, sub, nil, f)
			}
			o.B = in.Close()
		case "items":
			o.Name(name)
			if span.IsArray(v) { // a tuple: any of its members
				f.changed, f.lossy = true, true
				o.B = tuple(o.B, v, f)
			} else {
				o.B = typed(o.B, v, nil, f)
			}
		case "prefixItems":
			f.changed, f.lossy = true, true
			if span.IsArray(v) && span.Field(s, "items") == nil {
				o.Name("items")
				o.B = tuple(o.B, v, f)
			}
		case "additionalProperties", "not":
			o.Name(name)
			o.B = typed(o.B, v, nil, f)
		default:
			o.Raw(name, v)
		}
	}
	return o.Close()
}

func typedList(dst []byte, list, kind jsontext.Value, f *fitted) []byte {
	dst = append(dst, '[')
	for i, s := range span.Elements(list) {
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
	for _, s := range span.Elements(list) {
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
