package span_test

import (
	"strings"
	"testing"

	"headrace/internal/wire/span"
)

// TestWalk: values are found by their names, escaped or not, and come as they
// stand.
func TestWalk(t *testing.T) {
	t.Parallel()
	raw := []byte(` { "a" : [ 1, {"b":"x\"}"} ,"y" ] , "\u0063":{"d": 1e3 }, "a2":null,"e":"" } `)
	var names []string
	for k := range span.Fields(raw) {
		names = append(names, string(k))
	}
	if got := strings.Join(names, " "); got != "a c a2 e" {
		t.Errorf("names %q", got)
	}
	var all []string
	for _, v := range span.Elements(span.Field(raw, "a")) {
		all = append(all, string(v))
	}
	if got := strings.Join(all, "|"); got != `1|{"b":"x\"}"}|"y"` {
		t.Errorf("elements %q", got)
	}
	if n, ok := span.Integer(span.At(raw, "c", "d")); n != 1000 || !ok {
		t.Errorf("c.d is %d, %v", n, ok)
	}
	if span.At(raw, "c", "x", "y") != nil || !span.IsNull(span.Field(raw, "none")) || !span.IsNull(span.Field(raw, "a2")) {
		t.Error("what is not there was found")
	}
	if !span.Blank(span.Field(raw, "e")) || span.Blank(span.Field(raw, "a")) {
		t.Error("blank")
	}
}

// TestObject: commas stand between members and nowhere else, and a value of
// several lines becomes one.
func TestObject(t *testing.T) {
	t.Parallel()
	o := span.Open([]byte("x"))
	o.Str("a", "\xff\"")
	o.Int("b", -1)
	o.Bool("c", true)
	o.Name("d")
	o.B = span.AppendFlat(o.B, []byte("[\n1]"))
	if got := string(o.Close()); got != "x{\"a\":\"\ufffd\\\"\",\"b\":-1,\"c\":true,\"d\":[ 1]}" {
		t.Error(got)
	}
	o = span.Open(nil)
	if got := string(o.Close()); got != "{}" || o.Some() {
		t.Error(got)
	}
}

// FuzzWalk: on text of any kind the walkers end and do not panic.
func FuzzWalk(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"\\"}]}`, `{"a"`, `["`, `{"\`, `[[[`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range span.Fields(b) {
			for _, w := range span.Elements(v) {
				span.Text(w)
			}
		}
		for _, v := range span.Elements(b) {
			span.Field(v, "a")
		}
		// The readers find the same as the walkers where there is JSON to find.
		valid := span.Valid(b)
		var names, values []string
		for k, v := range span.Fields(b) {
			names, values = append(names, string(k)), append(values, string(v))
		}
		n := 0
		o := span.ReadObject(b)
		for ; o.Next(); n++ {
			if valid && (n >= len(names) || string(o.Name) != names[n] || string(o.Val) != values[n] || string(b[o.From:o.From+len(o.Val)]) != values[n]) {
				t.Fatalf("member %d of %q: %q %q", n, b, o.Name, o.Val)
			}
		}
		if valid && span.IsObject(b) && (o.Bad || n != len(names)) {
			t.Fatalf("%d of %d members of %q, bad %v", n, len(names), b, o.Bad)
		}
		values, n = nil, 0
		for _, v := range span.Elements(b) {
			values = append(values, string(v))
		}
		a := span.ReadMany(b)
		if a.Single() {
			return // the object alone
		}
		for ; a.Next(); n++ {
			if valid && (n >= len(values) || string(a.Val) != values[n] || string(b[a.From:a.From+len(a.Val)]) != values[n]) {
				t.Fatalf("element %d of %q: %q", n, b, a.Val)
			}
		}
		if valid && span.IsArray(b) && (a.Bad || n != len(values)) {
			t.Fatalf("%d of %d elements of %q, bad %v", n, len(values), b, a.Bad)
		}
	})
}
