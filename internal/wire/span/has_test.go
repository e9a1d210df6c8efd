package span

import (
	"bytes"
	"strings"
	"testing"
)

func TestHas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ b, word string }{
		{"", ""}, {"", "a"}, {"abc", ""}, {"abc", "abc"}, {"abc", "abcd"}, {"abc", "c"}, {"abc", "bc"}, {"abc", "ab"}, {"abc", "d"},
		{"xhr1", "hr1."}, {"hr1", "hr1."}, {".", "hr1."}, {"1.hr1.", "hr1."}, {`"hr1"hr1.`, `"hr1.`}, {"aHIx aHIxL", "aHIxL"}, {"aHIxl", "aHIxL"},
		{strings.Repeat(".", 5000) + "hr1.", "hr1."}, {strings.Repeat(".", 5000) + "hr1,", "hr1."}, {strings.Repeat("hr1,.", 5000), "hr1."},
	} {
		if got, want := Has([]byte(c.b), c.word), strings.Contains(c.b, c.word); got != want {
			t.Errorf("%q in %.20q: %v", c.word, c.b, got)
		}
	}
}

func FuzzHas(f *testing.F) {
	f.Add([]byte(`{"signature":"hr1.x"}`), "hr1.")
	f.Add([]byte("...."), "..")
	f.Fuzz(func(t *testing.T, b []byte, word string) {
		for _, b := range [][]byte{b, bytes.Repeat(b, 100), append(bytes.Repeat(b, 100), word...)} {
			if got, want := Has(b, word), bytes.Contains(b, []byte(word)); got != want {
				t.Errorf("%q in %q: %v, want %v", word, b, got, want)
			}
		}
	})
}

func BenchmarkHas(b *testing.B) {
	body := []byte(strings.Repeat(`{"role":"user","content":"water leaves the river above the weir and runs along the contour to the mill. 1 gate."},`, 70))
	for _, word := range []string{"hr1.", `"hr1.`, "aHIxL", `"thinking"`, `"tool_use_id"`, `"system"`} {
		b.Run("has/"+word, func(b *testing.B) {
			for range b.N {
				Has(body, word)
			}
		})
		b.Run("bytes/"+word, func(b *testing.B) {
			for range b.N {
				bytes.Contains(body, []byte(word))
			}
		})
	}
}
