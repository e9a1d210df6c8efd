package relay_test

import (
	"testing"
	"time"

	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// breaker lets the targets through that are not set aside, and no repeats when
// once is set; it counts the permits that are out.
type breaker struct {
	aside map[string]time.Duration
	once  bool
	out   int
	done  []llm.Class
}

func (b *breaker) Allow(t *route.Target, repeat bool) (relay.Permit, time.Duration) {
	if wait := b.aside[t.Model]; wait > 0 {
		return nil, wait
	}
	if repeat && b.once {
		return nil, 0
	}
	b.out++
	return b, 0
}

func (b *breaker) Done(a *relay.Attempt) {
	b.out--
	b.done = append(b.done, a.Class)
}

func TestBreaker(t *testing.T) {
	for _, c := range []struct {
		name    string
		script  map[string][]step
		breaker breaker
		want    string
		calls   int
		class   llm.Class
	}{
		{"a target set aside is no attempt", map[string][]step{"a": {fails(llm.ServerError)}, "b": {{whole: "ok"}}},
			breaker{aside: map[string]time.Duration{"a": time.Second}}, "whole(ok)", 1, ""},
		{"all are set aside", map[string][]step{"a": {{}}, "b": {{}}},
			breaker{aside: map[string]time.Duration{"a": time.Second, "b": time.Second}}, "fail(unavailable)", 0, llm.Unavailable},
		{"a failure says more than a target set aside", map[string][]step{"a": {{}}, "b": {fails(llm.Timeout)}},
			breaker{aside: map[string]time.Duration{"a": time.Second}}, "fail(timeout)", 1, llm.Timeout},
		{"no repeats are left", map[string][]step{"a": {fails(llm.Overloaded)}, "b": {{whole: "ok"}}},
			breaker{once: true}, "whole(ok)", 2, ""},
		{"no repeats are left and no target", map[string][]step{"a": {fails(llm.Overloaded)}, "b": {fails(llm.ServerError)}},
			breaker{once: true}, "fail(server_error)", 2, llm.ServerError},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := &upstream{script: c.script}
			r := relay.New(relay.Options{Sender: u, Breaker: &c.breaker})
			plan := route.Plan{Targets: []route.Target{{Provider: "p", Model: "a"}, {Provider: "p", Model: "b"}}}
			reply := &client{}
			d := llm.NewDraft(llm.OpenAI, llm.OpChat, nil, llm.Head{}, nil)
			out := r.Run(t.Context(), &plan, &d, reply)
			if got := reply.got.String(); got != c.want {
				t.Errorf("the client got %q, want %q", got, c.want)
			}
			if len(u.calls) != c.calls || out.Class != c.class {
				t.Errorf("calls %v, class %q", u.calls, out.Class)
			}
			if c.breaker.out != 0 || len(c.breaker.done) != c.calls {
				t.Errorf("%d permits are out, %v are done", c.breaker.out, c.breaker.done)
			}
			for i := range out.Attempts {
				if a := &out.Attempts[i]; c.breaker.aside[a.Model] > 0 && (a.Sent || a.Class != llm.Unavailable || a.Message == "") {
					t.Errorf("the row of a target set aside: %+v", a)
				}
			}
		})
	}
}

// TestPermitComesBack: also when the client's side panics.
func TestPermitComesBack(t *testing.T) {
	b := &breaker{}
	r := relay.New(relay.Options{Sender: &upstream{script: map[string][]step{"a": {{whole: "ok"}}}}, Breaker: b})
	plan := route.Plan{Targets: []route.Target{{Provider: "p", Model: "a"}}}
	d := llm.NewDraft(llm.OpenAI, llm.OpChat, nil, llm.Head{}, nil)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		r.Run(t.Context(), &plan, &d, panics{})
	}()
	if b.out != 0 {
		t.Errorf("%d permits are out", b.out)
	}
}

type panics struct{ relay.Reply }

func (panics) Whole(*llm.Answer, relay.Meta) error { panic("a bug") }
