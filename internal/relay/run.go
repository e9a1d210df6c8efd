package relay

import (
	"context"
	"math/rand/v2"
	"time"

	"headrace/internal/llm"
	"headrace/internal/route"
)

// run is one request on its way along its plan. Its methods are the steps of
// Relay.Run, in their order, and are called by its goroutine alone.
type run struct {
	relay *Relay
	terms *terms // of the plan
	plan  *route.Plan
	reply Reply
	// asked is what the client asked for, draft the same as the present target is
	// asked it: mended, if it is at mendedAt.
	asked, draft *llm.Draft
	mendedAt     int
	// at is the place of the present target in the plan. It has been asked again
	// so many times; hedged says that it and the one before it were asked side by
	// side, so that both have had their turn.
	at, repeats int
	hedged      bool
	// sent counts the requests to providers, of which there may be most.
	sent, most int
	// why says why the present target is asked once more; empty for its first
	// time.
	why string
	// last is what the client is told when nothing is left to try.
	last *llm.Error
	// warned is what the Payer said of the present attempt.
	warned []string
	room   room
	// held is the last answer that was not what the plan says, doubted one whose
	// second opinion is not known yet; nil mostly. said is the canonical form of
	// that opinion, opined says that somebody was asked for it.
	held    *held
	doubted *doubted
	said    []byte
	opined  bool
	opinion []Attempt // its row; empty without one
	// refusal is the last answer that refused the content and was not passed on;
	// nil mostly.
	refusal *refusal
	out     Outcome
}

func (w *run) target() *route.Target { return &w.plan.Targets[w.at] }

// row is the row of the present attempt, until there is another one.
func (w *run) row() *Attempt { return &w.out.Attempts[len(w.out.Attempts)-1] }

// again reports whether the present target has been asked before.
func (w *run) again() bool { return w.repeats > 0 || w.hedged }

// turn gives the target at a place its turn.
func (w *run) turn(at int) { w.at, w.repeats, w.hedged, w.why = at, 0, false, "" }

// prepare begins the row of the present attempt.
func (w *run) prepare() {
	if w.at != w.mendedAt {
		w.draft = w.asked // what one target refuses, the next one may want
	}
	t := w.target()
	why := w.why
	switch {
	case why != "":
	case w.held != nil && w.last == nil:
		why = t.Why + ", because " + w.held.why
	case w.last != nil:
		why = t.Why + ", after " + string(w.last.Class)
	default:
		why = t.Why
	}
	if t.Because != "" && w.why == "" {
		why += ", " + t.Because
	}
	w.out.Attempts = append(w.out.Attempts, Attempt{N: len(w.out.Attempts) + 1, Provider: t.Provider, Model: t.Model, Why: why,
		Start: time.Now(), Op: w.draft.Op, Streamed: w.draft.Head.Stream, Rung: t.Rung})
}

// admit gets what the attempt needs: room, money, leave. Not ok leaves the
// target out, which its row and the last error then say.
func (w *run) admit(ctx context.Context) (d *llm.Draft, p Permit, ok bool) {
	if full := w.room.take(ctx, w.at, w.row()); full != nil {
		w.skip(full)
		return nil, nil, false
	}
	d, broke := w.pay(ctx)
	if broke != nil {
		w.room.settle(w.row(), nil)
		w.skip(broke)
		return nil, nil, false
	}
	p, aside := w.relay.allow(w.target(), w.again())
	if aside != nil {
		w.room.settle(w.row(), nil)
		if w.again() { // no repeat after all; its row says why
			aside.Message = "not repeated: too many of the requests to " + w.target().Provider + " are repeats"
		}
		w.row().refused(aside)
		if w.last == nil { // anything else says more
			w.last = aside
		}
		return nil, nil, false
	}
	return d, p, true
}

// pay asks a reply that is a Payer to hold money for the present attempt.
func (w *run) pay(ctx context.Context) (*llm.Draft, *llm.Error) {
	w.warned = nil
	if !pays(w.reply) {
		return w.draft, nil
	}
	draft, warning, err := w.reply.(Payer).Pay(ctx, w.target(), *w.draft, w.out.Attempts[:len(w.out.Attempts)-1])
	if err != nil {
		return nil, err
	}
	if warning != "" {
		w.warned = []string{warning}
	}
	return &draft, nil
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

// skip notes that the present target is left out.
func (w *run) skip(e *llm.Error) {
	w.row().refused(e)
	w.note(e, false)
}

// note keeps the error that says most: an attempt that was only skipped says
// less than one that failed, and what another model failed with nothing of the
// content that was refused.
func (w *run) note(e *llm.Error, sent bool) {
	if w.refused() && e.Class != llm.ContentRefused {
		return
	}
	if w.last == nil || sent || w.last.Class == llm.Unsupported || w.last.Class == llm.Unavailable {
		w.last = e
	}
}

// refused reports whether some target has refused the content.
func (w *run) refused() bool { return w.last != nil && w.last.Class == llm.ContentRefused }

// send makes the attempt, beside one at the next target where that is wanted,
// and passes the answer on.
func (w *run) send(ctx context.Context, d *llm.Draft, p Permit) (reached reach, failed *llm.Error) {
	before := w.refusal
	if after, ok := w.hedges(); ok && !pays(w.reply) {
		h := hedge{run: w, hold: w.room.hand()}
		reached, failed = h.race(ctx, p, after)
		if h.both {
			w.at, w.hedged = w.at+1, true
		}
	} else {
		reached, failed = w.attempt(ctx, d, p)
		w.room.settle(w.row(), failed)
	}
	if failed != nil {
		w.note(failed, w.row().Sent)
		if failed.Class == llm.ContentRefused && w.refusal == before {
			w.refusal = nil // the later one is an error, and is what is told
		}
	}
	return reached, failed
}

// done is the outcome of an answer that the client has got whole, and that ends
// so.
func (w *run) done(f *llm.Finish) *Outcome {
	w.out.OK, w.out.Committed = true, true
	if f.Reason == llm.FinishRefusal && w.draft.Op == llm.OpChat {
		w.out.Class, w.out.Refused = llm.ContentRefused, f.Refused
	}
	return &w.out
}

// next says where to go on after an attempt that has given the client nothing:
// its target again, mended or not, or another one. Not ok means nowhere.
func (w *run) next(ctx context.Context, err *llm.Error) (ok bool) {
	a := w.row()
	if w.mend(ctx, a, err) {
		return true
	}
	rule := w.terms.rules[err.Class]
	if w.draft.Op == llm.OpRaw {
		rule.Step = StepStop // what it does is not known, so it is not done twice
	}
	if rule.Step == StepStop || err.Class == llm.ClientGone {
		if !w.refused() || err.Class == llm.ClientGone {
			w.last = err
		}
		return false
	}
	left := len(w.plan.Targets) - 1 - w.at
	if w.sent+left < w.most { // every target left must still have its turn
		if w.room.other(w.at, a, err) {
			w.turn(w.at)
			return true
		}
		if wait, ok := w.wait(rule, err, left == 0); ok && sleep(ctx, wait) {
			w.repeats++
			w.why = "again after " + string(err.Class)
			return true
		}
	}
	if w.gone(ctx) {
		return false
	}
	w.turn(w.room.next(w.at))
	return true
}

// gone reports whether there is nobody to go on for.
func (w *run) gone(ctx context.Context) bool {
	gone := clientGone(ctx)
	if gone != nil {
		w.last = gone
	}
	return gone != nil
}

// mend has a reply that is a Mender mend the request for the target that
// refused it.
func (w *run) mend(ctx context.Context, a *Attempt, err *llm.Error) bool {
	m, ok := w.reply.(Mender)
	if !ok || !a.Sent || ctx.Err() != nil {
		return false
	}
	mended, ok := m.Mend(w.target(), w.draft, err)
	if !ok {
		return false
	}
	w.draft, w.mendedAt, w.why = &mended, w.at, "mended after "+string(w.last.Class)
	if w.most == w.sent {
		w.most++ // the target has not been asked this before
	}
	return true
}

// wait says whether to try the present target once more, and after which wait.
func (w *run) wait(rule Rule, err *llm.Error, lastTarget bool) (time.Duration, bool) {
	if w.hedged || rule.Step != StepRetry || w.repeats >= rule.Retries || err.NoRepeat {
		return 0, false
	}
	wait := rule.Backoff << w.repeats
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

// broke ends a run whose answer broke off after the client had seen some of it.
func (w *run) broke(ctx context.Context, reached reach, err *llm.Error) *Outcome {
	w.out.Committed, w.last = true, err
	return w.end(ctx, reached == content)
}

// refuse ends a run in which nobody answered, or nobody as the plan says: then
// the client is given the last answer that there was.
func (w *run) refuse(ctx context.Context) *Outcome {
	if w.held != nil && clientGone(ctx) == nil {
		w.held.meta.Attempts = w.sent
		w.out.Warnings = w.held.meta.Warnings
		if err := w.reply.Whole(w.held.answer, w.held.meta); err != nil {
			return w.broke(ctx, content, unreachable(ctx, err))
		}
		return w.done(&w.held.answer.Glance.Finish)
	}
	if w.refusal != nil && w.refused() && clientGone(ctx) == nil {
		return w.tell(ctx)
	}
	if w.last == nil {
		w.last = llm.Errorf(llm.ModelNotFound, "no target is left for model %q", w.plan.Asked)
	}
	return w.end(ctx, true)
}

// end gives the last error to the client, if it is to be told. One that is gone
// by then makes the outcome client_gone: nobody was told.
func (w *run) end(ctx context.Context, tell bool) *Outcome {
	w.out.Err, w.out.Class, w.out.Refused = w.last, w.last.Class, w.last.Refused
	if tell && w.last.Class != llm.ClientGone {
		if err := w.reply.Fail(w.last, Meta{Attempts: w.sent, Warnings: w.out.Warnings}); err != nil && ctx.Err() != nil {
			w.out.Class = llm.ClientGone
		}
	}
	return &w.out
}
