package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// node is as much of a JSON Schema as the admin API's description uses.
type node struct {
	Ref         string          `json:"$ref"`
	Type        any             `json:"type"`
	Enum        []string        `json:"enum"`
	Items       *node           `json:"items"`
	Properties  map[string]node `json:"properties"`
	Additional  any             `json:"additionalProperties"`
	Required    []string        `json:"required"`
	Description string          `json:"description"`
}

// types writes the admin API's schemas as TypeScript interfaces.
func types(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Components struct {
			Schemas map[string]node `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var b bytes.Buffer
	b.WriteString("// Made by tools/dash of internal/admin/openapi.json; do not edit.\n")
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		n := doc.Components.Schemas[name]
		b.WriteByte('\n')
		if n.Properties == nil {
			fmt.Fprintf(&b, "export type %s = %s;\n", name, n.typescript(""))
			continue
		}
		fmt.Fprintf(&b, "export interface %s %s\n", name, n.typescript(""))
	}
	return b.Bytes(), nil
}

// typescript writes the type that a schema describes.
func (n node) typescript(indent string) string {
	if ref, ok := strings.CutPrefix(n.Ref, "#/components/schemas/"); ok {
		return ref
	}
	if len(n.Enum) > 0 {
		words := make([]string, len(n.Enum))
		for i, w := range n.Enum {
			words[i] = fmt.Sprintf("%q", w)
		}
		return strings.Join(words, " | ")
	}
	switch n.Type {
	case "string", "boolean":
		return n.Type.(string)
	case "integer", "number":
		return "number"
	case "array":
		if n.Items == nil {
			return "unknown[]"
		}
		inner := n.Items.typescript(indent)
		if strings.Contains(inner, "|") {
			inner = "(" + inner + ")"
		}
		return inner + "[]"
	}
	if n.Properties == nil {
		if n.Type == "object" {
			return "Record<string, unknown>"
		}
		return "unknown"
	}
	var b strings.Builder
	b.WriteString("{\n")
	for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
		mark := "?"
		if slices.Contains(n.Required, name) {
			mark = ""
		}
		fmt.Fprintf(&b, "%s  %s%s: %s;\n", indent, name, mark, n.Properties[name].typescript(indent+"  "))
	}
	return b.String() + indent + "}"
}
