package forms

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Body reads members of a request body. It keeps the first error: what comes
// after that does not matter.
type Body struct {
	// Err is nil or an *llm.Error of class InvalidRequest that begins with the
	// path of what is wrong.
	Err error
}

// Fail says what is wrong at a path.
func (b *Body) Fail(path, format string, args ...any) {
	if b.Err == nil {
		e := llm.Errorf(llm.InvalidRequest, "%s %s", path, fmt.Sprintf(format, args...))
		e.Param = path
		b.Err = e
	}
}

// Boolean reads true or false; null is nil.
func (b *Body) Boolean(path string, v []byte) *bool {
	switch span.Kind(v) {
	case 't', 'f':
		is := span.Kind(v) == 't'
		return &is
	case 'n':
		return nil
	}
	b.Fail(path, "must be true or false")
	return nil
}

// Number reads a number as it is spelled; null is nil.
func (b *Body) Number(path string, v jsontext.Value) jsontext.Value {
	switch {
	case span.IsNumber(v):
		return v
	case span.IsNull(v):
		return nil
	}
	b.Fail(path, "must be a number")
	return nil
}

// Source reads a URL that may be a data: URL.
func Source(m *llm.Media, url string) {
	if rest, ok := strings.CutPrefix(url, "data:"); ok {
		if mime, data, ok := strings.Cut(rest, ","); ok {
			if mime, ok := strings.CutSuffix(mime, ";base64"); ok {
				m.MIME, _, _ = strings.Cut(mime, ";")
				m.Data = data
				return
			}
		}
	}
	m.URL = url
}

// ClosedSchema reports whether OpenAI's strict mode would take the schema's
// top level: an object, additionalProperties false, all properties required.
func ClosedSchema(s []byte) bool {
	if span.Kind(span.Field(s, "additionalProperties")) != 'f' {
		return false
	}
	need := map[string]bool{}
	for _, n := range span.Elements(span.Field(s, "required")) {
		need[span.Text(n)] = true
	}
	for k, v := range span.Fields(span.Field(s, "properties")) {
		if !need[string(k)] || span.IsObject(span.Field(v, "properties")) || span.Field(v, "items") != nil {
			return false
		}
	}
	return true
}

// Join gives the path of a member; an empty path is the top.
func Join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
