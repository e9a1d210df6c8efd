package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"headrace/internal/llm"
)

// leastSecret is how long a secret is at least that is looked for in a whole
// text: shorter ones would be found in words that are none.
const leastSecret = 8

// Mask gives the text of a configuration file with all that is a secret in clear,
// or looks like one, in the form "(kept 1f2e3d4c5b6a)", and what those stand for.
// c is what the text says, as far as it can be read; nil is not at all. The salt
// makes the same secret look another way elsewhere.
func (c *Config) Mask(text string, salt []byte) (hidden string, kept map[string]string) {
	kept = map[string]string{}
	keep := func(secret string) string {
		h := hmac.New(sha256.New, salt)
		h.Write([]byte(secret))
		mark := "(kept " + hex.EncodeToString(h.Sum(nil)[:6]) + ")"
		kept[mark] = secret
		return mark
	}
	for _, s := range c.secrets() {
		if len(s) >= leastSecret {
			text = strings.ReplaceAll(text, s, keep(s))
		}
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = maskLine(line, keep)
	}
	return strings.Join(lines, "\n"), kept
}

// maskLine keeps the parts of a line that look like secrets and are not kept
// already.
func maskLine(line string, keep func(string) string) string {
	plain, stars := []rune(line), []rune(masked(line))
	if len(plain) != len(stars) {
		return keep(line)
	}
	var out strings.Builder
	for i := 0; i < len(plain); {
		if plain[i] == stars[i] {
			out.WriteRune(plain[i])
			i++
			continue
		}
		j := i
		for j < len(plain) && (plain[j] != stars[j] || plain[j] == '*') {
			j++
		}
		part := string(plain[i:j])
		if mark.MatchString(part) { // with what stands around it, such as quotes
			out.WriteString(part)
		} else {
			out.WriteString(keep(part))
		}
		i = j
	}
	return out.String()
}

var mark = regexp.MustCompile(`\(kept [0-9a-f]{12}\)`)

// Unmask puts back what Mask took out. lost are the marks that stand for nothing,
// with the lines that they are on.
func Unmask(text string, kept map[string]string) (whole string, lost Errors) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = mark.ReplaceAllStringFunc(line, func(m string) string {
			secret, ok := kept[m]
			if !ok {
				at := strings.Index(line, m)
				lost = append(lost, &Error{Line: i + 1, Column: len([]rune(line[:at])) + 1, Source: line,
					Message: "nothing is kept under this mark any more: write the value, or read the configuration again"})
				return m
			}
			return secret
		})
	}
	return strings.Join(lines, "\n"), lost
}

// secrets are all values of secrets, the longest first.
func (c *Config) secrets() []string {
	if c == nil {
		return nil
	}
	var all []string
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		if s, ok := v.Interface().(llm.Secret); ok {
			if s != "" {
				all = append(all, s.Reveal())
			}
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			for f, one := range v.Fields() {
				if f.IsExported() {
					walk(one)
				}
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(v.MapIndex(k))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		}
	}
	walk(reflect.ValueOf(c).Elem())
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

// Parse reads a text as the environment's file of that name would be read; see
// Parse.
func (e Env) Parse(name string, text []byte) (*Config, error) {
	getenv := e.getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	return Parse(name, text, getenv)
}
