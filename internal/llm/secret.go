package llm

import "log/slog"

// Secret is a credential. Every way of printing it shows "[redacted]"; only
// Reveal gives the value, and the places that call it are few on purpose.
type Secret string

const redacted = "[redacted]"

// Reveal returns the value for the one place that must send it.
func (s Secret) Reveal() string { return string(s) }

// String keeps the value out of %s and %v.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps the value out of %#v.
func (s Secret) GoString() string { return `llm.Secret("` + s.String() + `")` }

// LogValue keeps the value out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the value out of JSON, YAML and every other encoding.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
