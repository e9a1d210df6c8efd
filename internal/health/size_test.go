package health

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// TestHistorySize: what a target's history takes grows for 15 minutes and no
// longer.
func TestHistorySize(t *testing.T) { // not in parallel: it weighs the heap
	weigh := func() int64 {
		runtime.GC()
		runtime.GC() // the first one puts what pools hold aside
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	// Latencies as they are: most alike, some a hundred times as long.
	spread := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * math.Exp(rng.NormFloat64()))
	}
	const targets = 100
	all := make([]history, targets)
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	before := weigh()
	fill := func(n int) int64 {
		for range n {
			for i := range all {
				for range 100 {
					first := spread(time.Second)
					all[i].note(Result{FirstByte: first, Total: first + spread(5*time.Second), Output: 100}, now)
				}
			}
			now = now.Add(time.Minute)
		}
		return weigh() - before
	}
	one, full, later := fill(1), fill(minutes-1), fill(3*minutes)
	t.Logf("a target takes %d bytes after a minute, %d after %d of them, %d after %d", one/targets, full/targets, minutes, later/targets, 4*minutes)
	if full < 5*one {
		t.Errorf("%d bytes for %d minutes and %d for one: nothing was kept", full, minutes, one)
	}
	if later > full+full/10 {
		t.Errorf("%d bytes after %d minutes, %d after %d: the history grows on", full, minutes, later, 4*minutes)
	}
	runtime.KeepAlive(all)
}
