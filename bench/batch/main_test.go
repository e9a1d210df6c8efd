package main

import (
	"testing"
	"time"
)

// A short run of each row must be as the long one has to be.
func TestShort(t *testing.T) {
	t.Parallel()
	for _, m := range mixtures {
		for d := range aims {
			// 200 jobs leave some noise in the cost (0.02 is three deviations).
			for _, bad := range run(200, m, d, 1).misses(m, d, .02) {
				t.Errorf("%s, %s: %s", m.name, d, bad)
			}
		}
	}
}

// The aims can be missed: what waits to the end misses deadlines in this model.
func TestModelCanMiss(t *testing.T) {
	t.Parallel()
	if o := run(200, mixtures[2], 15*time.Minute, 1); o.missed == 0 {
		t.Error("no deadline is missed that real time cannot keep with 40 % of the quota")
	}
	a, b := run(50, mixtures[1], time.Hour, 7), run(50, mixtures[1], time.Hour, 7)
	if a != b {
		t.Errorf("the same seed gave %+v and %+v", a, b)
	}
}
