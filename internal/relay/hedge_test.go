package relay_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// tail hedges after two seconds.
type tail struct {
	budget relay.Budget
	ill    bool
}

func (h *tail) After(asked string, t *route.Target) (time.Duration, bool) {
	return 2 * time.Second, asked == "smart"
}
func (h *tail) Spare(*route.Target) bool { return !h.ill }
func (h *tail) Budget() *relay.Budget    { return &h.budget }

func late(d time.Duration, s step) step {
	s.wait = d
	return s
}

// run sends a streamed chat for a route of a, b and c.
func race(ctx context.Context, u *upstream, h *tail, asked string, reply *client) relay.Outcome {
	d := llm.NewDraft(llm.OpenAI, llm.OpChat, nil, llm.Head{Stream: true}, func([]byte) (*llm.Request, error) { return &llm.Request{}, nil })
	plan := route.Plan{Asked: asked, Name: asked, Targets: []route.Target{{Provider: "p", Model: "a"}, {Provider: "q", Model: "b"}, {Provider: "r", Model: "c"}}}
	return *relay.New(relay.Options{Sender: u, Hedge: h}).Run(ctx, &plan, &d, reply)
}

// saved gives a hedger that may hedge.
func saved() *tail {
	h := &tail{}
	for range 50 {
		race(context.Background(), &upstream{script: map[string][]step{"a": {says(word, finish)}}}, h, "other", &client{})
	}
	return h
}

func TestHedge(t *testing.T) {
	good := says(start, word, finish)
	cases := []struct {
		name    string
		a, b, c step
		asked   string
		ill     bool
		want    string
		calls   string
		rows    string // model:class of each attempt
		took    time.Duration
	}{
		{name: "the first is in time", a: late(time.Second, good), b: good, want: "begin(a) start word finish ", calls: "a", rows: "a:", took: time.Second},
		{name: "the second answers first", a: late(time.Minute, good), b: late(time.Second, good), want: "begin(b) start word finish ", calls: "a b", rows: "a:client_gone b:", took: 3 * time.Second},
		{name: "the first answers after all", a: late(4*time.Second, good), b: late(time.Minute, good), want: "begin(a) start word finish ", calls: "a b", rows: "b:client_gone a:", took: 4 * time.Second},
		{name: "the second fails and the first answers", a: late(4*time.Second, good), b: fails(llm.Overloaded), want: "begin(a) start word finish ", calls: "a b", rows: "b:overloaded a:", took: 4 * time.Second},
		{name: "both fail: the third answers", a: late(4*time.Second, fails(llm.ServerError)), b: fails(llm.Overloaded), c: good, want: "begin(c) start word finish ", calls: "a b c", rows: "a:server_error b:overloaded c:", took: 4 * time.Second},
		{name: "the winner fails before its content: the third answers", a: late(time.Minute, good), b: says(start, broken(llm.Overloaded)), c: good, want: "begin(c) start word finish ", calls: "a b c", rows: "a:client_gone b:overloaded c:", took: 2 * time.Second},
		{name: "a refusal ends it, whatever the other does", a: late(3*time.Second, fails(llm.ContentRefused)), b: late(time.Minute, good), want: "fail(content_refused)", calls: "a b", rows: "a:content_refused b:client_gone", took: 3 * time.Second},
		{name: "a failure in time is no case for it", a: fails(llm.Auth), b: late(time.Second, good), want: "begin(b) start word finish ", calls: "a b", rows: "a:auth b:", took: time.Second},
		{name: "the second is ill", a: late(time.Minute, good), ill: true, want: "begin(a) start word finish ", calls: "a", rows: "a:", took: time.Minute},
		{name: "another route", a: late(time.Minute, good), asked: "other", want: "begin(a) start word finish ", calls: "a", rows: "a:", took: time.Minute},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := saved()
				h.ill = c.ill
				if c.asked == "" {
					c.asked = "smart"
				}
				u := &upstream{script: map[string][]step{"a": {c.a}, "b": {c.b}, "c": {c.c}}}
				var reply client
				began := time.Now()
				out := race(t.Context(), u, h, c.asked, &reply)
				if got := reply.got.String(); got != c.want {
					t.Errorf("the client got %q, want %q", got, c.want)
				}
				if got := strings.Join(u.calls, " "); got != c.calls {
					t.Errorf("targets tried: %q, want %q", got, c.calls)
				}
				var rows []string
				for i, a := range out.Attempts {
					rows = append(rows, a.Model+":"+string(a.Class))
					if a.N != i+1 || !a.Sent {
						t.Errorf("row %d is %+v", i, a)
					}
				}
				if got := strings.Join(rows, " "); got != c.rows {
					t.Errorf("the rows are %q, want %q", got, c.rows)
				}
				if took := time.Since(began); took < c.took || took > c.took+time.Second {
					t.Errorf("it took %v, want %v", took, c.took)
				}
			})
		})
	}
}

// TestHedgeClientLeaves: both are closed and nobody is asked again.
func TestHedgeClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := saved()
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, leave)
		slow := late(time.Minute, says(word, finish))
		u := &upstream{script: map[string][]step{"a": {slow}, "b": {slow}, "c": {slow}}}
		began := time.Now()
		out := race(ctx, u, h, "smart", &client{})
		if out.Class != llm.ClientGone || len(out.Attempts) != 2 || time.Since(began) != 3*time.Second {
			t.Errorf("class %q, %d attempts, after %v", out.Class, len(out.Attempts), time.Since(began))
		}
	})
}

// TestHedgeBudget: no more than two requests in a hundred are hedged.
func TestHedgeBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tail{}
		slow := late(10*time.Second, says(word, finish))
		calls := 0
		for range 1000 {
			u := &upstream{script: map[string][]step{"a": {slow}, "b": {slow}}}
			race(t.Context(), u, h, "smart", &client{})
			calls += len(u.calls)
		}
		if calls != 1020 {
			t.Errorf("%d calls for 1000 requests, want 1020", calls)
		}
	})
}
