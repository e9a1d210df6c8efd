package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is the largest configuration file that is read. The parser is
// recursive; the bound keeps a wrong --config from taking the memory.
const maxFile = 1 << 20

// loaded is what a Config remembers of where it came from.
type loaded struct {
	file    string
	lines   []string
	origins map[string]Origin
}

// Origin says where a value came from.
type Origin struct {
	// From is "default", "file", "environment" or "flag".
	From string
	// Name is the file, the variable or the flag.
	Name string
	// Line and Column are the place in the file, counted from 1.
	Line, Column int
	// Ref is the ${...} reference that gave the value, without any default it
	// holds; empty when there is none.
	Ref string
}

// String says it as people read it: "headrace.yaml:4 ${OPENAI_API_KEY}".
func (o Origin) String() string {
	s := o.Name
	if o.From == "default" || s == "" {
		return "default"
	}
	if o.Line > 0 {
		s += fmt.Sprintf(":%d", o.Line)
	}
	if o.Ref != "" {
		s += " " + o.Ref
	}
	return s
}

// Load reads the file at path over the defaults and then what the environment
// says of the same things (HEADRACE_LISTEN, HEADRACE_DATA). An empty path
// means no file. All that is wrong comes back at once, as Errors.
func Load(path string, getenv func(string) string) (*Config, error) {
	var text []byte
	if path != "" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
	}
	c, err := Parse(path, text, getenv)
	if err != nil {
		return nil, err
	}
	env := FromEnv(getenv)
	for _, o := range []struct{ path, variable, value string }{
		{"listen", "HEADRACE_LISTEN", env.Listen},
		{"data", "HEADRACE_DATA", env.Data},
	} {
		if o.value == "" {
			continue
		}
		if c, err = c.With(o.path, o.value, Origin{From: "environment", Name: o.variable}); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Parse reads the text of a file over the defaults. The name is used in
// errors, and its directory is where relative ${file:...} paths start. An
// empty text gives the defaults. All that is wrong comes back as Errors. Without
// getenv no variable and no file is read: something stands in for each reference.
func Parse(name string, text []byte, getenv func(string) string) (*Config, error) {
	c := Default()
	c.loaded = &loaded{file: name, origins: map[string]Origin{}}
	// An editor on Windows may write a byte order mark.
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if len(text) > maxFile {
		return nil, Errors{{File: name, Message: "the file is over 1 MB"}}
	}
	c.loaded.lines = strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	if at := firstInvalid(text); at >= 0 {
		line, column := place(text[:at])
		return nil, Errors{c.errorAt(line, column, "", "the file is not UTF-8")}
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		var y yaml.Error
		if !errors.As(err, &y) || y.GetToken() == nil {
			return nil, Errors{{File: name, Message: err.Error()}}
		}
		p, message := y.GetToken().Position, y.GetMessage()
		if p.Line <= len(c.loaded.lines) && bareReference(c.loaded.lines[p.Line-1], p.Column) {
			message += `; inside braces and brackets write "${...}" in quotes`
		}
		return nil, Errors{c.errorAt(p.Line, p.Column, "", message)}
	}
	d := &decoder{config: c, getenv: getenv, dir: filepath.Dir(name)}
	switch n := len(tree.Docs); {
	case n > 1:
		p := tree.Docs[1].Start.Position
		d.fail(p.Line, p.Column, "", "the file holds more than one document: only one is read")
	case n == 1:
		d.root(tree.Docs[0].Body)
	}
	if err := d.errs.sorted(); err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// firstInvalid returns the index of the first byte that is not UTF-8, or -1.
func firstInvalid(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// bareReference reports whether "${" stands where the parser gave up, at the
// brace: YAML takes it for the beginning of a mapping inside {} and [].
func bareReference(line string, column int) bool {
	r := []rune(line)
	return column >= 2 && column <= len(r) && r[column-1] == '{' && r[column-2] == '$'
}

// place gives line and column of what follows the text.
func place(before []byte) (line, column int) {
	last := bytes.LastIndexByte(before, '\n')
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[last+1:]) + 1
}

// With returns a copy with one scalar at the top level changed by something
// other than the file (a variable, a flag), and its origin noted. It checks
// the value as the file's would be.
func (c *Config) With(path, value string, from Origin) (*Config, error) {
	n := *c
	next := loaded{origins: map[string]Origin{}}
	if c.loaded != nil {
		next.file, next.lines = c.loaded.file, c.loaded.lines
		for k, v := range c.loaded.origins {
			next.origins[k] = v
		}
	}
	next.origins[path] = from
	n.loaded = &next
	switch path {
	case "listen":
		n.Listen = value
	case "data":
		n.Data = value
	default:
		return nil, fmt.Errorf("%s cannot be set by %s", path, from.Name)
	}
	if err := n.validate(); err != nil {
		return nil, err
	}
	return &n, nil
}

// Origin says where the value at a path came from; a value that nobody set is
// the default's.
func (c *Config) Origin(path string) Origin {
	if c.loaded != nil {
		if o, ok := c.loaded.origins[path]; ok {
			return o
		}
	}
	return Origin{From: "default"}
}

// File is the name of the file as it was given to Load, empty when there is
// none.
func (c *Config) File() string {
	if c.loaded == nil {
		return ""
	}
	return c.loaded.file
}

// ErrorAt makes an Error about the value at a path, with its place in the
// file: for whoever knows more than config does, such as whether a route's
// target exists. A path that was never written is looked for upwards.
func (c *Config) ErrorAt(path, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	for at := path; at != ""; {
		o := c.Origin(at)
		switch {
		case o.Line > 0:
			return c.errorAt(o.Line, o.Column, path, message)
		case o.From != "default":
			return &Error{Path: path, Message: message + " (from " + o.Name + ")"}
		}
		i := strings.LastIndexByte(at, '.')
		if i < 0 {
			break
		}
		at = at[:i]
	}
	return &Error{File: c.File(), Path: path, Message: message}
}

func (c *Config) errorAt(line, column int, path, message string) *Error {
	e := &Error{File: c.loaded.file, Line: line, Column: column, Path: path, Message: message}
	if line >= 1 && line <= len(c.loaded.lines) {
		e.Source = masked(c.loaded.lines[line-1])
	}
	return e
}
