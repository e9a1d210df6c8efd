package tokens_test

import (
	"math"
	"testing"

	"headrace/internal/tokens"
)

// TestRatio: newer Claudes count about a third more than the older ones, and
// ratios go back and forth.
func TestRatio(t *testing.T) {
	t.Parallel()
	for _, a := range tokens.Families() {
		for _, b := range tokens.Families() {
			r := tokens.Ratio(a, b)
			if r < 0.4 || r > 2.5 || math.Abs(r*tokens.Ratio(b, a)-1) > 1e-9 || a == b && r != 1 {
				t.Errorf("%s to %s: %v", a, b, r)
			}
			t.Logf("%s -> %s %.2f", a, b, r)
		}
	}
	if r := tokens.Ratio(tokens.Claude4, tokens.Claude5); r < 1.1 || r > 1.5 {
		t.Errorf("Claude 4 to 5: %v", r)
	}
}
