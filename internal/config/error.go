package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a configuration, with its place.
type Error struct {
	// File is the name of the file as it was given; empty when the value did
	// not come from a file.
	File string
	// Line and Column are counted from 1, columns in characters; both are 0
	// when there is no place.
	Line, Column int
	// Path is the key, such as "providers.openai.api_key"; empty for an error
	// of the YAML itself.
	Path string
	// Message says what is wrong.
	Message string
	// Source is the line in question with anything that looks like a
	// credential masked; empty when there is no place.
	Source string
}

// Error gives "file:line:column: path: message" and, under it, the source
// line with a caret.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path)
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Line > 0 {
		number := fmt.Sprintf("%5d", e.Line)
		fmt.Fprintf(&b, "\n%s | %s\n%s | %s^", number, e.Source, strings.Repeat(" ", len(number)), indent(e.Source, e.Column))
	}
	return b.String()
}

// indent gives white space as wide as the characters before a column, tabs
// kept so that the caret stands where a terminal shows the character.
func indent(line string, column int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= column-1 {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// Errors are all that is wrong with a configuration, in the order of the
// file. It is never empty when it is returned as an error.
type Errors []*Error

// Error gives every error, one after another.
func (e Errors) Error() string {
	all := make([]string, len(e))
	for i, one := range e {
		all[i] = one.Error()
	}
	return strings.Join(all, "\n")
}

// Unwrap gives the single errors.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// sorted returns the errors in the order of the file, nil when there are none.
func (e Errors) sorted() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return e
}

// secretKey finds a value that follows a key which may hold a credential, and
// secretValue finds what looks like one anywhere. A log collector keeps what
// serve prints, so an excerpt must not show a key that was pasted into the
// file.
var (
	secretKey   = regexp.MustCompile(`(?i)[\w-]*(?:key|token|secret|auth|passw|credential|cookie|api_)[\w-]*["']?\s*:\s*`)
	secretValue = regexp.MustCompile(`(?:sk|hr|gsk|pk|xai|nvapi|hf|AIza|r8|key)[-_][A-Za-z0-9_\-.]{8,}`)
)

// maskFrom is the length from which a value after such a key is masked:
// shorter ones are words such as "bearer", not keys.
const maskFrom = 12

// masked hides credentials in a source line, keeping its width.
func masked(line string) string {
	stars := func(s string) string { return strings.Repeat("*", len([]rune(s))) }
	line = secretValue.ReplaceAllStringFunc(line, stars)
	for _, at := range secretKey.FindAllStringIndex(line, -1) {
		value := line[at[1]:]
		// A mapping in braces is looked into: its own keys come later in this
		// loop. Anything else to the end of the line is the value.
		if len(value) < maskFrom || wholeReference(value) || value[0] == '{' {
			continue
		}
		return line[:at[1]] + stars(value)
	}
	return line
}

// wholeReference reports whether the value is nothing but ${...}, perhaps
// quoted, which is worth showing and gives nothing away.
func wholeReference(v string) bool {
	v = strings.Trim(strings.TrimSpace(v), `"'`)
	return strings.HasPrefix(v, "${") && strings.IndexByte(v, '}') == len(v)-1 && !strings.Contains(v, ":-")
}
