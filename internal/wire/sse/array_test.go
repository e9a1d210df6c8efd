package sse_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"headrace/internal/wire/sse"
)

// TestArray: the objects of a growing array come one by one, as soon as each is
// whole, and all bytes come back, however they arrive.
func TestArray(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     []string
		cut      bool
	}{
		{"objects", "[{\"a\":1}\n,\r\n{\"b\":\"]},{\\\"\\\\\"}\n]\n", []string{`{"a":1}`, `{"b":"]},{\"\\"}`}, false},
		{"nested", `[{"a":[{"b":[]}]},[{}]]`, []string{`{"a":[{"b":[]}]}`, `[{}]`}, false},
		{"empty", " [ ] ", nil, false},
		{"nothing", "", nil, true},
		{"one object", `{"error":{"a":[1]}}`, []string{`{"error":{"a":[1]}}`}, false},
		{"never closed", `[{"a":1},`, []string{`{"a":1}`}, true},
		{"cut in an object", `[{"a":1},{"b":"x`, []string{`{"a":1}`, `{"b":"x`}, true},
		{"no objects", `[1,"{",null]`, nil, false},
	} {
		for size := 1; size <= len(c.in)+1; size++ {
			r := sse.NewArrayReader(&chunks{text: c.in, size: size}, 0)
			var got []string
			raw := ""
			for {
				f, err := r.Next()
				if err != nil {
					if want := map[bool]error{true: sse.ErrCut, false: io.EOF}[c.cut]; err != want {
						t.Errorf("%s by %d: %v, want %v", c.name, size, err, want)
					}
					break
				}
				raw += string(f.Raw)
				if f.Data != nil {
					got = append(got, string(f.Data))
				}
			}
			if raw != c.in || !slices.Equal(got, c.want) {
				t.Errorf("%s by %d: %q, want %q; the bytes %q", c.name, size, got, c.want, raw)
			}
		}
	}
	r := sse.NewArrayReader(strings.NewReader(`[{"a":"`+strings.Repeat("x", 100)), 50)
	if _, err := r.Next(); err != sse.ErrTooLarge {
		t.Errorf("a frame over the cap: %v", err)
	}
}

// chunks gives text in reads of a size.
type chunks struct {
	text string
	size int
}

func (c *chunks) Read(b []byte) (int, error) {
	if c.text == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(c.size, len(b))], c.text)
	c.text = c.text[n:]
	return n, nil
}

// TestArrayPromptly: an object comes before anything behind it has.
func TestArrayPromptly(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	r := sse.NewArrayReader(in, 0)
	for i, piece := range []string{`[{"a":1}`, "\n,\n{\"a\":2}", `,{"a":3}`} {
		go io.WriteString(out, piece)
		if f, err := r.Next(); err != nil || string(f.Data) != fmt.Sprintf(`{"a":%d}`, i+1) {
			t.Fatalf("%d: %q %v", i, f.Data, err)
		}
	}
	go out.Close()
	if _, err := r.Next(); err != sse.ErrCut {
		t.Errorf("%v", err)
	}
}

func FuzzArray(f *testing.F) {
	f.Add([]byte(`[{"a":"\""},{"b":[1,{}]}]`), 3)
	f.Add([]byte(`{"a":1}{"b":2}]`), 1)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		r := sse.NewArrayReader(&chunks{text: string(in), size: max(1, size%50)}, 0)
		var raw []byte
		for {
			f, err := r.Next()
			if err != nil {
				break
			}
			raw = append(raw, f.Raw...)
		}
		if !bytes.Equal(raw, in) {
			t.Errorf("%q came back as %q", in, raw)
		}
	})
}
