package forms

import (
	"strings"

	"headrace/internal/wire/span"
)

// Tier reads the service tier that an answer names, in lower case; empty when
// it names none.
func Tier(v []byte) string {
	if len(v) == 0 || v[0] != '"' {
		return ""
	}
	switch string(v) { // nearly all of them, without a copy
	case `"default"`:
		return "default"
	case `"priority"`:
		return "priority"
	case `"flex"`:
		return "flex"
	}
	return strings.ToLower(span.Text(v))
}
