package batch

import (
	"math"
	"sync"
	"time"
)

// Pace is how fast calls in real time are answered, learned from those of the
// last hour or so. The zero Pace knows nothing. Safe for concurrent use.
type Pace struct {
	mu sync.Mutex // guards what follows, all of which fades
	// answered is how many calls were answered, busy how long all calls took.
	answered float64
	busy     time.Duration
	at       time.Time // of the last call
	known    bool      // paceLeast were answered
}

const (
	// paceHalf is the time after which a call counts half.
	paceHalf = 30 * time.Minute
	// paceLeast is how many answers a pace is known from, paceKept how long it is
	// believed after the last call: a job may leave its batch long after them.
	paceLeast = 5
	paceKept  = 24 * time.Hour
)

// add notes a call that took so long. It takes its time whether it was answered
// or not: waiting for room at a provider and errors make the pace slower.
func (p *Pace) add(now time.Time, took time.Duration, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.at.IsZero() && now.After(p.at) {
		f := math.Exp2(-float64(now.Sub(p.at)) / float64(paceHalf))
		p.answered, p.busy = p.answered*f, time.Duration(float64(p.busy)*f)
	}
	p.at, p.busy = now, p.busy+took
	if answered {
		p.answered++
	}
	p.known = p.known || p.answered >= paceLeast
}

// Rate is what so many calls at once can do, and at most most; that alone while
// nothing is known.
func (p *Pace) Rate(now time.Time, parallel int, most Rate) Rate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.known || p.busy <= 0 || now.Sub(p.at) >= paceKept {
		return most
	}
	return min(most, Rate(p.answered*float64(parallel)/p.busy.Minutes()))
}
