package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Block is a part of a file that Template writes in place of the defaults.
type Block struct {
	// Key is the top-level key; Text are its lines as YAML, with the key.
	Key, Text string
}

// Template writes a file with every top-level key, what it means, and its
// default commented out; the blocks stand where their keys do. It is a valid
// file if the blocks are.
func Template(blocks []Block) []byte {
	var b strings.Builder
	b.WriteString("# The configuration of Headrace. What is commented out is the default.\n" +
		"# `headrace config check FILE` says what is wrong with it, `headrace config schema` is for editors,\n" +
		"# docs/config.md explains every key. A change is taken over while the gateway runs.\n")
	d := Default()
	v := reflect.ValueOf(d).Elem()
	for _, f := range fields(v.Type()) {
		key := f.Tag.Get("yaml")
		b.WriteByte('\n')
		b.WriteString(wrapped(comments["Config."+f.Name]))
		if i := slices.IndexFunc(blocks, func(b Block) bool { return b.Key == key }); i >= 0 {
			b.WriteString(strings.TrimRight(blocks[i].Text, "\n") + "\n")
			continue
		}
		p := printer{config: d}
		p.member("", key, key, v.FieldByIndex(f.Index))
		for _, l := range p.lines {
			b.WriteString("# " + l.text + "\n")
		}
	}
	return []byte(b.String())
}

// Quoted writes a string as a YAML scalar.
func Quoted(s string) string { return quoted(s) }

// wrapped writes a text as comment lines.
func wrapped(text string) string {
	const width = 110
	var b strings.Builder
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width {
			fmt.Fprintln(&b, line)
			line = "#"
		}
		line += " " + word
	}
	fmt.Fprintln(&b, line)
	return b.String()
}
