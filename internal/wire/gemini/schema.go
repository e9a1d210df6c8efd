package gemini

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/wire/span"
)

// jsonSchema turns a schema of Google's OpenAPI subset (parameters,
// responseSchema) into JSON Schema. One that is JSON Schema already goes back
// as it came, sharing memory.
func jsonSchema(v jsontext.Value) jsontext.Value {
	if !odd(v) {
		return v
	}
	return appendSchema(nil, v)
}

// odd reports whether a schema has anything that JSON Schema spells in another
// way.
func odd(v []byte) bool {
	for _, word := range []string{`"nullable"`, `"propertyOrdering"`, `"TYPE_UNSPECIFIED"`, `"STRING"`, `"NUMBER"`, `"INTEGER"`, `"BOOLEAN"`, `"ARRAY"`, `"OBJECT"`, `"NULL"`, `"example"`,
		`"any_of"`, `"property_ordering"`, `"min_`, `"max_`} {
		if bytes.Contains(v, []byte(word)) {
			return true
		}
	}
	for _, word := range []string{`"minItems"`, `"maxItems"`, `"minLength"`, `"maxLength"`, `"minProperties"`, `"maxProperties"`} {
		for rest := v; ; {
			i := bytes.Index(rest, []byte(word))
			if i < 0 {
				break
			}
			rest = rest[i+len(word):]
			if t := bytes.TrimLeft(rest, " \t\r\n:"); len(t) > 0 && t[0] == '"' {
				return true // 64 bits are quoted in Google's JSON
			}
		}
	}
	return false
}

func appendSchema(b []byte, v []byte) []byte {
	if kindOf(v) != '{' {
		return append(b, v...)
	}
	nullable := string(get(v, "nullable")) == "true"
	b = append(b, '{')
	for o := span.ReadObject(v); o.Next(); {
		name := string(o.Name)
		switch n := canon(o.Name); n {
		case "type", "anyOf", "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties", "propertyOrdering":
			name = n
		}
		put := func() { b = append(span.Quote(comma(b), name), ':') }
		switch name {
		case "nullable", "propertyOrdering":
		case "example":
			name = "examples"
			put()
			b = append(append(append(b, '['), o.Val...), ']')
		case "type":
			s, ok := str(o.Val)
			if s == "TYPE_UNSPECIFIED" {
				continue
			}
			put()
			switch {
			case !ok:
				b = append(b, o.Val...)
			case nullable && !strings.EqualFold(s, "null"):
				b = append(span.Quote(append(b, '['), strings.ToLower(s)), `,"null"]`...)
			default:
				b = span.Quote(b, strings.ToLower(s))
			}
		case "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties":
			put()
			if n, ok := str(o.Val); ok {
				if _, whole := integer([]byte(n)); whole {
					b = append(b, n...)
					continue
				}
			}
			b = append(b, o.Val...)
		case "enum":
			put()
			b = append(b, o.Val...)
			if nullable && kindOf(o.Val) == '[' && !bytes.Contains(o.Val, []byte("null")) {
				b = append(b[:len(b)-1], ",null]"...)
			}
		case "items", "additionalProperties", "not":
			put()
			b = appendSchema(b, o.Val)
		case "anyOf", "oneOf", "allOf", "prefixItems":
			put()
			b = append(b, '[')
			for a := span.ReadArray(o.Val); a.Next(); {
				b = appendSchema(comma(b), a.Val)
			}
			if name == "anyOf" && nullable && get(v, "type") == nil {
				b = append(comma(b), `{"type":"null"}`...)
			}
			b = append(b, ']')
		case "properties", "$defs", "definitions":
			put()
			b = append(b, '{')
			for p := span.ReadObject(o.Val); p.Next(); {
				b = append(append(comma(b), p.Quoted()...), ':')
				b = appendSchema(b, p.Val)
			}
			b = append(b, '}')
		default:
			put()
			b = append(b, o.Val...)
		}
	}
	return append(b, '}')
}
