package app

import (
	"context"
	"runtime/metrics"
	"time"

	"headrace/internal/access"
	"headrace/internal/admission"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// gateOptions are the configuration's words on overload.
func gateOptions(cfg *config.Config) admission.Options {
	c := &cfg.Overload
	o := admission.Options{Most: c.Requests, Least: c.Least, Queue: c.Queue, Wait: c.Wait.Std(), Bytes: int64(c.Bytes), Teams: map[string]admission.Team{}}
	for name, t := range c.Teams {
		// Of a team without a priority the header says it: all are below the first.
		p, _ := admission.ParsePriority(t.Priority)
		o.Teams[name] = admission.Team{Priority: p, Weight: t.Weight, Says: t.Priority == ""}
	}
	return o
}

// turns lets the gateway's callers in.
type turns struct{ *admission.Gate }

// Enter waits for the turn of a caller's request.
func (t turns) Enter(ctx context.Context, p access.Principal, says string) *llm.Error {
	return t.Gate.Enter(ctx, admission.Ask{Team: p.Team, Own: p.Priority, Raise: p.MayRaise, Says: says})
}

// loadEvery is how often the load is looked at.
const loadEvery = 100 * time.Millisecond

// tooLate is how long the work of requests may wait for a processor; more than
// a tenth of the waits above it, three times in a row, is overload.
const tooLate = 20 * time.Millisecond

// watchLoad fits the number of requests that may run to how long goroutines
// wait for a processor: how long requests take says nothing of it, since that
// is up to the models.
func (a *App) watchLoad(ctx context.Context) {
	tick := time.NewTicker(loadEvery)
	defer tick.Stop()
	var w waits
	w.late()
	inRow, told := 0, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if w.late() {
			inRow++
		} else {
			inRow = 0
		}
		over := inRow >= 3
		a.gate.Adapt(over)
		if r := a.gate.Read(); over && r.Waiting > 0 && !told {
			told = true
			a.log.Warn("the gateway has too much to do: requests wait for their turn", "running", r.Running, "waiting", r.Waiting, "limit", r.Limit)
		} else if !over && r.Waiting == 0 {
			told = false
		}
	}
}

// waits reads how long goroutines waited for a processor.
type waits struct {
	sample [1]metrics.Sample
	before []uint64
}

// late reports whether more than a tenth of the waits since the last call were
// too long.
func (w *waits) late() bool {
	w.sample[0].Name = "/sched/latencies:seconds"
	metrics.Read(w.sample[:])
	if w.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return false
	}
	h := w.sample[0].Value.Float64Histogram()
	if w.before == nil {
		w.before = make([]uint64, len(h.Counts))
	}
	all, long := uint64(0), uint64(0)
	for i, n := range h.Counts {
		since := n - w.before[i]
		w.before[i] = n
		all += since
		if h.Buckets[i] >= tooLate.Seconds() {
			long += since
		}
	}
	return long*10 > all
}
