package span_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/wire/span"
)

var heads = []string{"model", "stream", "max_tokens", "Kind"}

func nested(n int, open, close string) string {
	return strings.Repeat(open, n) + strings.Repeat(close, n)
}

func many(n int, more string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"name_%d":%d,`, i, i)
	}
	return "{" + b.String() + more + "}"
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, ` {   } `, "\t\r\n{\"a\" : 1 ,\n\"b\":[ ] , \"c\" :{ } }\n",
		`{"model":"x","messages":[{"role":"user","content":"h\u00e9 \"\\\/\b\f\n\r\t \ud83d\ude00 é 😀"}],"n":-0.5e+10,"z":0,"t":true,"f":false,"u":null}`,
		`{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}`, `{"\u0061b":1,"":2,"é":3,"a\"b":4}`, `{"Model2":1,"model":2}`,
		`{"a":` + nested(99, "[", "]") + `}`, `{"a":` + strings.Repeat(`{"a":`, 99) + `1` + strings.Repeat("}", 99) + `}`,
		many(63, `"x":1`), many(64, `"x":1`), many(500, `"x":1`), `{"a":` + many(200, `"x":1`) + `}`,
		`{"a":"` + strings.Repeat("[{", 500) + `"}`, `{"a":1E5,"b":-0,"c":1.0}`,
		// Long strings, with what ends a run of plain bytes at every place.
		`{"a":"` + strings.Repeat("plain text ", 40) + `","b":1}`,
		`{"a":"` + strings.Repeat(strings.Repeat("plain ", 20)+`\"é\n`, 9) + `","b":1}`,
		`{"a":"` + strings.Repeat("é", 300) + `","b":"` + strings.Repeat(`\\`, 100) + `"}`,
	} {
		members, err := span.Members(nil, []byte(body), heads)
		if err != nil {
			t.Errorf("%.60s: %v", body, err)
			continue
		}
		against(t, []byte(body), members)
	}
}

// against checks the members with encoding/json.
func against(t *testing.T, body []byte, members []span.Member) {
	t.Helper()
	var want map[string]json.RawMessage
	if err := json.Unmarshal(body, &want); err != nil {
		t.Errorf("%.60q was taken, encoding/json says %v", body, err)
		return
	}
	if len(members) != len(want) {
		t.Errorf("%.60q: %d members, want %d", body, len(members), len(want))
	}
	at := 0
	for _, m := range members {
		if got := string(body[m.Value.From:m.Value.To]); got != string(want[m.Name]) {
			t.Errorf("%.60q: value of %q is %q, want %q", body, m.Name, got, want[m.Name])
		}
		var name string
		if err := json.Unmarshal(body[m.Key.From:m.Key.To], &name); err != nil || name != m.Name {
			t.Errorf("%.60q: the key of %q reads %q, %v", body, m.Name, name, err)
		}
		if m.Key.From < at || m.Value.From < m.Key.To {
			t.Errorf("%.60q: %+v is out of order", body, m)
		}
		at = m.Value.To
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		offset     int
		reason     string
	}{
		{"empty", ``, 0, "cut off"},
		{"white space", ` `, 1, "cut off"},
		{"cut in the object", `{"a":1`, 6, "cut off"},
		{"cut in a name", `{"a`, 3, "cut off"},
		{"cut in a string", `{"a":"b`, 7, "cut off"},
		{"cut in an escape", `{"a":"\u00`, 10, "cut off"},
		{"cut in a literal", `{"a":tr`, 7, "cut off"},
		{"cut behind a comma", `{"a":1,`, 7, "cut off"},
		{"cut in a rune", "{\"a\":\"\xe2\x82", 8, "cut off"},
		{"array", ` [1]`, 1, "not a JSON object"},
		{"string", `"a"`, 0, "not a JSON object"},
		{"null", `null`, 0, "not a JSON object"},
		{"HTML", `<html>`, 0, "invalid character '<'"},
		{"byte order mark", "\ufeff{}", 0, "invalid character"},
		{"trailing", `{"a":1} x`, 8, "something after"},
		{"second object", "{\"a\":1}\n{}", 8, "something after"},
		{"comma at the end", `{"a":1,}`, 6, "invalid character ','"},
		{"no colon", `{"a" 1}`, 5, "invalid character '1'"},
		{"single quotes", `{'a':1}`, 1, "invalid character"},
		{"leading zero", `{"a":01}`, 6, "invalid character '1'"},
		{"plus", `{"a":+1}`, 5, "invalid character '+'"},
		{"bare dot", `{"a":1.}`, 7, "invalid character '}'"},
		{"NaN", `{"a":NaN}`, 5, "invalid character 'N'"},
		{"control character", "{\"a\":\"b\nc\"}", 7, `invalid character '\n'`},
		{"bad escape", `{"a":"b\x"}`, 7, "invalid escape"},
		{"lone surrogate", `{"a":"\ud800"}`, 6, "invalid surrogate"},
		{"surrogates the wrong way", `{"a":"\ude00\ud83d"}`, 6, "invalid surrogate"},
		{"control character far into a string", `{"a":"` + strings.Repeat("plain ", 50) + "\n" + strings.Repeat("é", 50) + `"}`, 306, `invalid character '\n'`},
		{"control character beyond ASCII", `{"a":"` + strings.Repeat("é", 100) + "\n" + `"}`, 206, `invalid character '\n'`},
		{"bad UTF-8 far into a string", `{"a":"` + strings.Repeat("plain ", 50) + "\xff" + strings.Repeat("é", 50) + `"}`, 306, "invalid UTF-8"},
		{"bad escape far into a string", `{"a":"` + strings.Repeat("plain ", 50) + `\"\x"}`, 308, "invalid escape"},
		{"cut far into a string", `{"a":"` + strings.Repeat("plain ", 50), 306, "cut off"},
		{"bad UTF-8", "{\"a\":\"b\xffc\"}", 7, "invalid UTF-8"},
		{"bad UTF-8 in a name", "{\"a\xff\":1}", 3, "invalid UTF-8"},
		{"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", 6, "invalid UTF-8"},
		{"doubled head", `{"model":"a","stream":true,"model":"b"}`, 27, `the name "model" stands twice`},
		{"doubled head, escaped", `{"model":"a", "m\u006fdel":"b"}`, 14, `the name "model" stands twice`},
		{"doubled empty name", `{"":1,"":2}`, 6, "stands twice"},
		{"doubled below", `{"a":[{"b":1,"c":{},"b":2}]}`, 20, `the name "b" stands twice`},
		{"doubled below, escaped", `{"a":[{"b":1,"\u0062":2}]}`, 13, `the name "b" stands twice`},
		{"doubled long names", `{"a":{"some_long_name_1":1,"some_long_name_2":2,"some_long_name_1":3}}`, 48, `"some_long_name_1" stands twice`},
		{"doubled among many", many(300, `"name_7":1`), len(many(300, "")) - 1, `"name_7" stands twice`},
		{"case", `{"Model":"x"}`, 1, `"Model" differs only in case from "model"`},
		{"case, escaped", `{"a":1,"M\u006fdel":"x"}`, 7, `"Model" differs only in case from "model"`},
		{"case, long s", `{"\u017ftream":true}`, 1, `from "stream"`},
		{"case, long s in the clear", `{"ſtream":true}`, 1, `from "stream"`},
		{"case, Kelvin sign", "{\"\u212aind\":1}", 1, `from "Kind"`},
		{"case, both", `{"model":"x","MODEL":"y"}`, 13, `from "model"`},
		{"too deep", `{"a":` + nested(100, "[", "]") + `}`, 5 + 99, "deeper than 100"},
		{"too deep, objects", strings.Repeat(`{"a":`, 101) + "1" + strings.Repeat("}", 101), 500, "deeper than 100"},
		{"too deep, behind a string", `{"s":"\\\"[[{","a":` + nested(2000, "[", "]") + `}`, 19 + 99, "deeper than 100"},
		{"too deep and cut", `{"a":` + strings.Repeat("[", 1_000_000), 5 + 99, "deeper than 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := span.Members(nil, []byte(c.body), heads)
			e, ok := errors.AsType[*span.Error](err)
			if !ok {
				t.Fatalf("%.60s: error %v, want *span.Error", c.body, err)
			}
			if e.Offset != c.offset || !strings.Contains(e.Reason, c.reason) {
				t.Errorf("%.60s: byte %d: %s; want byte %d: ...%s...", c.body, e.Offset, e.Reason, c.offset, c.reason)
			}
		})
	}
}

// Every prefix of a body is refused, each one as cut off and at its end.
func TestEveryPrefixIsCutOff(t *testing.T) {
	t.Parallel()
	body := `{"model":"x","a":[1.5e3,true,null,{"é":"\ud83d\ude00\n"}],"b":{}}`
	for i := range body {
		_, err := span.Members(nil, []byte(body[:i]), heads)
		if e, ok := errors.AsType[*span.Error](err); !ok || e.Offset > i || !strings.Contains(e.Reason, "cut off") {
			t.Errorf("%s: %v, want that it is cut off", body[:i], err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	body := bodies()["agent"]
	dst := make([]span.Member, 0, 16)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := span.Members(dst[:0], body, heads); err != nil {
			t.Fatal(err)
		}
	}); n > 0.5 {
		t.Errorf("%v allocations, want none for a body with common names", n)
	}
}

// What ends a run of plain bytes is seen at every offset from the start of a
// string: the quick scan goes by words and by longer runs.
func TestEveryOffset(t *testing.T) {
	t.Parallel()
	for n := range 200 {
		for _, odd := range []string{`\"`, "\n", "\x1f", "é", "\xff", `\u00e9`, `\x`, `"`, "\x7f", "\x80", "\xc2"} {
			body := []byte(`{"a":"` + strings.Repeat("x", n) + odd + strings.Repeat("y", n/2) + `","b":1}`)
			got, err := span.Members(nil, body, heads)
			want, slow := span.Careful(nil, body, heads)
			if (err == nil) != (slow == nil) || err == nil && cmp.Diff(want, got) != "" {
				t.Errorf("%q after %d bytes: quick %v, careful %v", odd, n, err, slow)
			}
			if _, ok := span.Quick(nil, body, heads); ok != (slow == nil) {
				t.Errorf("%q after %d bytes: the quick scan says %t, the careful one %v", odd, n, ok, slow)
			}
		}
	}
}

func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"model":"x","b":[{"c":"\u0041é"}]}`, `{"a":1,"a":2}`, `{"M\u006fdel":1}`, `{"\u017ftream":1}`,
		`{"a":"\ud83d\ude00"}`, `{"a":-0.1e+5}`, ` { "a" : [ ] } `, "{\"a\":\"\xff\"}", `{"a":` + nested(100, "[", "]") + `}`, many(65, `"x":1`)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := span.Members(nil, body, heads)
		want, slow := span.Careful(nil, body, heads)
		if (err == nil) != (slow == nil) {
			t.Fatalf("%q: quick says %v, careful says %v", body, err, slow)
		}
		if err != nil {
			if e, ok := errors.AsType[*span.Error](err); !ok || e.Offset < 0 || e.Offset > len(body) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%q: members differ (-careful +quick):\n%s", body, d)
		}
		if d := cmp.Diff(want, span.Places(nil, body, 0)); d != "" {
			t.Fatalf("%q: the walker's members differ (-careful +walker):\n%s", body, d)
		}
		against(t, body, got)
	})
}

// TestSplice: patches at the ends, inside, beside one another and empty ones;
// nothing else changes and nothing is copied.
func TestSplice(t *testing.T) {
	body := []byte("0123456789")
	at := func(from, to int, with string) span.Patch {
		return span.Patch{At: span.Span{From: from, To: to}, With: []byte(with)}
	}
	for _, c := range []struct {
		patches []span.Patch
		want    string
	}{
		{nil, "0123456789"},
		{[]span.Patch{at(0, 1, "a")}, "a123456789"},
		{[]span.Patch{at(9, 10, "")}, "012345678"},
		{[]span.Patch{at(10, 10, "z")}, "0123456789z"},
		{[]span.Patch{at(2, 4, "x"), at(4, 4, "y"), at(4, 6, "")}, "01xy6789"},
		{[]span.Patch{at(0, 10, "")}, ""},
	} {
		if got := string(bytes.Join(span.Splice(body, c.patches...), nil)); got != c.want {
			t.Errorf("%v: %q, want %q", c.patches, got, c.want)
		}
	}
	if string(body) != "0123456789" {
		t.Errorf("the body became %q", body)
	}
	if first := span.Splice(body, at(5, 6, "x"))[0]; &first[0] != &body[0] {
		t.Error("a segment is a copy")
	}
	if n := testing.AllocsPerRun(10, func() { span.Splice(body, span.Patch{At: span.Span{From: 1, To: 2}, With: body[:1]}) }); n > 1 {
		t.Errorf("a splice of one patch costs %v allocations, want 1", n)
	}
}
