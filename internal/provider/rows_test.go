package provider_test

import (
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/provider"
)

// TestEveryRowIsCallable: a row of the catalogue is all that a provider needs
// beside its key: dialect, auth kind and quirk are known here.
func TestEveryRowIsCallable(t *testing.T) {
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Providers()) < 30 {
		t.Fatalf("%d providers", len(c.Providers()))
	}
	for _, row := range c.Providers() {
		o := provider.Options{Row: row, Key: "k"}
		if row.BaseURL == "" {
			o.BaseURL = "http://127.0.0.1:1" // only the operator knows it
		}
		if _, err := provider.New(o); err != nil {
			t.Error(err)
		}
	}
}
