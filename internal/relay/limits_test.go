package relay_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

func after(d time.Duration, p piece) piece {
	p.wait = d
	return p
}

// drip is a stream of n words, one each so often.
func drip(n int, every time.Duration) step {
	s := step{pieces: []piece{start}}
	for range n {
		s.pieces = append(s.pieces, after(every, word))
	}
	s.pieces = append(s.pieces, finish)
	return s
}

// TestLimits: what exceeds a limit before the commit point goes to the next
// target with its class; after it the stream ends with an error.
func TestLimits(t *testing.T) {
	ping := piece{raw: "p", event: llm.EventPing}
	pings := step{}
	for range 40 {
		pings.pieces = append(pings.pieces, after(time.Second, ping))
	}
	good := says(start, word, finish)
	cases := []struct {
		name   string
		limits relay.Limits
		a, b   step
		want   string    // what the client got
		first  llm.Class // of the first attempt
		class  llm.Class // of the outcome
		took   time.Duration
	}{
		{"no first byte", relay.Limits{FirstByte: 3 * time.Second}, step{wait: time.Hour}, good, "begin(b) start word finish ", llm.SlowStart, "", 3 * time.Second},
		{"a stream that is silent from the start", relay.Limits{Idle: 3 * time.Second}, says(after(time.Hour, start)), good, "begin(b) start word finish ", llm.SlowStream, "", 3 * time.Second},
		{"pings and no content", relay.Limits{FirstContent: 5500 * time.Millisecond}, pings, good, "begin(b) start word finish ", llm.SlowStart, "", 5500 * time.Millisecond},
		{"no content, and the client has been kept waiting by what was held", relay.Limits{FirstContent: 20 * time.Second}, says(start, after(time.Hour, word)), good, "begin(a) start fail(slow_start)", llm.SlowStart, llm.SlowStart, 20 * time.Second},
		{"content in time", relay.Limits{FirstContent: 5 * time.Second}, says(after(4*time.Second, start), word, after(10*time.Second, word), finish), good, "begin(a) start word word finish ", "", "", 14 * time.Second},
		{"a silence after content", relay.Limits{Idle: 3 * time.Second}, says(start, word, after(time.Hour, word)), good, "begin(a) start word fail(slow_stream)", llm.SlowStream, llm.SlowStream, 3 * time.Second},
		{"the whole takes too long before content", relay.Limits{Total: 5500 * time.Millisecond}, pings, good, "begin(b) start word finish ", llm.Timeout, "", 5500 * time.Millisecond},
		{"the whole takes too long after content", relay.Limits{Total: 3500 * time.Millisecond}, drip(9, time.Second), good, "begin(a) start word word word fail(timeout)", llm.Timeout, llm.Timeout, 3500 * time.Millisecond},
		// 4 bytes a word: one a second is a floor of 4.
		{"a drip below the floor", relay.Limits{Floor: 4, WarmUp: 5 * time.Second}, drip(9, 2*time.Second), good, "begin(b) start word finish ", llm.SlowStream, "", 7 * time.Second},
		{"a drip above the floor", relay.Limits{Floor: 4, WarmUp: 5 * time.Second}, drip(9, 500*time.Millisecond), good, "begin(a) start " + strings.Repeat("word ", 9) + "finish ", "", "", 4500 * time.Millisecond},
		{"a short answer below the floor", relay.Limits{Floor: 400, WarmUp: 5 * time.Second}, drip(2, time.Second), good, "begin(a) start word word finish ", "", "", 2 * time.Second},
		{"a floor with long thinking first", relay.Limits{Floor: 4, WarmUp: 2 * time.Second}, says(start, piece{raw: "think", event: llm.EventBlockStart}, after(59*time.Second, word), finish), good, "begin(a) start think ping ping word finish ", "", "", 59 * time.Second},
		{"slow after the warm-up is the client's own to judge", relay.Limits{Floor: 4, WarmUp: time.Second}, says(start, word, after(59*time.Second, word), finish), good, "begin(a) start word ping ping word finish ", "", "", 59 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{script: map[string][]step{"a": {c.a}, "b": {c.b}}}
				plan := route.Plan{Targets: []route.Target{{Provider: "p", Model: "a"}, {Provider: "q", Model: "b"}}}
				var reply client
				began := time.Now()
				d := llm.Draft{Op: llm.OpChat}
				d.Head.Stream = true
				out := relay.New(relay.Options{Sender: u, Providers: map[string]relay.Limits{"p": c.limits}}).Run(t.Context(), &plan, &d, &reply)
				if got := reply.got.String(); got != c.want {
					t.Errorf("the client got %q, want %q", got, c.want)
				}
				if out.Attempts[0].Class != c.first || out.Class != c.class {
					t.Errorf("the first attempt is of class %q, the outcome of %q; want %q and %q", out.Attempts[0].Class, out.Class, c.first, c.class)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if sent := len(out.Attempts); u.closed != sent && c.a.pieces != nil {
					t.Errorf("%d streams closed of %d", u.closed, sent)
				}
			})
		})
	}
}

// TestFloorOfTheLast: the last target is slow rather than nothing.
func TestFloorOfTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{script: map[string][]step{"a": {drip(3, 5*time.Second)}}}
		var reply client
		d := llm.Draft{Op: llm.OpChat}
		d.Head.Stream = true
		limits := relay.Limits{Floor: 4, WarmUp: time.Second}
		out := relay.New(relay.Options{Sender: u, Limits: limits}).Run(t.Context(), &route.Plan{Targets: []route.Target{{Model: "a"}}}, &d, &reply)
		if got := reply.got.String(); !out.OK || got != "begin(a) start word word word finish " {
			t.Errorf("ok %v, the client got %q", out.OK, got)
		}
	})
}
