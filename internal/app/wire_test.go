package app_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
)

// TestRecordedTraffic sends the recorded traffic through the whole program:
// one dialect on both sides passes byte for byte, and across dialects the
// client's own SDK reads what the provider said.
func TestRecordedTraffic(t *testing.T) {
	t.Parallel()
	wiretest.RunGateway(t, func(t *testing.T, upstream string, d llm.Dialect) (string, string) {
		return openFor(t, upstream, d, nil).base, key
	}, wiretest.GatewayOptions{ID: own, OneIn: 8})
}

// TestSlowPath sends a seeded half of the traffic of our own cases through the
// words although the dialects are the same: the slow path must give the same
// answers.
func TestSlowPath(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex // guards r
	r := rand.New(rand.NewPCG(1, 2))
	slow := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return r.IntN(2) == 0
	}
	wiretest.RunGateway(t, func(t *testing.T, upstream string, d llm.Dialect) (string, string) {
		return openFor(t, upstream, d, slow).base, key
	}, wiretest.GatewayOptions{ID: own, OneIn: 16, Words: true})
}
