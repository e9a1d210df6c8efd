package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestSchemaKnowsEveryKey: each key of the struct is in the schema with its
// comment, unknown ones are closed off, and defaults are what Default gives.
func TestSchemaKnowsEveryKey(t *testing.T) {
	t.Parallel()
	out := Schema()
	if !bytes.Equal(out, Schema()) {
		t.Error("two calls differ")
	}
	var root map[string]any
	if err := json.Unmarshal(out, &root); err != nil {
		t.Fatal(err)
	}
	defs := root["$defs"].(map[string]any)
	if root["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema %v", root["$schema"])
	}
	var walk func(path string, typ reflect.Type, node map[string]any)
	walk = func(path string, typ reflect.Type, node map[string]any) {
		if ref, ok := node["$ref"].(string); ok {
			node = defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		}
		if node["additionalProperties"] != false {
			t.Errorf("%s takes unknown keys", path)
		}
		properties := node["properties"].(map[string]any)
		if len(properties) != len(fields(typ)) {
			t.Errorf("%s has %d keys, want %d", path, len(properties), len(fields(typ)))
		}
		for _, f := range fields(typ) {
			at := join(path, f.Tag.Get("yaml"))
			p, ok := properties[f.Tag.Get("yaml")].(map[string]any)
			if !ok {
				t.Errorf("%s is missing", at)
				continue
			}
			if text, _ := p["description"].(string); text == "" {
				t.Errorf("%s has no description", at)
			}
			ft := f.Type
			for ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			switch {
			case ft.Kind() == reflect.Struct:
				walk(at, ft, p)
			case ft.Kind() == reflect.Map && ft.Elem().Kind() == reflect.Struct:
				walk(at+".*", ft.Elem(), p["additionalProperties"].(map[string]any))
			}
		}
	}
	walk("", reflect.TypeFor[Config](), root)
	limits := root["properties"].(map[string]any)["limits"].(map[string]any)["properties"].(map[string]any)
	if got := limits["body"].(map[string]any)["default"]; got != "32MB" {
		t.Errorf("limits.body defaults to %v", got)
	}
}
