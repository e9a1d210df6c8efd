package ollama

import (
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/wire/span"
)

// lostKeyword gives a keyword of a tool's schema that Ollama loses when it
// reads the request, or "". It keeps of the parameters type, $defs, items,
// required and properties, of a property anyOf, type, items, description,
// enum, properties and required, and what stands under items and $defs whole;
// everything else is gone without an error (api/types.go, 2026-08). Notes that
// say nothing of the arguments ($schema, title) are not counted.
func lostKeyword(schema jsontext.Value) string {
	for k, v := range span.Fields(schema) {
		switch name := string(k); name {
		case "type", "$defs", "items", "required", "$schema", "$id", "$comment", "title":
		case "properties":
			for _, p := range span.Fields(v) {
				if lost := lostOfProperty(p); lost != "" {
					return lost
				}
			}
		default:
			return name
		}
	}
	return ""
}

func lostOfProperty(p jsontext.Value) string {
	for k, v := range span.Fields(p) {
		switch name := string(k); name {
		case "type", "items", "description", "enum", "required", "$comment", "title":
		case "anyOf":
			for _, branch := range span.Elements(v) {
				if lost := lostOfProperty(branch); lost != "" {
					return lost
				}
			}
		case "properties":
			for _, p := range span.Fields(v) {
				if lost := lostOfProperty(p); lost != "" {
					return lost
				}
			}
		default:
			return name
		}
	}
	return ""
}
