package config

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// Schema returns the JSON Schema (draft 2020-12) of the file, indented, for
// editors: the struct's names and rules, its comments as descriptions and the
// defaults.
func Schema() []byte {
	s := schemaWriter{defs: map[string]any{}}
	root := s.object(reflect.TypeFor[Config](), reflect.ValueOf(Default()).Elem())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Headrace configuration"
	root["$defs"] = s.defs
	out, err := json.Marshal(root, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		// Only maps, slices and strings made here go in.
		panic("config: schema: " + err.Error())
	}
	return append(out, '\n')
}

type schemaWriter struct{ defs map[string]any }

// object describes a struct; defaults is a value of it, or invalid where
// there are none (the members of maps).
func (s *schemaWriter) object(t reflect.Type, defaults reflect.Value) map[string]any {
	properties := map[string]any{}
	for _, f := range fields(t) {
		one := reflect.Value{}
		if defaults.IsValid() {
			one = defaults.FieldByIndex(f.Index)
		}
		p := s.member(f.Type, f.Tag, one)
		p["description"] = comments[t.Name()+"."+f.Name]
		properties[f.Tag.Get("yaml")] = p
	}
	return map[string]any{
		"type":                 []string{"object", "null"},
		"description":          comments[t.Name()],
		"properties":           properties,
		"additionalProperties": false,
	}
}

// reference is the pattern of a value that is expanded after parsing, which
// every scalar may be.
const reference = `\$\{`

func (s *schemaWriter) member(t reflect.Type, tag reflect.StructTag, defaults reflect.Value) map[string]any {
	if t.Kind() == reflect.Pointer {
		return s.member(t.Elem(), tag, reflect.Value{})
	}
	p := map[string]any{}
	if defaults.IsValid() && !defaults.IsZero() && t.Kind() != reflect.Struct {
		p["default"] = plainValue(defaults)
	}
	text := func(pattern string, also ...any) {
		p["anyOf"] = append([]any{
			map[string]any{"type": "string", "pattern": pattern},
			map[string]any{"type": "string", "pattern": reference},
		}, also...)
	}
	switch t {
	case reflect.TypeFor[Duration]():
		text(`^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`, map[string]any{"const": 0})
		return p
	case reflect.TypeFor[ByteSize]():
		text(`^[0-9]+(\.[0-9]+)? ?([KMGkmg][Ii]?)?[Bb]?$`, map[string]any{"type": "integer", "minimum": 0})
		return p
	case reflect.TypeFor[USD]():
		text(`^[0-9]+(\.[0-9]{1,9})?$`, map[string]any{"type": "number", "minimum": 0})
		return p
	case reflect.TypeFor[Money]():
		text(`^\$?[0-9]+(\.[0-9]{1,9})?$`, map[string]any{"type": "number", "minimum": 0})
		return p
	case reflect.TypeFor[llm.Secret]():
		p["type"] = "string"
		return p
	}
	switch t.Kind() {
	case reflect.Struct:
		// A struct that stands in one place only with defaults is written
		// there; the members of maps share one definition.
		for k, v := range s.object(t, defaults) {
			p[k] = v
		}
	case reflect.Map:
		p["type"] = []string{"object", "null"}
		elem := t.Elem()
		if elem.Kind() == reflect.Struct {
			name := elem.Name()
			if _, ok := s.defs[name]; !ok {
				s.defs[name] = nil
				def := s.object(elem, reflect.Value{})
				if elem == reflect.TypeFor[Route]() {
					def["type"] = []string{"object", "array"}
					def["items"] = map[string]any{"type": "string"}
				}
				s.defs[name] = def
			}
			p["additionalProperties"] = map[string]any{"$ref": "#/$defs/" + name}
		} else {
			p["additionalProperties"] = s.member(elem, tag, reflect.Value{})
		}
		if names := keyNames(tag.Get("keys")); names != nil {
			p["propertyNames"] = map[string]any{"enum": names}
		}
	case reflect.Slice:
		p["type"] = []string{"array", "null"}
		p["items"] = s.member(t.Elem(), tag, reflect.Value{})
	case reflect.Bool:
		p["anyOf"] = []any{map[string]any{"type": "boolean"}, map[string]any{"type": "string", "pattern": reference}}
	case reflect.Int, reflect.Int64, reflect.Float64:
		number := map[string]any{"type": "integer"}
		if t.Kind() == reflect.Float64 {
			number["type"] = "number"
		}
		for rule, name := range map[string]string{"min": "minimum", "max": "maximum"} {
			if bound, err := strconv.ParseFloat(tag.Get(rule), 64); err == nil {
				number[name] = bound
			}
		}
		p["anyOf"] = []any{number, map[string]any{"type": "string", "pattern": reference}}
	default:
		if list := tag.Get("enum"); list != "" {
			p["anyOf"] = []any{map[string]any{"enum": strings.Split(list, ",")}, map[string]any{"type": "string", "pattern": reference}}
		} else {
			p["type"] = "string"
		}
	}
	return p
}

// keyNames lists the keys that a "keys" rule knows, nil when it takes many.
func keyNames(rule string) []string {
	switch rule {
	case "capability":
		return Capabilities()
	case "class":
		var words []string
		for _, c := range llm.Classes() {
			words = append(words, string(c))
		}
		return words
	}
	return nil
}

// plainValue gives a scalar, or a list of them, as JSON would hold it.
func plainValue(v reflect.Value) any {
	if v.Kind() == reflect.Slice {
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plainValue(v.Index(i))
		}
		return list
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Float64:
		return v.Float()
	}
	if text, ok := textOf(v); ok {
		return text
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	return v.Int()
}
