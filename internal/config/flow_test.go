package config

import (
	"reflect"
	"testing"
)

// TestFlow: an entry of a list may hold what is set to zero, and lists.
func TestFlow(t *testing.T) {
	t.Parallel()
	zero := int64(0)
	v := struct {
		Name string   `yaml:"name"`
		Most *int64   `yaml:"most"`
		Not  *int64   `yaml:"not"`
		Tags []string `yaml:"tags"`
	}{Name: "a", Most: &zero, Tags: []string{"one", "two"}}
	if got, want := flow(reflect.ValueOf(v)), "{name: a, most: 0, tags: [one, two]}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
