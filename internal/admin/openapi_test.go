package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// TestOpenAPI holds openapi.json equal to the route table and the wire types
// with their comments.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	d := describer{docs: wireDocs(t), schemas: map[string]any{}}
	paths := map[string]map[string]any{}
	for _, r := range routes {
		op := map[string]any{"operationId": r.name, "summary": r.summary}
		var params []any
		for _, piece := range strings.Split(r.path, "/") {
			if name, ok := strings.CutPrefix(piece, "{"); ok {
				params = append(params, map[string]any{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
			}
		}
		for _, p := range r.query {
			schema := map[string]any{"type": "string"}
			if p.enum != "" {
				schema["enum"] = strings.Split(p.enum, ",")
			}
			params = append(params, map[string]any{"name": p.name, "in": "query", "description": p.summary, "schema": schema})
		}
		if params != nil {
			op["parameters"] = params
		}
		if r.in != nil {
			op["requestBody"] = map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": d.schema(reflect.TypeOf(r.in))}}}
		}
		op["responses"] = map[string]any{
			map[int]string{200: "200", 201: "201"}[r.status]: map[string]any{"description": r.summary, "content": map[string]any{"application/json": map[string]any{"schema": d.schema(reflect.TypeOf(r.out))}}},
			"default": map[string]any{"description": "An error.", "content": map[string]any{"application/json": map[string]any{"schema": d.schema(reflect.TypeFor[Problem]())}}},
		}
		if paths[r.path] == nil {
			paths[r.path] = map[string]any{}
		}
		if paths[r.path][strings.ToLower(r.method)] != nil {
			t.Errorf("%s %s stands twice in the table", r.method, r.path)
		}
		paths[r.path][strings.ToLower(r.method)] = op
	}
	want, err := json.MarshalIndent(map[string]any{
		"openapi":  "3.1.0",
		"info":     map[string]any{"title": "Headrace admin API", "version": "1", "description": "Keys, usage, requests, models, providers and status of a Headrace gateway."},
		"security": []any{map[string]any{"admin": []any{}}},
		"paths":    paths,
		"components": map[string]any{
			"schemas":         d.schemas,
			"securitySchemes": map[string]any{"admin": map[string]any{"type": "http", "scheme": "bearer", "description": "The admin token; a data key opens nothing here."}},
		},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(openAPI, want) {
		t.Error("openapi.json is stale: run go generate ./internal/admin")
	}
}

type describer struct {
	docs    map[string]string
	schemas map[string]any
}

func (d *describer) schema(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[jsontext.Value]():
		return map[string]any{}
	case reflect.TypeFor[llm.Nanodollars]():
		return map[string]any{"type": "integer", "format": "int64"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Struct:
		if t.Name() == "" {
			return d.object(t)
		}
		if d.schemas[t.Name()] == nil {
			d.schemas[t.Name()] = true // against recursion
			d.schemas[t.Name()] = d.object(t)
		}
		return map[string]any{"$ref": "#/components/schemas/" + t.Name()}
	}
	panic("no schema for " + t.String())
}

func (d *describer) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for f := range t.Fields() {
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := d.schema(f.Type)
		if text := d.docs[t.Name()+"."+f.Name]; text != "" {
			p["description"] = text
		}
		if list := f.Tag.Get("enum"); list != "" {
			p["enum"] = strings.Split(list, ",")
		}
		properties[name] = p
		if rest != "omitzero" && t != reflect.TypeFor[KeySpec]() && t != reflect.TypeFor[Rotation]() {
			required = append(required, name)
		}
	}
	o := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	if text := d.docs[t.Name()]; text != "" {
		o["description"] = text
	}
	return o
}

// wireDocs reads the comments of the wire types.
func wireDocs(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "wire.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	text := func(g *ast.CommentGroup) string { return strings.Join(strings.Fields(g.Text()), " ") }
	for _, decl := range file.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, spec := range g.Specs {
			s := spec.(*ast.TypeSpec)
			docs[s.Name.Name] = text(g.Doc)
			if st, ok := s.Type.(*ast.StructType); ok {
				for _, f := range st.Fields.List {
					for _, n := range f.Names {
						docs[s.Name.Name+"."+n.Name] = text(f.Doc)
					}
				}
			}
		}
	}
	return docs
}
