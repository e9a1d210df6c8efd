package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
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
	d := describer{docs: wireDocs(t), schemas: map[string]any{}, loose: map[reflect.Type]bool{}}
	for _, r := range routes {
		if r.in != nil {
			d.loose[reflect.TypeOf(r.in)] = true
		}
	}
	paths := map[string]map[string]any{}
	for _, r := range routes {
		op := map[string]any{"operationId": r.name, "summary": r.summary}
		if r.open {
			op["security"] = []any{}
		} else {
			op["x-headrace-right"] = r.may
		}
		var params []any
		for _, piece := range strings.Split(r.path, "/") {
			if name, ok := strings.CutPrefix(piece, "{"); ok {
				params = append(params, map[string]any{"name": strings.TrimSuffix(strings.TrimSuffix(name, "}"), "..."), "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
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
			strconv.Itoa(r.status): d.answer(&r),
			"default":              map[string]any{"description": "An error.", "content": map[string]any{"application/json": map[string]any{"schema": d.schema(reflect.TypeFor[Problem]())}}},
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
		"info":     map[string]any{"title": "Headrace admin API", "version": "1", "description": "All that a Headrace gateway knows of itself, and what can be changed about it."},
		"security": []any{map[string]any{"admin": []any{}}, map[string]any{"session": []any{}}},
		"paths":    paths,
		"components": map[string]any{
			"schemas": d.schemas,
			"securitySchemes": map[string]any{"admin": map[string]any{"type": "http", "scheme": "bearer", "description": "The admin token; a data key opens nothing here."},
				"session": map[string]any{"type": "apiKey", "in": "cookie", "name": plainCookie, "description": "The cookie of a session; its name is " + safeCookie + " over TLS."}},
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

// answer describes what a route answers with when all is well.
func (d *describer) answer(r *route) map[string]any {
	a := map[string]any{"description": r.summary}
	kind := "application/json"
	if r.stream != nil {
		kind = r.kind
	}
	switch kind {
	case "":
	case "text/html":
		a["content"] = map[string]any{kind: map[string]any{"schema": map[string]any{"type": "string"}}}
	default:
		a["content"] = map[string]any{kind: map[string]any{"schema": d.schema(reflect.TypeOf(r.out))}}
	}
	if r.etag {
		a["headers"] = map[string]any{"ETag": map[string]any{"description": "Names this state, for If-Match.", "schema": map[string]any{"type": "string"}}}
	}
	return a
}

type describer struct {
	docs    map[string]string
	schemas map[string]any
	// loose are the types of bodies that come in: members may be left out.
	loose map[reflect.Type]bool
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
		if rest != "omitzero" && !d.loose[t] {
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
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	text := func(g *ast.CommentGroup) string { return strings.Join(strings.Fields(g.Text()), " ") }
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				s := spec.(*ast.TypeSpec)
				docs[s.Name.Name] = text(cmp.Or(s.Doc, g.Doc))
				if st, ok := s.Type.(*ast.StructType); ok {
					for _, f := range st.Fields.List {
						for _, n := range f.Names {
							docs[s.Name.Name+"."+n.Name] = text(f.Doc)
						}
					}
				}
			}
		}
	}
	return docs
}
