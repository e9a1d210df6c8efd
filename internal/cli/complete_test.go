package cli

import (
	"slices"
	"testing"

	"github.com/alecthomas/kong"
)

func TestComplete(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&grammar{}, kong.Name("headrace"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words    []string
		has, not []string
	}{
		{nil, []string{"serve", "demo", "doctor"}, []string{"complete", "--config"}},
		{[]string{""}, []string{"serve"}, nil},
		{[]string{"se"}, []string{"serve"}, []string{"status", "set"}},
		{[]string{"nothing-like-that", ""}, []string{"serve"}, nil},
		{[]string{"keys", ""}, []string{"create", "list", "revoke", "rotate"}, []string{"serve"}},
		{[]string{"keys", "create", "--p"}, []string{"--priority", "--parallel"}, []string{"--config", "--rpm"}},
		{[]string{"keys", "create", "--priority", ""}, []string{"interactive", "batch"}, []string{""}},
		{[]string{"keys", "create", "--priority", "batch", ""}, nil, []string{"interactive"}},
		{[]string{"keys", "create", "--priority=i"}, []string{"--priority=interactive"}, nil},
		{[]string{"keys", "create", "--admin", "--"}, []string{"--name", "--team"}[1:], nil},
		{[]string{"-c", "keys", "us"}, []string{"usage"}, nil}, // keys is the file of -c
		{[]string{"budgets", "set", ""}, []string{"daily", "total"}, nil},
		{[]string{"budgets", "set", "daily", ""}, nil, []string{"daily"}},
		{[]string{"completion", "z"}, []string{"zsh"}, []string{"fish"}},
		{[]string{"--json", "usage", "--by", "d"}, []string{"day", "day_model"}, []string{"key"}},
	} {
		got := complete(parser.Model.Node, c.words)
		for _, want := range c.has {
			if !slices.Contains(got, want) {
				t.Errorf("%q: no %q in %q", c.words, want, got)
			}
		}
		for _, bad := range c.not {
			if slices.Contains(got, bad) {
				t.Errorf("%q: %q in %q", c.words, bad, got)
			}
		}
		if len(c.has) == 0 && len(got) != 0 && c.words != nil {
			t.Errorf("%q: %q, where nothing can be known", c.words, got)
		}
	}
}
