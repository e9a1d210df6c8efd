package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// standIn is what every reference gives where nothing is read: it is taken for a
// key, and for a URL.
const standIn = "http://reference.invalid"

// maxSecret is the largest file that ${file:...} reads.
const maxSecret = 64 << 10

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expandError is what is wrong with one reference.
type expandError struct {
	// ref is the reference as written, to find its place.
	ref     string
	message string
}

// expand replaces ${NAME}, ${NAME:-default} and ${file:path} in a scalar. It
// runs after the YAML is parsed, so a value can never become a key. It is not
// repeated on what it gives. "$${" stands for "${". refs are the references
// that it met, defaults left out because they may be secret.
func expand(text string, getenv func(string) string, dir string) (out string, refs []string, _ *expandError) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), refs, nil
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1])
			b.WriteString("${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return "", nil, &expandError{"${", "a ${ without its }: write $${ for the characters themselves"}
		}
		ref := text[i : i+end+1]
		text = text[i+end+1:]
		value, shown, message := resolve(ref[2:len(ref)-1], getenv, dir)
		if message != "" {
			return "", nil, &expandError{ref, message}
		}
		b.WriteString(value)
		refs = append(refs, shown)
	}
}

// resolve gives the value of what stands between ${ and }, or what is wrong.
func resolve(inner string, getenv func(string) string, dir string) (value, shown, wrong string) {
	if getenv == nil {
		return standIn, "${" + inner + "}", ""
	}
	if inner == "file" {
		return "", "", "${file} names no file: write ${file:/path}"
	}
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		value, err := readSecret(path, dir)
		if err != nil {
			return "", "", err.Error()
		}
		return value, "${" + inner + "}", ""
	}
	name, standIn, has := strings.Cut(inner, ":-")
	if !variable.MatchString(name) {
		return "", "", fmt.Sprintf("unknown reference ${%s}: ${NAME}, ${NAME:-default} and ${file:/path} are known", clip(name))
	}
	if value = getenv(name); value == "" {
		if !has {
			return "", "", fmt.Sprintf("the environment variable %s is not set: set it, or write ${%s:-default}", name, name)
		}
		value = standIn
	}
	if !utf8.ValidString(value) {
		return "", "", fmt.Sprintf("the environment variable %s is not UTF-8", name)
	}
	return value, "${" + name + "}", ""
}

// readSecret reads a file for ${file:...}; one line break at its end is taken
// off, since editors and echo write it.
func readSecret(path, dir string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("${file:} names no file: write ${file:/path}")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot read the file: %w", err)
	case len(text) > maxSecret:
		return "", fmt.Errorf("the file %s is over 64 KB", path)
	case !utf8.Valid(text):
		return "", fmt.Errorf("the file %s is not UTF-8", path)
	}
	s := strings.TrimSuffix(string(text), "\n")
	return strings.TrimSuffix(s, "\r"), nil
}
