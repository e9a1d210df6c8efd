package relay_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// TestDrain: an answer is read on for nobody up to its end, to the bound of
// time or to that of bytes; nothing is tried again and nobody is told.
func TestDrain(t *testing.T) {
	endless := drip(1000, time.Second)
	cases := []struct {
		name  string
		s     step
		drain *relay.Drain
		took  time.Duration
	}{
		{"to its end", drip(10, time.Second), &relay.Drain{Most: 1, For: time.Minute, Bytes: 1000}, 10 * time.Second},
		{"before the first byte", step{wait: 5 * time.Second, whole: "all"}, &relay.Drain{Most: 1, For: time.Minute, Bytes: 1000}, 5 * time.Second},
		{"as long as it may", endless, &relay.Drain{Most: 1, For: time.Minute, Bytes: 1000}, 62500 * time.Millisecond},
		{"as much as it may", endless, &relay.Drain{Most: 1, For: time.Hour, Bytes: 39}, 12 * time.Second},
		{"a target that fails while nobody waits", step{wait: 5 * time.Second, err: &llm.Error{Class: llm.ServerError}}, &relay.Drain{Most: 1, For: time.Minute, Bytes: 1000}, 5 * time.Second},
		{"none may", endless, &relay.Drain{}, 2500 * time.Millisecond},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{script: map[string][]step{"a": {c.s}, "b": {{whole: "no"}}}}
				ctx, leave := context.WithCancel(t.Context())
				time.AfterFunc(2500*time.Millisecond, leave)
				var reply client
				began := time.Now()
				plan := route.Plan{Targets: []route.Target{{Provider: "p", Model: "a"}, {Provider: "p", Model: "b"}}}
				out := relay.New(relay.Options{Sender: u, Drains: map[string]*relay.Drain{"p": c.drain}}).Run(ctx, &plan, &llm.Draft{Op: llm.OpChat}, &reply)
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if out.Class != llm.ClientGone || len(u.calls) != 1 {
					t.Errorf("class %q after %v", out.Class, u.calls)
				}
				if c.s.pieces != nil && u.closed != 1 {
					t.Errorf("the stream was closed %d times", u.closed)
				}
				if got := reply.got.String(); c.s.pieces == nil && got != "" {
					t.Errorf("the client that left got %q", got)
				}
			})
		})
	}
}

// TestDrainMost: no more than the cap are read at once, and the places come
// back.
func TestDrainMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &relay.Drain{Most: 2, For: time.Minute, Bytes: 1 << 20}
		r := relay.New(relay.Options{Sender: &upstream{script: map[string][]step{"a": {drip(20, time.Second)}}}, Drains: map[string]*relay.Drain{"p": d}})
		round := func() (long int) {
			ctx, leave := context.WithCancel(t.Context())
			time.AfterFunc(2500*time.Millisecond, leave)
			var all sync.WaitGroup
			var mu sync.Mutex
			for range 5 {
				all.Go(func() {
					began := time.Now()
					r.Run(ctx, &route.Plan{Targets: []route.Target{{Provider: "p", Model: "a"}}}, &llm.Draft{Op: llm.OpChat}, &client{})
					mu.Lock()
					defer mu.Unlock()
					if time.Since(began) > 10*time.Second {
						long++
					}
				})
			}
			all.Wait()
			return long
		}
		for range 3 {
			if n := round(); n != 2 {
				t.Errorf("%d were read at once, want 2", n)
			}
		}
		d.Close()
		if n := round(); n != 0 {
			t.Errorf("after Close %d were read", n)
		}
	})
}
