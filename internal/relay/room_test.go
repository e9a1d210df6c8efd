package relay_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// desk is a fake Reserver: two credentials that are free from a time on; a held
// one is set aside when it fails.
type desk struct {
	free       [2]time.Time
	held, done int
	used       []int
}

func (d *desk) Reserve(t *route.Target, _ *llm.Draft, tried uint64, most time.Duration) (relay.Hold, time.Duration, *llm.Error) {
	best := -1
	for i := range d.free {
		if tried>>i&1 == 0 && (best < 0 || d.free[i].Before(d.free[best])) {
			best = i
		}
	}
	if best < 0 {
		return nil, 0, llm.Errorf(llm.RateLimited, "none is left")
	}
	wait := max(time.Until(d.free[best]), 0)
	if wait > most {
		e := llm.Errorf(llm.RateLimited, "no room")
		e.RetryAfter = wait
		return nil, 0, e
	}
	d.held++
	return &ticket{d, best}, wait, nil
}

type ticket struct {
	desk *desk
	n    int
}

func (k *ticket) Credential() int { return k.n }
func (k *ticket) Name() string    { return "" }
func (k *ticket) Done(a *relay.Attempt, failed *llm.Error) {
	k.desk.done++
	if a.Sent {
		k.desk.used = append(k.desk.used, k.n)
	}
	if failed != nil && failed.Class == llm.RateLimited {
		k.desk.free[k.n] = time.Now().Add(time.Hour)
	}
}

func TestRoom(t *testing.T) {
	for _, c := range []struct {
		name     string
		free     [2]time.Duration
		deadline time.Duration
		targets  []string
		script   map[string][]step
		want     string
		took     time.Duration
		used     int
	}{
		{"free", [2]time.Duration{}, 0, []string{"a"}, map[string][]step{"a": {{whole: "A"}}}, "whole(A)", 0, 1},
		{"waits for its turn", [2]time.Duration{3 * time.Second, time.Hour}, 0, []string{"a"}, map[string][]step{"a": {{whole: "A"}}}, "whole(A)", 3 * time.Second, 1},
		{"not beyond the rule", [2]time.Duration{6 * time.Second, time.Hour}, 0, []string{"a"}, map[string][]step{"a": {{whole: "A"}}}, "fail(rate_limited)", 0, 0},
		{"as long as its deadline", [2]time.Duration{20 * time.Second, time.Hour}, 30 * time.Second, []string{"a"}, map[string][]step{"a": {{whole: "A"}}}, "whole(A)", 20 * time.Second, 1},
		{"not beyond its deadline", [2]time.Duration{3 * time.Second, time.Hour}, 2 * time.Second, []string{"a"}, map[string][]step{"a": {{whole: "A"}}}, "fail(rate_limited)", 0, 0},
		{"another credential", [2]time.Duration{}, 0, []string{"a"}, map[string][]step{"a": {fails(llm.RateLimited), {whole: "A"}}}, "whole(A)", 0, 2},
		{"another credential after a refusal", [2]time.Duration{}, 0, []string{"a"}, map[string][]step{"a": {fails(llm.Auth), {whole: "A"}}}, "whole(A)", 0, 2},
		{"both fail, then the next target is full", [2]time.Duration{}, 0, []string{"a", "b"}, map[string][]step{"a": {fails(llm.RateLimited)}}, "fail(rate_limited)", 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				d := &desk{free: [2]time.Time{begin.Add(c.free[0]), begin.Add(c.free[1])}}
				u := &upstream{script: c.script}
				r := relay.New(relay.Options{Sender: u, Reserver: d})
				ctx, cancel := context.Background(), func() {}
				if c.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
				}
				defer cancel()
				plan := &route.Plan{}
				for _, m := range c.targets {
					plan.Targets = append(plan.Targets, route.Target{Provider: "p", Model: m})
				}
				cl := &client{}
				r.Run(ctx, plan, &llm.Draft{Op: llm.OpChat}, cl)
				if cl.got.String() != c.want || time.Since(begin) != c.took || len(d.used) != c.used || d.held != d.done {
					t.Errorf("got %s after %s with credentials %v (%d held, %d done); want %s after %s with %d", cl.got.String(), time.Since(begin), d.used, d.held, d.done, c.want, c.took, c.used)
				}
			})
		})
	}
}

// The room comes back when a reply panics, when the client leaves while it
// waits, and when the attempt fails.
func TestRoomComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		r := relay.New(relay.Options{Sender: &upstream{script: map[string][]step{"a": {{whole: "A"}}}}, Reserver: d})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			r.Run(t.Context(), &route.Plan{Targets: []route.Target{{Model: "a"}}}, &llm.Draft{Op: llm.OpChat}, panics{&client{}})
		}()
		d.free = [2]time.Time{time.Now().Add(4 * time.Second), time.Now().Add(4 * time.Second)}
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		out := r.Run(ctx, &route.Plan{Targets: []route.Target{{Model: "a"}}}, &llm.Draft{Op: llm.OpChat}, &client{})
		if out.Class != llm.ClientGone || d.held != d.done || d.held != 2 {
			t.Errorf("%s, %d held, %d done", out.Class, d.held, d.done)
		}
	})
}
