package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much the heap grows before it is collected, in percent of what lives.
// Under load a collection is dear: what lives is about 10 MB, most requests
// leave nothing behind, and at 150 rather than Go's 100 collecting costs a third
// less for about 4 MB of memory. A quiet process collects next to never and
// would keep what it had at its busiest: two thousand streams that were opened
// at once and then wait.
const (
	busyPercent  = 150
	quietPercent = 50
	// quietFor is how many seconds without a collection make it quiet, busyAt how
	// many collections in one second busy.
	quietFor = 5
	busyAt   = 6
)

// collector decides between the two once a second. What is one collection in
// five seconds at the higher percentage is three at the lower, far from busyAt: a
// steady load does not make it swing.
type collector struct {
	quiet bool
	calm  int    // seconds without a collection
	last  uint64 // collections so far
}

// next is told how many collections there were so far, and gives the percentage
// to set; ok is false when it stays.
func (c *collector) next(collections uint64) (percent int, ok bool) {
	n := collections - c.last
	c.last = collections
	if c.calm++; n > 0 {
		c.calm = 0
	}
	switch {
	case c.quiet && n >= busyAt:
		c.quiet = false
		return busyPercent, true
	case !c.quiet && c.calm >= quietFor:
		c.quiet = true
		return quietPercent, true
	}
	return 0, false
}

// collect sets the percentage until ctx ends, unless GOGC has set one. A process
// that has become quiet is collected and gives back what it does not need.
func collect(ctx context.Context) {
	if was := debug.SetGCPercent(busyPercent); was != 100 {
		debug.SetGCPercent(was)
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var c collector
	cycles := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(cycles)
		percent, ok := c.next(cycles[0].Value.Uint64())
		if !ok {
			continue
		}
		debug.SetGCPercent(percent)
		if percent == quietPercent {
			debug.FreeOSMemory()
		}
	}
}
