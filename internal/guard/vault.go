package guard

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Vault is what one conversation's redactions took out. The same value has the
// same placeholder throughout, numbered by first appearance: a turn that is sent
// again with its history is redacted to the same bytes, so caches stay warm and
// signatures stay bound. Not safe for concurrent use.
type Vault struct {
	names  map[string]string // by value
	values map[string]string // by placeholder
	count  map[string]int    // by kind
	taken  map[string]bool   // what the text itself writes so
}

// placeholder is how a placeholder looks; longest is the longest one.
var placeholder = regexp.MustCompile(`\[[A-Z_]{3,12}_[0-9]{1,6}\]`)

const longest = 1 + 12 + 1 + 6 + 1

// NewVault makes an empty one.
func NewVault() *Vault {
	return &Vault{names: map[string]string{}, values: map[string]string{}, count: map[string]int{}, taken: map[string]bool{}}
}

// Empty reports whether nothing was taken out.
func (v *Vault) Empty() bool { return v == nil || len(v.values) == 0 }

// note sees what looks like a placeholder in a text as it came, so that none of
// ours is mistaken for it.
func (v *Vault) note(text string) {
	if strings.Contains(text, "[") {
		for _, p := range placeholder.FindAllString(text, -1) {
			v.taken[p] = true
		}
	}
}

// name gives a value's placeholder.
func (v *Vault) name(kind, value string) string {
	if p, ok := v.names[value]; ok {
		return p
	}
	for {
		v.count[kind]++
		p := "[" + strings.ToUpper(kind) + "_" + strconv.Itoa(v.count[kind]) + "]"
		if !v.taken[p] {
			v.names[value], v.values[p] = p, value
			return p
		}
	}
}

// redact replaces the findings that say so.
func (v *Vault) redact(text string, found []Finding) string {
	var b strings.Builder
	at := 0
	for _, f := range found {
		if f.Do == Redact {
			b.WriteString(text[at:f.From])
			b.WriteString(v.name(f.Kind, text[f.From:f.To]))
			at = f.To
		}
	}
	b.WriteString(text[at:])
	return b.String()
}

// Restore puts back what placeholders stand for.
func (v *Vault) Restore(text string) string {
	if v.Empty() || !strings.Contains(text, "[") {
		return text
	}
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		if value, ok := v.values[p]; ok {
			return value
		}
		return p
	})
}

// restoreJSON puts back what placeholders stand for inside JSON text, where they
// stand in strings.
func (v *Vault) restoreJSON(text string) string {
	if v.Empty() || !strings.Contains(text, "[") {
		return text
	}
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		value, ok := v.values[p]
		if !ok {
			return p
		}
		quoted, err := jsontext.AppendQuote(nil, value)
		if err != nil { // not UTF-8; a body's text always is
			return p
		}
		return string(quoted[1 : len(quoted)-1])
	})
}

// blank stands for what a model has written and nobody is to read.
func blank(kind string) string { return "[" + strings.ToUpper(kind) + "]" }
