package gateway

import (
	"bytes"
	"testing"
)

// TestLastIndex: as bytes.LastIndex has it, for marks that stand nowhere, once,
// often, at the ends and beside one another.
func TestLastIndex(t *testing.T) {
	t.Parallel()
	for _, b := range []string{"", "m", "mark", "xmark", "markx", "markmark", "a mark, a mark and more", "mar", "ark mar k", "markmarkmar"} {
		if got, want := lastIndex([]byte(b), []byte("mark")), bytes.LastIndex([]byte(b), []byte("mark")); got != want {
			t.Errorf("%q: %d, want %d", b, got, want)
		}
	}
}
