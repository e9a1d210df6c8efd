package span_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/wire/span"
)

// FuzzQuote: what Quote writes is what jsontext writes, which is slower.
func FuzzQuote(f *testing.F) {
	var all strings.Builder
	for c := range 256 {
		all.WriteByte(byte(c))
	}
	for _, s := range []string{"", "plain", "a\"b\\c\n\r\t\b\f\x00\x1f\x7f", "\u2028 \u2029 <>&", "\xff\xed\xa0\x80 \xf0\x9f", "日本語 🙂", all.String()} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, _ := jsontext.AppendQuote([]byte("x"), s) // broken UTF-8 is its only error, and is replaced
		if got := span.Quote([]byte("x"), s); string(got) != string(want) {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if got := span.Quote([]byte("x"), []byte(s)); string(got) != string(want) {
			t.Errorf("%q as bytes: %s, want %s", s, got, want)
		}
	})
}

func BenchmarkQuote(b *testing.B) {
	text := strings.Repeat("some words with a \"quote\" and a line\n", 50)
	dst := make([]byte, 0, 1<<13)
	for name, quote := range map[string]func() []byte{
		"span":     func() []byte { return span.Quote(dst[:0], text) },
		"jsontext": func() []byte { dst, _ := jsontext.AppendQuote(dst[:0], text); return dst },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				quote()
			}
		})
	}
}
