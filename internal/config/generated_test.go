package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"headrace/internal/llm"
)

var update = flag.Bool("update", false, "write comments.go and docs/config.md anew")

// TestGenerated keeps comments.go and docs/config.md equal to the comments of
// config.go.
func TestGenerated(t *testing.T) {
	read := readComments(t)
	var b bytes.Buffer
	b.WriteString("// Code generated from config.go by go generate; DO NOT EDIT.\n\npackage config\n\n")
	b.WriteString("// comments are the doc comments of the configuration's types and members, by\n// \"Type\" and \"Type.Member\", each as one line.\n")
	b.WriteString("var comments = map[string]string{\n")
	for _, k := range slices.Sorted(maps.Keys(read)) {
		fmt.Fprintf(&b, "%q: %q,\n", k, read[k])
	}
	b.WriteString("}\n")
	source, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "comments.go", source)
	if !*update && !maps.Equal(comments, read) {
		t.Error("comments.go differs from config.go: run go generate ./internal/config")
	}
	comments = read
	same(t, filepath.Join("..", "..", "docs", "config.md"), []byte(page()))
}

func same(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run go generate ./internal/config", name)
	}
}

// readComments reads the doc comments of config.go.
func readComments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	line := func(g *ast.CommentGroup) string { return strings.Join(strings.Fields(g.Text()), " ") }
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, s := range g.Specs {
			spec := s.(*ast.TypeSpec)
			st, ok := spec.Type.(*ast.StructType)
			if !ok || !spec.Name.IsExported() {
				continue
			}
			found[spec.Name.Name] = line(g.Doc)
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					if n.IsExported() {
						if f.Doc == nil {
							t.Errorf("%s.%s has no comment", spec.Name.Name, n.Name)
						}
						found[spec.Name.Name+"."+n.Name] = line(f.Doc)
					}
				}
			}
		}
	}
	return found
}

// page writes docs/config.md.
func page() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Generated from internal/config/config.go by go generate; do not edit. -->

Headrace needs no file. To give it one: ` + "`headrace serve --config headrace.yaml`" + ` or HEADRACE_CONFIG.
The file is YAML and strict: an unknown key, a doubled key or a value of the wrong type is an error with its line and column.
` + "`headrace config check FILE`" + ` checks a file, ` + "`headrace config print`" + ` shows the values in force and where each came from, and
` + "`headrace config schema`" + ` prints a JSON Schema for editors.

Any value may hold ` + "`${NAME}`" + ` (an environment variable; unset or empty is an error), ` + "`${NAME:-default}`" + ` or ` + "`${file:/path}`" + `
(the file's text without the line break at its end; a relative path starts at the file's directory). They are expanded after the YAML
is parsed, so a value never turns into keys. ` + "`$${`" + ` stands for the characters themselves. Anchors, aliases and ` + "`<<`" + ` work; tags do not.

Flags win over the environment, the environment over the file, the file over the defaults.

`)
	b.WriteString("```yaml\n# yaml-language-server: $schema=./headrace.schema.json\n" + Example + "```\n\n## Keys\n\n")
	b.WriteString("| key | takes | default | meaning |\n|---|---|---|---|\n")
	rows(&b, "", reflect.TypeFor[Config](), reflect.ValueOf(Default()).Elem())
	b.WriteString("\nCapabilities: " + strings.Join(Capabilities(), ", ") + ".\n")
	b.WriteString("\n## Environment\n\n| variable | meaning |\n|---|---|\n")
	for _, v := range Variables() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v.Name, v.Meaning)
	}
	return b.String()
}

func rows(b *strings.Builder, path string, t reflect.Type, defaults reflect.Value) {
	for _, f := range fields(t) {
		key := join(path, f.Tag.Get("yaml"))
		one := reflect.Value{}
		if defaults.IsValid() {
			one = defaults.FieldByIndex(f.Index)
		}
		ft := f.Type
		for ft.Kind() == reflect.Pointer {
			ft, one = ft.Elem(), reflect.Value{}
		}
		standing := ""
		if one.IsValid() && ft.Kind() != reflect.Struct && ft.Kind() != reflect.Map && ft.Kind() != reflect.Slice {
			if text, ok := scalarText(one); ok && text != `""` {
				standing = "`" + text + "`"
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key, takes(ft, f.Tag), standing, strings.ReplaceAll(comments[t.Name()+"."+f.Name], "|", "\\|"))
		switch {
		case ft.Kind() == reflect.Struct:
			rows(b, key, ft, one)
		case ft.Kind() == reflect.Map && ft.Elem().Kind() == reflect.Struct:
			rows(b, key+".*", ft.Elem(), reflect.Value{})
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct && fields(ft.Elem()) != nil:
			rows(b, key+".*", ft.Elem(), reflect.Value{})
		}
	}
}

func takes(t reflect.Type, tag reflect.StructTag) string {
	if list := tag.Get("enum"); list != "" && t.Kind() == reflect.String {
		return strings.ReplaceAll(list, ",", ", ")
	}
	switch t {
	case reflect.TypeFor[llm.Secret]():
		return "secret"
	case reflect.TypeFor[Duration](), reflect.TypeFor[ByteSize](), reflect.TypeFor[USD](), reflect.TypeFor[Money]():
		return strings.ToLower(wanted(t)[2:])
	}
	switch t.Kind() {
	case reflect.Struct:
		return "keys"
	case reflect.Map:
		if t.Elem().Kind() == reflect.Struct {
			return "keys by name"
		}
		return "name: " + takes(t.Elem(), tag)
	case reflect.Slice:
		return "list of " + takes(t.Elem(), tag)
	}
	return wanted(t)
}
