package app

import (
	"runtime/metrics"
	"testing"
)

// TestCollector: the percentage follows the load, and a load that makes one
// collection a second at either of them does not make it swing.
func TestCollector(t *testing.T) {
	t.Parallel()
	var c collector
	total := uint64(0)
	for i, step := range []struct {
		collections uint64
		want        int // 0: it stays
	}{{5, 0}, {1, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {1, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, quietPercent}, {0, 0}, {5, 0}, {1, 0}, {6, busyPercent},
		{1, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, quietPercent}, {9, busyPercent}} {
		total += step.collections
		if got, ok := c.next(total); got != step.want || ok != (step.want != 0) {
			t.Errorf("second %d, with %d collections: %d, %t; want %d", i, step.collections, got, ok, step.want)
		}
	}
	cycles := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}}
	if metrics.Read(cycles); cycles[0].Value.Kind() != metrics.KindUint64 {
		t.Errorf("the runtime does not tell its collections")
	}
}
