package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"headrace/internal/llm"
)

// Print writes the whole configuration as YAML, every secret redacted and
// every value with a comment that says where it came from. What it writes is
// itself a valid file but for the secrets.
func (c *Config) Print(w io.Writer) error {
	p := printer{config: c}
	p.members("", "", reflect.ValueOf(c).Elem())
	width := 0
	for _, l := range p.lines {
		if l.origin != "" {
			width = max(width, min(len([]rune(l.text)), 56))
		}
	}
	for _, l := range p.lines {
		text := l.text
		if l.origin != "" {
			text = fmt.Sprintf("%-*s  # %s", width, l.text, l.origin)
		}
		if _, err := io.WriteString(w, text+"\n"); err != nil {
			return err
		}
	}
	return nil
}

type printer struct {
	config *Config
	lines  []struct{ text, origin string }
}

func (p *printer) line(text, path string, scalar bool) {
	l := struct{ text, origin string }{text: text}
	if scalar {
		// The text of an origin holds file names and variables, never values;
		// a line break in a file name must not end the comment.
		l.origin = strings.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, p.config.Origin(path).String())
	}
	p.lines = append(p.lines, l)
}

func (p *printer) members(prefix, path string, v reflect.Value) {
	for _, f := range fields(v.Type()) {
		name := f.Tag.Get("yaml")
		p.member(prefix, name, join(path, name), v.FieldByIndex(f.Index))
	}
}

// member writes one key. Empty members of providers and models are left out:
// they mean what the catalogue says.
func (p *printer) member(prefix, name, path string, v reflect.Value) {
	written := p.config.Origin(path).From != "default"
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	key := prefix + quoted(name) + ":"
	if text, ok := scalarText(v); ok {
		if optional(path) && v.IsZero() && !written {
			return
		}
		p.line(key+" "+text, path, true)
		return
	}
	if r, ok := v.Interface().(Route); ok && len(r.Ladder) == 0 && r.Success == nil {
		v = v.FieldByName("Targets") // the short form
	}
	switch v.Kind() {
	case reflect.Struct:
		before := len(p.lines)
		p.line(key, path, false)
		p.members(prefix+"  ", path, v)
		if len(p.lines) == before+1 {
			p.lines = p.lines[:before]
			if !optional(path) || written {
				p.line(key+" {}", path, written)
			}
		}
	case reflect.Map:
		if v.Len() == 0 {
			if !optional(path) || written {
				p.line(key+" {}", path, true)
			}
			return
		}
		p.line(key, path, false)
		names := make([]string, 0, v.Len())
		for _, k := range v.MapKeys() {
			names = append(names, k.String())
		}
		slices.Sort(names)
		for _, k := range names {
			p.member(prefix+"  ", k, join(path, k), v.MapIndex(reflect.ValueOf(k)))
		}
	case reflect.Slice:
		if v.Len() == 0 {
			if !optional(path) || written {
				p.line(key+" []", path, true)
			}
			return
		}
		p.line(key, path, false)
		for i := range v.Len() {
			text, ok := scalarText(v.Index(i))
			if !ok {
				text = flow(v.Index(i))
			}
			p.line(prefix+"  - "+text, join(path, strconv.Itoa(i)), true)
		}
	}
}

// flow writes an entry of a list that is a struct on one line, without what is
// empty.
func flow(v reflect.Value) string {
	var parts []string
	for _, f := range fields(v.Type()) {
		one := v.FieldByIndex(f.Index)
		if one.IsZero() {
			continue
		}
		if one.Kind() == reflect.Pointer {
			one = one.Elem() // set, and perhaps to zero
		}
		text, ok := scalarText(one)
		switch {
		case ok:
		case one.Kind() == reflect.Slice:
			list := make([]string, one.Len())
			for i := range list {
				if list[i], ok = scalarText(one.Index(i)); !ok {
					list[i] = flow(one.Index(i))
				}
			}
			text = "[" + strings.Join(list, ", ") + "]"
		default:
			text = flow(one)
		}
		parts = append(parts, f.Tag.Get("yaml")+": "+text)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// optional reports whether an empty member at a path says nothing: those of
// single providers, models and classes.
func optional(path string) bool {
	for _, under := range []string{"providers.", "models.", "retries.classes."} {
		if rest, ok := strings.CutPrefix(path, under); ok && strings.Contains(rest, ".") {
			return true
		}
	}
	return false
}

// scalarText gives a scalar as YAML, secrets redacted; ok is false for
// anything that is no scalar.
func scalarText(v reflect.Value) (string, bool) {
	if s, ok := v.Interface().(llm.Secret); ok {
		return quoted(s.String()), true
	}
	if text, ok := textOf(v); ok {
		return text, true
	}
	switch v.Kind() {
	case reflect.String:
		return quoted(v.String()), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64), true
	}
	return "", false
}

// textOf gives the text of a type that writes itself (Duration, ByteSize,
// USD, Secret).
func textOf(v reflect.Value) (string, bool) {
	m, ok := v.Interface().(encoding.TextMarshaler)
	if !ok {
		return "", false
	}
	text, err := m.MarshalText()
	return string(text), err == nil
}

// quoted writes a string as a YAML scalar: bare where that cannot be read as
// anything else, else in double quotes as JSON does, which YAML reads alike.
func quoted(s string) string {
	bare := s != ""
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '/'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789_.-+", r)) {
			bare = false
		}
	}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		bare = false
	}
	if bare {
		return s
	}
	return strings.ReplaceAll(strconv.Quote(s), "${", "$${")
}
