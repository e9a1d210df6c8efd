package llm

import (
	"net/http"
	"strings"
	"testing"
)

func TestReadTrace(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, c := range []struct {
		line string
		ok   bool
	}{
		{good, true},
		{strings.Replace(good, "-01", "-00", 1), true},
		{"01" + good[2:] + "-more", true},
		{good + "-more", false}, // version 00 says no more
		{"ff" + good[2:], false},
		{strings.ToUpper(good), false},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
		{"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", false},
		{good[:54], false}, {"", false}, {strings.Repeat("-", 55), false},
	} {
		h := http.Header{"Traceparent": {c.line}, "Tracestate": {"a=1", "b=2"}}
		got, ok := ReadTrace(h)
		if ok != c.ok {
			t.Errorf("%q: %v", c.line, ok)
		}
		if !ok && got != (Trace{}) {
			t.Errorf("%q: something of it is kept: %+v", c.line, got)
		}
		if ok && c.line == good && (got.Header(got.Parent) != good || got.State != "a=1,b=2" || !got.Sampled) {
			t.Errorf("%q: %+v %s", c.line, got, got.Header(got.Parent))
		}
	}
	if _, ok := ReadTrace(http.Header{"Traceparent": {good, good}}); ok {
		t.Error("two traceparents are one too many")
	}
	at := Trace{ID: [16]byte{1}, Span: [8]byte{2}}
	seen := map[[8]byte]bool{at.Span: true}
	for n := 1; n <= 1000; n++ {
		if s := at.Attempt(n); seen[s] || s != at.Attempt(n) {
			t.Fatalf("attempt %d has the span of another", n)
		} else {
			seen[s] = true
		}
	}
}
