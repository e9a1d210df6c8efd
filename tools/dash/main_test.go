package main

import "testing"

// TestFresh: what is committed is what the sources give now.
func TestFresh(t *testing.T) {
	stale, err := refresh("../..", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stale {
		t.Errorf("%s is stale: run go generate ./internal/dash", name)
	}
}
