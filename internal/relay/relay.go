// Package relay is the attempt loop: it sends a request to the targets of a
// plan, one after another, until one answers, and passes the answer on. It
// holds back what is not yet content, so that until then any target may be
// tried; after that commit point an answer can only end complete, with an
// error in the client's dialect, or with a broken connection.
package relay

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"headrace/internal/llm"
	"headrace/internal/route"
)

// Sender makes one attempt at one target. A failure is an *llm.Error, or the
// context's error. Nothing of the answer has reached the client when it
// returns.
type Sender interface {
	Send(ctx context.Context, t *route.Target, d *llm.Draft) (*llm.Answer, error)
}

// Breaker says whether a target may be tried now. Safe for concurrent use.
type Breaker interface {
	// Allow asks for leave to make an attempt; repeat says that this request has
	// been tried at the target already. Nil means no: wait is then how long the
	// target is set aside, or 0 when only the repeat is one too many.
	Allow(t *route.Target, repeat bool) (p Permit, wait time.Duration)
}

// Permit is leave for one attempt.
type Permit interface {
	// Done says how the attempt went. It is called once.
	Done(a *Attempt)
}

// Reply is the client's side of one request, in the client's dialect. Its
// methods are called by one goroutine at a time. An error means that the
// client cannot be reached any more.
type Reply interface {
	// Whole gives a whole answer.
	Whole(a *llm.Answer, m Meta) error
	// Begin sends the status and headers of a streamed answer.
	Begin(a *llm.Answer, m Meta) error
	// Piece gives one piece of the streamed answer; it is not flushed.
	Piece(p llm.Piece) error
	// Flush sends what Piece gave.
	Flush() error
	// Ping keeps a streamed answer alive; between pieces only.
	Ping() error
	// Fail gives an error: with its real status when nothing was sent, else as
	// the dialect's own error event.
	Fail(e *llm.Error, m Meta) error
}

// Mender is a Reply that can mend a request which a target has refused.
type Mender interface {
	// Mend gives another draft for the same target, or reports that there is
	// none. It must not say yes for ever.
	Mend(t *route.Target, d *llm.Draft, e *llm.Error) (llm.Draft, bool)
}

// Payer is the optional power of a Reply to hold money for an attempt before
// it is made.
type Payer interface {
	// Pays says whether the request is under a budget at all; then it is not
	// hedged either.
	Pays() bool
	// Pay holds what the draft can cost at most at the target, beside what the
	// attempts so far have cost, and gives the draft, which it may have cut to
	// what can be paid for, with a warning for the client. An error leaves the
	// target out.
	Pay(ctx context.Context, t *route.Target, d llm.Draft, past []Attempt) (draft llm.Draft, warning string, err *llm.Error)
}

// Meta is what the client is told about how its answer came about.
type Meta struct {
	// Target is who answered; nil when nobody did.
	Target *route.Target
	// Attempts counts the requests that were sent to providers.
	Attempts int
	Warnings []string
}

// Options set up a Relay. The zero value of each says its default.
type Options struct {
	Sender Sender
	// Prepare fits the draft to a target before each attempt; nil leaves it.
	Prepare func(t *route.Target, d llm.Draft) llm.Draft
	// Breaker sets failing targets aside; nil tries all.
	Breaker Breaker
	// Reserver takes room for each attempt; nil takes none.
	Reserver Reserver
	// Policy has a row for each class; nil means DefaultPolicy.
	Policy []Rule
	// Attempts is how many requests to providers one client request may cost;
	// 0: 3, or the number of targets if that is more.
	Attempts int
	// Limits bound an attempt at any provider but those in Providers, which have
	// their own, by id.
	Limits    Limits
	Providers map[string]Limits
	// Drains are the providers whose answers are read on when the client leaves,
	// by id; of all others the connection is closed.
	Drains map[string]*Drain
	// Hedge says when a second target is asked beside a slow first one; nil never
	// does.
	Hedge Hedger
	// Hold is how long lifecycle frames are held back while no content comes;
	// then they go out, which commits, and pings follow at this interval; 0: 15 s.
	Hold time.Duration
}

// Limits bound one attempt. Before the commit point what exceeds them goes to
// the next target; after it the stream ends with an error. The zero value of
// each says its default.
type Limits struct {
	// Total bounds the whole attempt; 0: no bound.
	Total time.Duration
	// FirstByte is how long a target may take to its first byte, or to a whole
	// answer; 0: 10 min, as long as the official SDKs wait.
	FirstByte time.Duration
	// FirstContent is how long it may take to the first content of a stream; 0: no
	// bound.
	FirstContent time.Duration
	// Idle is the longest silence inside a stream; 0: 5 min.
	Idle time.Duration
	// Floor is how many bytes of text a second a stream must bring within WarmUp
	// of its first text, unless no other target is left; 0: any number. Until it
	// has brought so many (Floor x WarmUp) it is held back, so that another target
	// may be tried.
	Floor  int
	WarmUp time.Duration
}

func (l Limits) orDefault() Limits {
	if l.FirstByte == 0 {
		l.FirstByte = 10 * time.Minute
	}
	if l.Idle == 0 {
		l.Idle = 5 * time.Minute
	}
	return l
}

// need is how many bytes of text a stream is held back for.
func (l *Limits) need() int { return int(float64(l.Floor) * l.WarmUp.Seconds()) }

// Relay runs attempts. Safe for concurrent use.
type Relay struct {
	o     Options
	rules map[llm.Class]Rule
}

// New makes a Relay.
func New(o Options) *Relay {
	if o.Policy == nil {
		o.Policy = DefaultPolicy()
	}
	o.Limits = o.Limits.orDefault()
	own := make(map[string]Limits, len(o.Providers))
	for id, l := range o.Providers {
		own[id] = l.orDefault()
	}
	o.Providers = own
	if o.Hold == 0 {
		o.Hold = 15 * time.Second
	}
	r := &Relay{o: o, rules: make(map[llm.Class]Rule, len(o.Policy))}
	for _, rule := range o.Policy {
		r.rules[rule.Class] = rule
	}
	return r
}

// Attempt is one request to one target, as it went.
type Attempt struct {
	// N counts from 1; a target that was skipped has a row too, with Sent
	// unset.
	N               int
	Provider, Model string
	// Credential is the index of the provider's credential that it was sent with.
	Credential int
	// Why says why this target was tried.
	Why   string
	Sent  bool
	Start time.Time
	// FirstByte and Total count from Start; FirstByte is 0 when none came.
	FirstByte, Total time.Duration
	// Spared says that it was given up because another one answered first.
	Spared bool
	// Status is the provider's HTTP status; 0 when it gave none.
	Status int
	// Class is empty when the attempt succeeded.
	Class   llm.Class
	Message string
	Usage   llm.Usage
	Finish  llm.Finish
	// OutputBytes is about how much text a stream carried, for an estimate when
	// it ended before its usage.
	OutputBytes int
	// Op is what was asked for, Streamed whether the answer was to be streamed.
	Op       llm.Op
	Streamed bool
	// UpstreamID is the provider's request id.
	UpstreamID string
}

// Outcome is how a request ended.
type Outcome struct {
	Attempts []Attempt
	// OK says that the client got a complete answer.
	OK bool
	// Class and Err say why not.
	Class llm.Class
	Err   *llm.Error
	// Committed says that content had reached the client.
	Committed bool
	Warnings  []string

	paid []string // what the Payer warns of in the present attempt
}

// A tooSlow ends an attempt that exceeds a limit; as the cause of its context it
// says which one.
type tooSlow struct {
	class llm.Class
	did   string // what the provider did, as the client is told
}

func (s *tooSlow) Error() string { return "it " + s.did }

var (
	errFirstByte    = &tooSlow{llm.SlowStart, "gave no first byte in time"}
	errFirstContent = &tooSlow{llm.SlowStart, "gave no content in time"}
	errIdle         = &tooSlow{llm.SlowStream, "was silent for too long"}
	errFloor        = &tooSlow{llm.SlowStream, "was too slow"}
	errTotal        = &tooSlow{llm.Timeout, "took too long over its answer"}
)

func (r *Relay) limits(t *route.Target) Limits {
	if l, ok := r.o.Providers[t.Provider]; ok {
		return l
	}
	return r.o.Limits
}

// attempts bounds the attempts of one request, whatever the policy says.
func (r *Relay) attempts(targets int) int {
	if r.o.Attempts > 0 {
		return r.o.Attempts
	}
	return max(3, targets)
}

// Run tries the plan's targets until one answers and passes its answer to
// reply. ctx is the client's: when it ends, the upstream is closed and no
// further attempt is made.
func (r *Relay) Run(ctx context.Context, plan *route.Plan, d *llm.Draft, reply Reply) Outcome {
	var out Outcome
	var last *llm.Error
	asked, mendedAt := d, -1 // the draft was mended for the target at this place
	mends := false
	sent, repeats, most := 0, 0, r.attempts(len(plan.Targets))
	room := room{relay: r, plan: plan, draft: d}
	defer room.close(&out)
	for at := 0; sent < most && room.more(&at); {
		if at != mendedAt {
			d = asked // what one target refuses, the next one may want
		}
		t := &plan.Targets[at]
		out.Attempts = append(out.Attempts, Attempt{N: len(out.Attempts) + 1, Provider: t.Provider, Model: t.Model, Why: t.Why, Start: time.Now(), Op: d.Op, Streamed: d.Head.Stream})
		a := &out.Attempts[len(out.Attempts)-1]
		switch {
		case mends:
			a.Why, mends = "mended after "+string(last.Class), false
		case repeats > 0:
			a.Why = "again after " + string(last.Class)
		case last != nil:
			a.Why = t.Why + ", after " + string(last.Class)
		}
		if full := room.take(ctx, at, a); full != nil {
			a.Class, a.Message = full.Class, full.Message
			if last == nil || last.Class == llm.Unsupported || last.Class == llm.Unavailable {
				last = full
			}
			if clientGone(ctx) != nil {
				last = full
				break
			}
			at, repeats = room.next(at), 0
			continue
		}
		paid, broke := r.pay(ctx, t, d, reply, &out)
		if broke != nil {
			room.settle(a, nil)
			a.Class, a.Message = broke.Class, broke.Message
			if last == nil || last.Class == llm.Unsupported || last.Class == llm.Unavailable {
				last = broke
			}
			at, repeats = room.next(at), 0
			continue
		}
		permit, aside := r.allow(t, repeats > 0)
		if aside != nil {
			room.settle(a, nil)
			if repeats > 0 { // no repeat after all; its row says why
				aside.Message = "not repeated: too many of the requests to " + t.Provider + " are repeats"
			}
			a.Class, a.Message = aside.Class, aside.Message
			if last == nil {
				last = aside
			}
			at, repeats = room.next(at), 0
			continue
		}
		var reached reach
		var err *llm.Error
		if after, ok := r.hedges(plan, at, repeats, sent, d); ok && !pays(reply) {
			h := hedge{relay: r, plan: plan, at: at, d: d, reply: reply, out: &out, sent: sent, hold: room.hand()}
			reached, err = h.run(ctx, permit, after)
			if sent = h.sent; h.both {
				at++
				t, a = &plan.Targets[at], &out.Attempts[len(out.Attempts)-1]
				repeats = math.MaxInt // both have had their turn
			}
		} else {
			reached, err = r.permitted(ctx, permit, t, paid, reply, a, &out, sent+1, at+1 == len(plan.Targets))
			room.settle(a, err)
			if a.Sent {
				sent++
			}
		}
		if err == nil {
			out.OK, out.Committed = true, true
			return out
		}
		// An attempt that was only skipped says less than one that failed.
		if last == nil || a.Sent || last.Class == llm.Unsupported || last.Class == llm.Unavailable {
			last = err
		}
		if reached != nothing {
			out.Committed = true
			out.Err, out.Class = err, err.Class
			if reached == content && err.Class != llm.ClientGone {
				fail(ctx, reply, &out, sent)
			}
			return out
		}
		if m, ok := reply.(Mender); ok && a.Sent && ctx.Err() == nil {
			if mended, ok := m.Mend(t, d, err); ok {
				d, mendedAt, mends = &mended, at, true
				if most == sent {
					most++ // the target has not been asked this before
				}
				continue
			}
		}
		rule := r.rules[err.Class]
		if d.Op == llm.OpRaw {
			rule.Step = StepStop // what it does is not known, so it is not done twice
		}
		if rule.Step == StepStop || err.Class == llm.ClientGone {
			last = err
			break
		}
		// Every target left must still have its turn.
		left := len(plan.Targets) - 1 - at
		if sent+left < most && room.other(at, a, err) {
			repeats = 0
			continue
		}
		if wait, ok := r.again(rule, err, repeats, left == 0); ok && sent+left < most && sleep(ctx, wait) {
			repeats++
			continue
		}
		if gone := clientGone(ctx); gone != nil {
			last = gone
			break
		}
		at, repeats = room.next(at), 0
	}
	if last == nil {
		last = llm.Errorf(llm.ModelNotFound, "no target is left for model %q", plan.Asked)
	}
	out.Err, out.Class = last, last.Class
	if last.Class != llm.ClientGone {
		fail(ctx, reply, &out, sent)
	}
	return out
}

// pay asks a reply that is a Payer to hold money for the attempt that the last
// row of out is about.
func (r *Relay) pay(ctx context.Context, t *route.Target, d *llm.Draft, reply Reply, out *Outcome) (*llm.Draft, *llm.Error) {
	out.paid = nil
	if !pays(reply) {
		return d, nil
	}
	draft, warning, err := reply.(Payer).Pay(ctx, t, *d, out.Attempts[:len(out.Attempts)-1])
	if err != nil {
		return nil, err
	}
	if warning != "" {
		out.paid = []string{warning}
	}
	return &draft, nil
}

func pays(reply Reply) bool {
	p, ok := reply.(Payer)
	return ok && p.Pays()
}

// allow asks the breaker. aside is the error of a target that may not be tried
// now.
func (r *Relay) allow(t *route.Target, repeat bool) (p Permit, aside *llm.Error) {
	if r.o.Breaker == nil {
		return free{}, nil
	}
	p, wait := r.o.Breaker.Allow(t, repeat)
	if p == nil {
		aside = llm.Errorf(llm.Unavailable, "%s has failed repeatedly and is set aside", t)
		aside.RetryAfter = wait
	}
	return p, aside
}

// free is the permit where there is no breaker.
type free struct{}

func (free) Done(*Attempt) {}

// fail gives the outcome's error to the client. A client that is gone by then
// makes the outcome client_gone: nobody was told.
func fail(ctx context.Context, reply Reply, out *Outcome, sent int) {
	if err := reply.Fail(out.Err, Meta{Attempts: sent, Warnings: out.Warnings}); err != nil && ctx.Err() != nil {
		out.Class = llm.ClientGone
	}
}

// reach is how much of an attempt the client has seen.
type reach int

const (
	// nothing: any target may still be tried.
	nothing reach = iota
	// content: the answer has begun and cannot be taken back.
	content
	// told: the answer has begun and the client has been given its error too,
	// in the provider's own bytes.
	told
)

// again says whether to try the same target once more, and after which wait.
func (r *Relay) again(rule Rule, err *llm.Error, repeats int, lastTarget bool) (time.Duration, bool) {
	if rule.Step != StepRetry || repeats >= rule.Retries || err.NoRepeat {
		return 0, false
	}
	wait := rule.Backoff << repeats
	wait = wait/2 + rand.N(wait/2+1)
	if err.RetryAfter > 0 {
		if !lastTarget || err.RetryAfter > rule.MaxWait {
			return 0, false // others are free now, or the client waits better than we do
		}
		wait = err.RetryAfter
	} else if err.Class == llm.RateLimited && !lastTarget {
		return 0, false
	}
	return wait, true
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// clientGone gives the error of a client that left or whose deadline passed. A
// cause that is an *llm.Error is a reason of our own to end all requests, which
// the client is told.
func clientGone(ctx context.Context) *llm.Error {
	var own *llm.Error
	switch {
	case ctx.Err() == nil:
		return nil
	case errors.As(context.Cause(ctx), &own):
		return own
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return &llm.Error{Class: llm.Timeout, Message: "the request's deadline passed"}
	default:
		return &llm.Error{Class: llm.ClientGone, Message: "the client closed the connection", Cause: context.Cause(ctx)}
	}
}

// permitted makes an attempt under its permit and notes how it went, also when
// it panics.
func (r *Relay) permitted(ctx context.Context, permit Permit, t *route.Target, d *llm.Draft, reply Reply, a *Attempt, out *Outcome, n int, last bool) (reached reach, failed *llm.Error) {
	a.Class = llm.Unavailable // until it has ended
	defer func() { permit.Done(a) }()
	reached, failed = r.attempt(ctx, t, d, reply, a, out, n, last)
	a.end(failed)
	return reached, failed
}

// end notes how an attempt ended.
func (a *Attempt) end(failed *llm.Error) {
	a.Class, a.Total = "", time.Since(a.Start)
	if failed != nil {
		a.Class, a.Message = failed.Class, failed.Message
		if a.UpstreamID == "" {
			a.UpstreamID = failed.UpstreamID
		}
		if a.Status == 0 {
			a.Status = failed.Status
		}
	}
}

// opened is an attempt under way: its context and what bounds it.
type opened struct {
	t      *route.Target
	limits Limits
	ctx    context.Context
	cancel context.CancelCauseFunc
	leaves *leaving
	done   func() // of leaves; may be nil
	// total, first and byte end the attempt; the first two may be nil.
	total, first, byte *time.Timer
}

// open begins an attempt at a target; close ends it.
func (r *Relay) open(ctx context.Context, t *route.Target, d *llm.Draft) (o opened) {
	o.t, o.limits = t, r.limits(t)
	if drain := r.o.Drains[t.Provider]; drain != nil && d.Op == llm.OpChat {
		o.ctx, o.cancel, o.leaves, o.done = drain.attend(ctx)
	} else {
		o.ctx, o.cancel = context.WithCancelCause(ctx)
	}
	cancel := o.cancel
	if o.limits.Total > 0 {
		o.total = time.AfterFunc(o.limits.Total, func() { cancel(errTotal) })
	}
	o.byte = time.AfterFunc(o.limits.FirstByte, func() { cancel(errFirstByte) })
	if o.limits.FirstContent > 0 && d.Head.Stream {
		o.first = time.AfterFunc(o.limits.FirstContent, func() { cancel(errFirstContent) })
	}
	return o
}

func (o *opened) close() {
	o.byte.Stop()
	if o.total != nil {
		o.total.Stop()
	}
	if o.first != nil {
		o.first.Stop()
	}
	if o.done != nil {
		o.done()
	}
	o.cancel(nil)
}

// send sends the draft; nothing of the answer has reached the client.
func (r *Relay) send(o *opened, d *llm.Draft, credential int) (*llm.Answer, error) {
	draft := d.For(o.t.Provider)
	draft.Credential = credential
	if r.o.Prepare != nil {
		draft = r.o.Prepare(o.t, draft)
	}
	return r.o.Sender.Send(o.ctx, o.t, &draft)
}

// attempt sends the draft to one target and passes its answer on. reached says
// how much of it the client has seen, last that no other target is left.
func (r *Relay) attempt(ctx context.Context, t *route.Target, d *llm.Draft, reply Reply, a *Attempt, out *Outcome, n int, last bool) (reached reach, failed *llm.Error) {
	o := r.open(ctx, t, d)
	defer o.close()
	ans, err := r.send(&o, d, a.Credential)
	if err != nil {
		e := r.classify(ctx, o.ctx, err, t)
		a.Sent = e.Class != llm.Unsupported
		return nothing, e
	}
	a.FirstByte = time.Since(a.Start)
	return r.pass(ctx, &o, ans, d, reply, a, out, n, last)
}

// pass passes an answer on to the client.
func (r *Relay) pass(ctx context.Context, o *opened, ans *llm.Answer, d *llm.Draft, reply Reply, a *Attempt, out *Outcome, n int, last bool) (reached reach, failed *llm.Error) {
	t, l, leaves := o.t, &o.limits, o.leaves
	o.byte.Stop()
	a.Sent, a.Status, a.UpstreamID = true, ans.Status, ans.UpstreamID
	meta := Meta{Target: t, Attempts: n, Warnings: append(out.paid, warnings(ans.Losses)...)}
	out.Warnings = meta.Warnings
	if ans.Stream == nil {
		a.Usage, a.Finish, a.OutputBytes = ans.Glance.Usage, ans.Glance.Finish, ans.TextBytes
		if leaves.draining() {
			a.drained()
			return nothing, clientGone(ctx)
		}
		if err := reply.Whole(ans, meta); err != nil {
			return content, unreachable(ctx, err)
		}
		return content, nil
	}
	defer ans.Stream.Close()
	cancel := o.cancel
	idle := time.AfterFunc(l.Idle, func() { cancel(errIdle) })
	defer idle.Stop()
	c := copier{relay: r, reply: reply, answer: ans, meta: meta, attempt: a, idle: idle, idleFor: l.Idle, first: o.first, leaves: leaves}
	if !last && d.Op == llm.OpChat {
		c.need, c.warmUp, c.cancel = l.need(), l.WarmUp, cancel
	}
	err := c.run(ctx)
	if leaves.draining() {
		a.drained()
		return c.reached, unreachable(ctx, context.Canceled)
	}
	if err != nil {
		return c.reached, r.classify(ctx, o.ctx, err, t)
	}
	return content, nil
}

// drained marks a usage that came after the client had left.
func (a *Attempt) drained() {
	if a.Usage.Source == llm.UsageProvider {
		a.Usage.Source = llm.UsageDrained
	}
}

// classify makes the *llm.Error of a failed attempt. ctx is the client's,
// actx the attempt's.
func (r *Relay) classify(ctx, actx context.Context, err error, t *route.Target) *llm.Error {
	if gone := clientGone(ctx); gone != nil {
		return gone
	}
	e := &llm.Error{Provider: t.Provider, Model: t.Model, Cause: err}
	if slow, ok := context.Cause(actx).(*tooSlow); ok {
		e.Class, e.Message = slow.class, t.Provider+" "+slow.did
		return e
	}
	var known *llm.Error
	if errors.As(err, &known) {
		if known.Provider == "" {
			c := *known
			c.Provider, c.Model = t.Provider, t.Model
			known = &c
		}
		return known
	}
	e.Class, e.Message = llm.ServerError, "the connection to "+t.Provider+" failed"
	return e
}

// unreachable is the error of a client that could not be written to.
func unreachable(ctx context.Context, err error) *llm.Error {
	if gone := clientGone(ctx); gone != nil {
		return gone
	}
	return &llm.Error{Class: llm.ClientGone, Message: "the client cannot be written to", Cause: err}
}

func warnings(losses []llm.Loss) []string {
	var w []string
	for _, l := range losses {
		if l.Kind == llm.LossWarn {
			w = append(w, l.Path+": "+l.Why)
		}
	}
	return w
}

// copier passes one streamed answer on.
type copier struct {
	relay   *Relay
	reply   Reply
	answer  *llm.Answer
	meta    Meta
	attempt *Attempt
	idle    *time.Timer // ends the attempt; reset at every piece
	idleFor time.Duration
	first   *time.Timer // ends the attempt that has no content; nil is none
	// need is how many bytes of text commit; with fewer within warmUp of the first
	// of them cancel ends the attempt.
	need   int
	warmUp time.Duration
	cancel context.CancelCauseFunc
	leaves *leaving

	// mu guards reply and the fields below: the hold timer writes too.
	mu      sync.Mutex
	held    []llm.Piece // lifecycle pieces, not yet given to the client
	reached reach       // content after the commit point
	done    bool
	failed  error // what the hold timer could not write
	hold    *time.Timer
	content bool // content has come
	text    int  // bytes of text that have come before the commit point
	warm    *time.Timer
	touched bool // something was written since the last ping
}

// run copies pieces until the stream ends. It returns nil when the client has
// a complete answer.
func (c *copier) run(ctx context.Context) error {
	c.hold = time.AfterFunc(c.relay.o.Hold, c.silence)
	defer func() {
		c.mu.Lock()
		c.done = true
		c.hold.Stop()
		if c.warm != nil {
			c.warm.Stop()
		}
		c.mu.Unlock()
	}()
	finished := false
	var broken *llm.Error // the provider's own error, which the client was given
	for {
		p, err := c.answer.Stream.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if finished || broken != nil {
				break // all is said; how the connection went down is its own affair
			}
			return err
		}
		c.idle.Reset(c.idleFor)
		c.attempt.OutputBytes += p.TextBytes
		commits := false
		for i := range p.Events {
			e := &p.Events[i]
			switch {
			case e.Kind == llm.EventUsage:
				c.attempt.Usage = e.Usage
			case e.Kind == llm.EventFinish:
				c.attempt.Finish, finished = e.Finish, true
			case e.Kind == llm.EventError && broken != nil:
			case e.Kind == llm.EventError:
				if !c.tells(p) {
					return e.Err
				}
				broken = e.Err // what follows it is passed on too: usage, an end
			case e.Content():
				commits = true
			}
		}
		if commits && c.first != nil {
			c.first.Stop()
		}
		if c.leaves.draining() {
			c.leaves.read(max(len(p.Raw), p.TextBytes))
			continue
		}
		err = c.give(p, commits, finished)
		if err == nil && !c.answer.Stream.Buffered() {
			err = c.flush()
		}
		if err != nil && !c.leaves.left(ctx) {
			return unreachable(ctx, err)
		}
	}
	switch err := c.flush(); {
	case err != nil && !c.leaves.left(ctx):
		return unreachable(ctx, err)
	case broken != nil:
		c.mu.Lock()
		c.reached = told
		c.mu.Unlock()
		return broken
	case !finished:
		return llm.Errorf(llm.MalformedUpstream, "the stream of %s ended without a finish", c.attempt.Provider)
	}
	return nil
}

// tells reports whether the bytes of a piece tell the client of an error: the
// answer has begun and they are of its dialect. Else an error is the attempt's
// real result before the commit point, and for Reply.Fail to tell after it.
func (c *copier) tells(p llm.Piece) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached != nothing && c.answer.Native && len(p.Raw) > 0
}

// give hands a piece to the client, or holds it back before the commit point:
// until there is content, in time, or the end.
func (c *copier) give(p llm.Piece, content, finished bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	c.touched = true
	if c.reached != nothing {
		return c.reply.Piece(p)
	}
	c.content = c.content || content
	if !finished && !(c.content && c.inTime(p.TextBytes)) {
		c.held = append(c.held, clone(p))
		return nil
	}
	if err := c.begin(); err != nil {
		return err
	}
	return c.reply.Piece(p)
}

// inTime reports whether the stream has brought enough text; it measures from
// the first text on. c.mu is held.
func (c *copier) inTime(text int) bool {
	c.text += text
	if c.text >= c.need {
		return true
	}
	if c.text > 0 && c.warm == nil {
		c.warm = time.AfterFunc(c.warmUp, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.reached == nothing && !c.done {
				c.need = math.MaxInt // it is too late for more text
				c.cancel(errFloor)
			}
		})
	}
	return false
}

// begin is the commit point. c.mu is held.
func (c *copier) begin() error {
	c.reached = content
	if err := c.reply.Begin(c.answer, c.meta); err != nil {
		return err
	}
	for _, p := range c.held {
		if err := c.reply.Piece(p); err != nil {
			return err
		}
	}
	c.held = nil
	return nil
}

func (c *copier) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reached == nothing {
		return c.failed
	}
	return c.reply.Flush()
}

// silence runs when nothing was given to the client for Hold: what is held
// goes out, and a ping keeps the client's own watchdog quiet (Claude Code
// gives up after 300 s without a byte).
func (c *copier) silence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done || c.failed != nil || c.leaves.draining() {
		return
	}
	c.hold.Reset(c.relay.o.Hold)
	if c.reached != nothing && c.touched {
		c.touched = false
		return
	}
	var err error
	switch {
	case c.reached != nothing:
		err = c.reply.Ping()
	case c.warm != nil:
		return // it is decided within the warm-up
	case len(c.held) > 0:
		err = c.begin()
		c.touched = false
	default:
		return // the provider has said nothing: another target may still be tried
	}
	if err == nil {
		err = c.reply.Flush()
	}
	c.failed = err
}

// clone copies a piece that must outlive the next read.
func clone(p llm.Piece) llm.Piece {
	return llm.Piece{Raw: append([]byte(nil), p.Raw...), Events: append([]llm.Event(nil), p.Events...)}
}
