// Package cred signs requests to providers.
package cred

import (
	"net/http"
	"strings"

	"headrace/internal/llm"
)

// Signer puts a credential on a request, last of all: after it nothing about
// the request changes. Safe for concurrent use.
type Signer interface {
	Sign(r *http.Request) error
}

// None leaves the request as it is.
type None struct{}

// Sign does nothing.
func (None) Sign(*http.Request) error { return nil }

// Bearer sends the key as Authorization: Bearer.
type Bearer struct{ Key llm.Secret }

// Sign sets the Authorization header.
func (b Bearer) Sign(r *http.Request) error {
	r.Header["Authorization"] = []string{"Bearer " + b.Key.Reveal()}
	return nil
}

// Header sends the key as the value of the header Name, such as "x-api-key".
type Header struct {
	Name string
	Key  llm.Secret
}

// Sign sets the header.
func (h Header) Sign(r *http.Request) error {
	r.Header.Set(h.Name, h.Key.Reveal())
	return nil
}

// Hide takes a credential out of a text that came from the provider which
// knows it: some repeat it in their errors.
func Hide(key llm.Secret, text string) string {
	if key == "" || !strings.Contains(text, key.Reveal()) {
		return text
	}
	return strings.ReplaceAll(text, key.Reveal(), key.String())
}
