package relay_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// step is what a fake target does with one request.
type step struct {
	err    *llm.Error
	whole  string
	pieces []piece
	wait   time.Duration // before the answer
	// reason is that of the finish of a whole answer; empty is stop.
	reason llm.FinishReason
}

type piece struct {
	raw   string
	event llm.EventKind
	err   *llm.Error
	wait  time.Duration
	cut   error
	// reason is that of the finish.
	reason llm.FinishReason
	// said is the kind of a delta, or of the block that a start opens.
	said string
}

// upstream plays scripts: one list of steps a target, the last one repeating.
type upstream struct {
	mu     sync.Mutex
	script map[string][]step
	calls  []string
	closed int
	native bool
}

func (u *upstream) Send(ctx context.Context, t *route.Target, d *llm.Draft) (*llm.Answer, error) {
	u.mu.Lock()
	u.calls = append(u.calls, t.Model)
	steps := u.script[t.Model]
	s := steps[0]
	if len(steps) > 1 {
		u.script[t.Model] = steps[1:]
	}
	u.mu.Unlock()
	select {
	case <-time.After(s.wait):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if s.err != nil {
		return nil, s.err
	}
	a := &llm.Answer{Status: 200, Native: u.native}
	if s.pieces == nil {
		a.Body = []byte(s.whole)
		a.Glance.Finish = finishes(cmp.Or(s.reason, llm.FinishStop))
		return a, nil
	}
	a.Stream = &stream{u: u, ctx: ctx, pieces: s.pieces}
	return a, nil
}

type stream struct {
	u      *upstream
	ctx    context.Context
	pieces []piece
}

func (s *stream) Next() (llm.Piece, error) {
	if len(s.pieces) == 0 {
		return llm.Piece{}, io.EOF
	}
	p := s.pieces[0]
	s.pieces = s.pieces[1:]
	select {
	case <-time.After(p.wait):
	case <-s.ctx.Done():
		return llm.Piece{}, s.ctx.Err()
	}
	if p.cut != nil {
		return llm.Piece{}, p.cut
	}
	out := llm.Piece{Raw: []byte(p.raw)}
	if p.event != "" {
		out.Events = []llm.Event{{Kind: p.event, Err: p.err, Finish: finishes(p.reason), Delta: llm.Delta{Kind: llm.DeltaKind(p.said)}, Block: llm.BlockHead{Kind: llm.ItemKind(p.said)}}}
	}
	if p.event == llm.EventDelta {
		out.TextBytes = len(p.raw)
	}
	return out, nil
}

func (s *stream) Buffered() bool { return false }

func (s *stream) Close() error {
	s.u.mu.Lock()
	defer s.u.mu.Unlock()
	s.u.closed++
	return nil
}

// client is a fake Reply that writes down what it is given.
type client struct {
	mu   sync.Mutex
	got  strings.Builder
	fail error
}

func (c *client) note(format string, args ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&c.got, format, args...)
	return c.fail
}

func (c *client) Whole(a *llm.Answer, m relay.Meta) error { return c.note("whole(%s)", a.Body) }
func (c *client) Begin(a *llm.Answer, m relay.Meta) error {
	return c.note("begin(%s) ", m.Target.Model)
}
func (c *client) Piece(p llm.Piece) error               { return c.note("%s ", p.Raw) }
func (c *client) Flush() error                          { return nil }
func (c *client) Ping() error                           { return c.note("ping ") }
func (c *client) Fail(e *llm.Error, m relay.Meta) error { return c.note("fail(%s)", e.Class) }

// finishes is an end; a refusal is one of the prompt.
func finishes(r llm.FinishReason) llm.Finish {
	f := llm.Finish{Reason: r}
	if r == llm.FinishRefusal {
		f.Refused = llm.Refused{Phase: llm.RefusedPrompt, Category: "bio"}
	}
	return f
}

func fails(c llm.Class) step { return step{err: &llm.Error{Class: c}} }

func says(pieces ...piece) step { return step{pieces: pieces} }

var (
	start  = piece{raw: "start", event: llm.EventStart}
	word   = piece{raw: "word", event: llm.EventDelta}
	finish = piece{raw: "finish", event: llm.EventFinish}
)

func broken(c llm.Class) piece {
	return piece{raw: "error", event: llm.EventError, err: &llm.Error{Class: c}}
}

func TestRun(t *testing.T) {
	cases := []struct {
		name   string
		script map[string][]step
		native bool
		want   string
		calls  string
		class  llm.Class
	}{
		{name: "the first target answers", script: map[string][]step{"a": {{whole: "hi"}}, "b": {fails(llm.ServerError)}}, want: "whole(hi)", calls: "a"},
		{name: "auth moves on at once", script: map[string][]step{"a": {fails(llm.Auth)}, "b": {{whole: "hi"}}}, want: "whole(hi)", calls: "a b"},
		{name: "an overloaded target is tried again, then left", script: map[string][]step{"a": {fails(llm.Overloaded)}, "b": {{whole: "hi"}}}, want: "whole(hi)", calls: "a a b"},
		{name: "a server error once more", script: map[string][]step{"a": {fails(llm.ServerError), {whole: "hi"}}, "b": {fails(llm.Auth)}}, want: "whole(hi)", calls: "a a"},
		{name: "rate limited moves on rather than wait", script: map[string][]step{"a": {{err: &llm.Error{Class: llm.RateLimited, RetryAfter: time.Second}}}, "b": {{whole: "hi"}}}, want: "whole(hi)", calls: "a b"},
		{name: "who says that a repeat is no use is not asked again", script: map[string][]step{"a": {{err: &llm.Error{Class: llm.ServerError, NoRepeat: true}}, {whole: "no"}}, "b": {{whole: "hi"}}}, want: "whole(hi)", calls: "a b"},
		{name: "the last target's short retry-after is waited for", script: map[string][]step{"a": {fails(llm.Auth)}, "b": {{err: &llm.Error{Class: llm.RateLimited, RetryAfter: 2 * time.Second}}, {whole: "hi"}}}, want: "whole(hi)", calls: "a b b"},
		{name: "a long retry-after goes to the client", script: map[string][]step{"a": {fails(llm.Auth)}, "b": {{err: &llm.Error{Class: llm.RateLimited, RetryAfter: time.Minute}}}}, want: "fail(rate_limited)", calls: "a b", class: llm.RateLimited},
		{name: "an invalid request stops", script: map[string][]step{"a": {fails(llm.InvalidRequest)}, "b": {{whole: "hi"}}}, want: "fail(invalid_request)", calls: "a", class: llm.InvalidRequest},
		{name: "a refusal is never routed around", script: map[string][]step{"a": {fails(llm.ContentRefused)}, "b": {{whole: "hi"}}}, want: "fail(content_refused)", calls: "a", class: llm.ContentRefused},
		{name: "a skipped target says less than a failed one", script: map[string][]step{"a": {fails(llm.QuotaExhausted)}, "b": {fails(llm.Unsupported)}}, want: "fail(quota_exhausted)", calls: "a b", class: llm.QuotaExhausted},
		{name: "only skipped targets", script: map[string][]step{"a": {fails(llm.Unsupported)}, "b": {fails(llm.Unsupported)}}, want: "fail(unsupported)", calls: "a b", class: llm.Unsupported},
		{name: "a stream", script: map[string][]step{"a": {says(start, word, word, finish)}, "b": {fails(llm.Auth)}}, want: "begin(a) start word word finish ", calls: "a"},
		{name: "an error before content is the real status and the next target answers", script: map[string][]step{"a": {says(start, broken(llm.QuotaExhausted))}, "b": {says(start, word, finish)}}, want: "begin(b) start word finish ", calls: "a b"},
		{name: "both fail before content: no stream byte", script: map[string][]step{"a": {says(start, broken(llm.QuotaExhausted))}, "b": {says(start, broken(llm.Auth))}}, want: "fail(auth)", calls: "a b", class: llm.Auth},
		{name: "after content nothing is retried", script: map[string][]step{"a": {says(start, word, broken(llm.Overloaded))}, "b": {{whole: "hi"}}}, want: "begin(a) start word fail(overloaded)", calls: "a", class: llm.Overloaded},
		{name: "after content a native error is passed as it is", native: true, script: map[string][]step{"a": {says(start, word, broken(llm.Overloaded))}, "b": {{whole: "hi"}}}, want: "begin(a) start word error ", calls: "a", class: llm.Overloaded},
		{name: "a stream without a finish is not a success", script: map[string][]step{"a": {says(start, word)}, "b": {{whole: "hi"}}}, want: "begin(a) start word fail(malformed_upstream)", calls: "a", class: llm.MalformedUpstream},
		{name: "a stream that ends before content is tried elsewhere", script: map[string][]step{"a": {says(start)}, "b": {says(word, finish)}}, want: "begin(b) word finish ", calls: "a a b"},
		{name: "a connection that breaks after the finish is a success", script: map[string][]step{"a": {says(word, finish, piece{cut: errors.New("reset")})}, "b": {fails(llm.Auth)}}, want: "begin(a) word finish ", calls: "a"},
		{name: "lifecycle frames go out after the hold, pings follow", script: map[string][]step{"a": {says(start, piece{raw: "word", event: llm.EventDelta, wait: 50 * time.Second}, finish)}, "b": {fails(llm.Auth)}}, want: "begin(a) start ping ping word finish ", calls: "a"},
		{name: "a target that is silent is left after the first-byte limit", script: map[string][]step{"a": {{wait: time.Hour, whole: "late"}}, "b": {{whole: "hi"}}}, want: "whole(hi)", calls: "a b"},
		{name: "a stream that stalls after content ends with an error", script: map[string][]step{"a": {says(word, piece{raw: "late", event: llm.EventDelta, wait: time.Hour})}, "b": {{whole: "hi"}}}, want: "fail(slow_stream)", calls: "a", class: llm.SlowStream},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{script: c.script, native: c.native}
				var reply client
				plan := route.Plan{Targets: []route.Target{{Provider: "p", Model: "a"}, {Provider: "p", Model: "b"}}}
				out := relay.New(relay.Options{Sender: u}).Run(t.Context(), &plan, &llm.Draft{}, &reply)
				got := reply.got.String()
				if got != c.want && !(c.class == llm.SlowStream && strings.HasPrefix(got, "begin(a) word ping ") && strings.HasSuffix(got, c.want)) {
					t.Errorf("the client got %q, want %q", got, c.want)
				}
				if calls := strings.Join(u.calls, " "); calls != c.calls {
					t.Errorf("targets tried: %q, want %q", calls, c.calls)
				}
				if out.Class != c.class || out.OK != (c.class == "") {
					t.Errorf("outcome is class %q, ok %v; want class %q", out.Class, out.OK, c.class)
				}
				if len(out.Attempts) != len(u.calls) {
					t.Errorf("%d attempts noted for %d calls", len(out.Attempts), len(u.calls))
				}
			})
		})
	}
}

// TestRefusalWithAnOrdinaryEnd: a refusal that a provider tells as the end of an
// answer goes to the next target where the operator says so of content_refused,
// unless the client has seen a part of it, and else to the client as it is. It is
// also what the client gets when the next target fails. In each case it is a
// refusal for whoever counts them.
func TestRefusalWithAnOrdinaryEnd(t *testing.T) {
	refusal := piece{raw: "refusal", event: llm.EventFinish, reason: llm.FinishRefusal}
	usage := piece{raw: "usage", event: llm.EventUsage}
	opened := piece{raw: "opened", event: llm.EventBlockStart, said: string(llm.ItemMessage)}
	sorry := piece{raw: "sorry", event: llm.EventDelta, said: string(llm.DeltaRefusal)}
	for _, c := range []struct {
		name     string
		a, b     step
		declared string
		kept     string
	}{
		{"whole", step{whole: "no", reason: llm.FinishRefusal}, step{whole: "hi"}, "whole(hi)", "whole(no)"},
		{"streamed", says(start, refusal, usage), says(start, word, finish), "begin(b) start word finish ", "begin(a) start refusal usage "},
		{"after content", says(start, word, refusal), says(word, finish), "begin(a) start word refusal ", "begin(a) start word refusal "},
		{"after the hold", says(start, piece{raw: "refusal", event: llm.EventFinish, reason: llm.FinishRefusal, wait: 20 * time.Second}), says(word, finish), "begin(a) start refusal ", "begin(a) start refusal "},
		{"by all", says(start, refusal), says(start, refusal), "begin(b) start refusal ", "begin(a) start refusal "},
		{"in words", says(start, opened, sorry, sorry, refusal), says(start, word, finish), "begin(b) start word finish ", "begin(a) start opened sorry sorry refusal "},
		{"words that are none", says(start, opened, word, finish), says(word, finish), "begin(a) start opened word finish ", "begin(a) start opened word finish "},
		{"and the next one fails", step{whole: "no", reason: llm.FinishRefusal}, fails(llm.InvalidRequest), "whole(no)", "whole(no)"},
		{"and the next one fails, streamed", says(start, opened, sorry, refusal), fails(llm.Auth), "begin(a) start opened sorry refusal ", "begin(a) start opened sorry refusal "},
		{"and the next one is left out", step{whole: "no", reason: llm.FinishRefusal}, fails(llm.Unsupported), "whole(no)", "whole(no)"},
		{"as an error, and the next one fails", fails(llm.ContentRefused), fails(llm.ServerError), "fail(content_refused)", "fail(content_refused)"},
		{"and by the next one as an error", step{whole: "no", reason: llm.FinishRefusal}, fails(llm.ContentRefused), "fail(content_refused)", "whole(no)"},
	} {
		for declared, want := range map[bool]string{true: c.declared, false: c.kept} {
			t.Run(fmt.Sprintf("%s, declared %v", c.name, declared), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					policy := relay.DefaultPolicy()
					for i := range policy {
						if policy[i].Class == llm.ContentRefused && declared {
							policy[i].Step = relay.StepNext
						}
					}
					u := &upstream{script: map[string][]step{"a": {c.a}, "b": {c.b}}}
					var reply client
					plan := route.Plan{Targets: []route.Target{{Provider: "p", Model: "a"}, {Provider: "p", Model: "b"}}}
					out := relay.New(relay.Options{Sender: u, Policy: policy}).Run(t.Context(), &plan, &llm.Draft{Op: llm.OpChat}, &reply)
					if got := reply.got.String(); got != want {
						t.Errorf("the client got %q, want %q", got, want)
					}
					told, refused := !strings.HasPrefix(want, "fail"), strings.Contains(want, "no") || strings.Contains(want, "refus")
					if out.OK != told || (out.Class == llm.ContentRefused) != refused || told && refused != (out.Refused == llm.Refused{Phase: llm.RefusedPrompt, Category: "bio"}) {
						t.Errorf("outcome %+v", out)
					}
					if n := len(out.Attempts); n > 1 && (out.Attempts[0].Class != llm.ContentRefused || !out.Attempts[0].Sent) {
						t.Errorf("the first of %d attempts is %+v", n, out.Attempts[0])
					}
				})
			})
		}
	}
}

// TestClientLeaves: whenever the client leaves, the upstream is closed, nothing
// is tried again and the outcome says so.
func TestClientLeaves(t *testing.T) {
	for name, s := range map[string]step{
		"before the first byte": {wait: time.Hour, whole: "late"},
		"inside the stream":     says(start, word, piece{raw: "late", event: llm.EventDelta, wait: time.Hour}),
		"during a backoff":      {err: &llm.Error{Class: llm.RateLimited, RetryAfter: 5 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{script: map[string][]step{"a": {s}}}
				ctx, leave := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, leave)
				begin := time.Now()
				var reply client
				out := relay.New(relay.Options{Sender: u}).Run(ctx, &route.Plan{Targets: []route.Target{{Model: "a"}}}, &llm.Draft{}, &reply)
				if took := time.Since(begin); took != time.Second {
					t.Errorf("it took %v to see that the client left at 1s", took)
				}
				if out.Class != llm.ClientGone || len(out.Attempts) != 1 {
					t.Errorf("class %q after %d attempts, want client_gone after 1", out.Class, len(out.Attempts))
				}
				if s.pieces != nil && u.closed != 1 {
					t.Errorf("the upstream was closed %d times, want 1", u.closed)
				}
				if strings.Contains(reply.got.String(), "fail") {
					t.Errorf("somebody was told: %q", reply.got.String())
				}
			})
		})
	}
}

// TestDeadline: a deadline that passes is a timeout and the client is told.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		u := &upstream{script: map[string][]step{"a": {{wait: time.Hour}}}}
		var reply client
		out := relay.New(relay.Options{Sender: u}).Run(ctx, &route.Plan{Targets: []route.Target{{Model: "a"}}}, &llm.Draft{}, &reply)
		if out.Class != llm.Timeout || reply.got.String() != "fail(timeout)" {
			t.Errorf("class %q, the client got %q", out.Class, reply.got.String())
		}
	})
}

// TestClientCannotBeWritten: a client that breaks is no failure of the target.
func TestClientCannotBeWritten(t *testing.T) {
	u := &upstream{script: map[string][]step{"a": {says(word, word, finish)}}}
	reply := client{fail: errors.New("broken pipe")}
	out := relay.New(relay.Options{Sender: u}).Run(t.Context(), &route.Plan{Targets: []route.Target{{Model: "a"}}}, &llm.Draft{}, &reply)
	if out.Class != llm.ClientGone || len(out.Attempts) != 1 {
		t.Errorf("class %q after %d attempts, want client_gone after 1", out.Class, len(out.Attempts))
	}
}
