package relay

import (
	"context"
	"errors"
	"time"

	"headrace/internal/llm"
	"headrace/internal/route"
)

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
	// Class is empty when the attempt succeeded. A whole answer that refuses the
	// content is ContentRefused as an error is that does.
	Class   llm.Class
	Message string
	Usage   llm.Usage
	Finish  llm.Finish
	// Refused says more of a content refusal, in whatever form it was told.
	Refused llm.Refused
	// OutputBytes is about how much text a stream carried, for an estimate when
	// it ended before its usage.
	OutputBytes int
	// Op is what was asked for, Streamed whether the answer was to be streamed.
	Op       llm.Op
	Streamed bool
	// UpstreamID is the provider's request id.
	UpstreamID string
	// Rung is that of its target.
	Rung int
	// Wrong is what the checks of the route found wrong with its answer, Checked
	// that they looked at it.
	Wrong   string
	Checked bool
	// Opinion says that it was a second opinion on another answer; Agreed and
	// Differed what came of such a one for this answer.
	Opinion, Agreed, Differed bool
}

// refused notes why a target was left out.
func (a *Attempt) refused(e *llm.Error) { a.Class, a.Message = e.Class, e.Message }

// end notes how an attempt ended.
func (a *Attempt) end(failed *llm.Error) {
	a.Class, a.Total = "", time.Since(a.Start)
	if failed == nil && a.Op == llm.OpChat && a.Finish.Reason == llm.FinishRefusal {
		a.Class, a.Refused = llm.ContentRefused, a.Finish.Refused
	}
	if failed != nil {
		a.Class, a.Message, a.Refused = failed.Class, failed.Message, failed.Refused
		if a.UpstreamID == "" {
			a.UpstreamID = failed.UpstreamID
		}
		if a.Status == 0 {
			a.Status = failed.Status
		}
	}
}

// drained marks a usage that came after the client had left.
func (a *Attempt) drained() {
	if a.Usage.Source == llm.UsageProvider {
		a.Usage.Source = llm.UsageDrained
	}
}

// opened is an attempt under way: its context and what bounds it.
type opened struct {
	t      *route.Target
	limits *Limits
	ctx    context.Context
	cancel context.CancelCauseFunc
	leaves *leaving
	done   func() // of leaves; may be nil
	// total, first and byte end the attempt; the first two may be nil.
	total, first, byte *time.Timer
}

// open begins an attempt at a target within limits; close ends it.
func (r *Relay) open(ctx context.Context, t *route.Target, d *llm.Draft, within *Limits) *opened {
	o := &opened{t: t, limits: within}
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
func (r *Relay) send(o *opened, d *llm.Draft, credential, n int) (*llm.Answer, error) {
	draft := d.For(o.t.Provider)
	draft.Credential, draft.Attempt = credential, n
	if r.o.Prepare != nil {
		draft = r.o.Prepare(o.t, draft)
	}
	return r.o.Sender.Send(o.ctx, o.t, &draft)
}

// attempt sends the draft to the present target under its permit, passes the
// answer on, and notes how it went, also when it panics.
func (w *run) attempt(ctx context.Context, d *llm.Draft, p Permit) (reached reach, failed *llm.Error) {
	a := w.row()
	a.Class = llm.Unavailable // until it has ended
	defer p.Done(a)
	o := w.open(ctx, d)
	defer o.close()
	ans, err := w.relay.send(o, d, a.Credential, a.N)
	if err != nil {
		failed = w.unanswered(ctx, o, a, err)
	} else {
		reached, failed = w.pass(ctx, o, ans, a, w.at+1 == len(w.plan.Targets))
	}
	a.end(failed)
	return reached, failed
}

// open begins an attempt at the present target.
func (w *run) open(ctx context.Context, d *llm.Draft) *opened {
	return w.relay.open(ctx, w.target(), d, w.terms.of(w.target()))
}

// unanswered notes that an attempt had no answer, and says why.
func (w *run) unanswered(ctx context.Context, o *opened, a *Attempt, err error) *llm.Error {
	failed := w.relay.classify(ctx, o.ctx, err, o.t)
	if a.Sent = failed.Class != llm.Unsupported; a.Sent {
		w.sent++
	}
	return failed
}

// pass passes an answer on to the client. reached says how much of it the
// client has seen, last that no other target is left.
func (w *run) pass(ctx context.Context, o *opened, ans *llm.Answer, a *Attempt, last bool) (reached reach, failed *llm.Error) {
	meta := w.begun(o, ans, a)
	if ans.Stream == nil {
		return w.whole(ctx, o, ans, a, meta, last)
	}
	defer ans.Stream.Close()
	c := w.copier(o, ans, a, meta, last)
	defer c.idle.Stop()
	err := c.run(ctx)
	return w.streamed(ctx, o, c, err)
}

// begun notes that an attempt was answered, and gives what the client is told
// of it.
func (w *run) begun(o *opened, ans *llm.Answer, a *Attempt) *Meta {
	o.byte.Stop()
	w.sent++
	a.Sent, a.Status, a.UpstreamID = true, ans.Status, ans.UpstreamID
	if a.FirstByte == 0 { // one that raced knows it better
		a.FirstByte = time.Since(a.Start)
	}
	meta := &Meta{Target: o.t, Began: a.Start, Attempts: w.sent, Warnings: append(w.warned, Warnings(ans.Losses)...)}
	meta.Held = w.paid()
	if w.held != nil {
		meta.Warnings = append(meta.Warnings, w.held.told...)
	}
	w.out.Warnings = meta.Warnings
	return meta
}

// whole passes a whole answer on.
func (w *run) whole(ctx context.Context, o *opened, ans *llm.Answer, a *Attempt, meta *Meta, last bool) (reached reach, failed *llm.Error) {
	a.Usage, a.Finish, a.OutputBytes = ans.Glance.Usage, ans.Glance.Finish, ans.TextBytes
	if o.leaves.draining() {
		a.drained()
		return nothing, clientGone(ctx)
	}
	if w.judge(ans, *meta, a) {
		return nothing, nil
	}
	if !last && w.turnsAway(ans.Glance.Finish) {
		w.keep(&refusal{answer: ans, meta: *meta})
		return nothing, turnedAway(o.t, ans, ans.Glance.Finish)
	}
	if err := w.reply.Whole(ans, *meta); err != nil {
		return content, unreachable(ctx, err)
	}
	return content, nil
}

// copier makes the copier of a streamed answer.
func (w *run) copier(o *opened, ans *llm.Answer, a *Attempt, meta *Meta, last bool) *copier {
	c := &copier{reply: w.reply, answer: ans, meta: *meta, attempt: a, holdFor: w.relay.o.Hold, idleFor: o.limits.Idle, first: o.first, leaves: o.leaves}
	cancel := o.cancel
	c.idle = time.AfterFunc(o.limits.Idle, func() { cancel(errIdle) })
	c.waits, _ = ans.Stream.(waiter)
	if !last && w.draft.Op == llm.OpChat {
		c.need, c.warmUp, c.cancel = o.limits.need(), o.limits.WarmUp, cancel
	}
	if !last {
		c.turnsAway = w.turnsAway
	}
	return c
}

// streamed says what a streamed answer came to.
func (w *run) streamed(ctx context.Context, o *opened, c *copier, err error) (reached reach, failed *llm.Error) {
	if c.refusal != nil {
		w.keep(c.refusal)
	}
	if o.leaves.draining() {
		c.attempt.drained()
		return c.reached, unreachable(ctx, context.Canceled)
	}
	if err != nil {
		return c.reached, w.relay.classify(ctx, o.ctx, err, o.t)
	}
	return content, nil
}

// turnsAway reports whether an answer that ends so is left for the next target:
// Claude and others say with an ordinary end that they refuse the content, and
// the operator wants another model to be asked then.
func (w *run) turnsAway(f llm.Finish) bool {
	return f.Reason == llm.FinishRefusal && w.draft.Op == llm.OpChat && w.terms.rules[llm.ContentRefused].Step != StepStop
}

// turnedAway is the error of an attempt whose answer refuses the content.
func turnedAway(t *route.Target, ans *llm.Answer, f llm.Finish) *llm.Error {
	return &llm.Error{Class: llm.ContentRefused, Status: ans.Status, Provider: t.Provider, Model: t.Model, UpstreamID: ans.UpstreamID,
		Message: t.Provider + " refused the content", Refused: f.Refused}
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

// unreachable is the error of a client that could not be written to, or is not to
// be: then the reply says why.
func unreachable(ctx context.Context, err error) *llm.Error {
	if gone := clientGone(ctx); gone != nil {
		return gone
	}
	var own *llm.Error
	if errors.As(err, &own) {
		return own
	}
	return &llm.Error{Class: llm.ClientGone, Message: "the client cannot be written to", Cause: err}
}

// Warnings are the losses of a request that its client is told of.
func Warnings(losses []llm.Loss) []string {
	var w []string
	for _, l := range losses {
		if l.Kind == llm.LossWarn {
			w = append(w, l.Path+": "+l.Why)
		}
	}
	return w
}
