package relay

import (
	"context"
	"time"

	"headrace/internal/llm"
	"headrace/internal/route"
)

// Reserver takes room at a target before an attempt is made there: one of its
// provider's credentials that has room for the request. Safe for concurrent use.
type Reserver interface {
	// Reserve takes room for the draft at a credential of the target's provider
	// that has no bit in tried. The hold is to wait before it is used, never
	// longer than most. Without room it gives none and says why: RetryAfter of a
	// RateLimited refusal is when there may be some. With most below 0 only the
	// operator's own limits refuse: the provider itself is to say.
	Reserve(t *route.Target, d *llm.Draft, tried uint64, most time.Duration) (h Hold, wait time.Duration, full *llm.Error)
}

// Hold is the room that one attempt has.
type Hold interface {
	// Credential is the index of the credential to send with.
	Credential() int
	// Name says which it is; empty where there is only one.
	Name() string
	// Done gives the room back and says how the attempt went. It is called once,
	// on every way out.
	Done(a *Attempt, failed *llm.Error)
}

// room is what one request knows of the room at its targets. It is used by the
// goroutine of Run alone.
type room struct {
	relay *Relay
	terms *terms
	plan  *route.Plan
	draft *llm.Draft
	// hold is what the present attempt has, or the next one already.
	hold Hold
	// tried are the credentials of target at that failed this request.
	at    int
	tried uint64
	// passed is set when some target was passed over for want of room; soonest is
	// the one that will have room first, at until.
	passed  bool
	soonest int
	until   time.Time
	// waiting says that all targets had their turn and that the soonest is waited
	// for.
	waiting bool
}

// more reports whether a target is left; when the plan is through, that is the
// one that has room soonest, once.
func (m *room) more(at *int) bool {
	if *at < len(m.plan.Targets) {
		return true
	}
	if !m.passed || m.waiting {
		return false
	}
	m.waiting, *at = true, m.soonest
	return true
}

// next is the target after at.
func (m *room) next(at int) int {
	if m.waiting {
		return len(m.plan.Targets)
	}
	return at + 1
}

// take gets room for an attempt at target at. It waits only when no other
// target is left that could be tried now.
func (m *room) take(ctx context.Context, at int, a *Attempt) *llm.Error {
	if m.relay.o.Reserver == nil {
		return nil
	}
	if m.at != at {
		m.at, m.tried = at, 0
	}
	if m.hold == nil {
		if full := m.reserve(ctx, at); full != nil {
			return full
		}
	}
	a.Credential = m.hold.Credential()
	if name := m.hold.Name(); name != "" {
		a.Why += ", credential " + name
	}
	return nil
}

func (m *room) reserve(ctx context.Context, at int) *llm.Error {
	t := &m.plan.Targets[at]
	h, _, full := m.relay.o.Reserver.Reserve(t, m.draft, m.tried, 0)
	if full == nil {
		m.hold = h
		return nil
	}
	if len(m.plan.Targets) == 1 {
		return m.anyway(ctx, t, full)
	}
	if full.Class != llm.RateLimited || full.RetryAfter <= 0 {
		return full
	}
	if until := time.Now().Add(full.RetryAfter); !m.passed || until.Before(m.until) {
		m.passed, m.soonest, m.until = true, at, until
	}
	if m.waiting || at == len(m.plan.Targets)-1 && m.soonest == at {
		m.waiting = true
		return m.await(ctx, t)
	}
	return full
}

// anyway gets room at the only target that there is: what the provider said a
// while ago is no answer to this request, so when its own limits have no room in
// time it is asked all the same.
func (m *room) anyway(ctx context.Context, t *route.Target, full *llm.Error) *llm.Error {
	if full.Class == llm.RateLimited && full.RetryAfter > 0 {
		if full = m.await(ctx, t); full == nil || clientGone(ctx) != nil {
			return full
		}
	}
	h, _, refused := m.relay.o.Reserver.Reserve(t, m.draft, m.tried, -1)
	if refused != nil {
		return refused
	}
	m.hold = h
	return nil
}

// await waits for room at a target as long as the request's deadline allows, or
// without one as long as the rule of rate limits does.
func (m *room) await(ctx context.Context, t *route.Target) *llm.Error {
	end, bound := ctx.Deadline()
	if !bound {
		end = time.Now().Add(m.terms.rules[llm.RateLimited].MaxWait)
	}
	for {
		left := time.Until(end)
		h, wait, full := m.relay.o.Reserver.Reserve(t, m.draft, m.tried, left)
		if full == nil && (wait <= 0 || sleep(ctx, wait)) {
			m.hold = h
			return nil
		}
		if full == nil {
			h.Done(&Attempt{}, nil)
			return clientGone(ctx)
		}
		if full.Class != llm.RateLimited || full.RetryAfter <= 0 || full.RetryAfter >= left {
			return full
		}
		if !sleep(ctx, full.RetryAfter) {
			return clientGone(ctx)
		}
	}
}

// settle gives back the room of an attempt that has ended.
func (m *room) settle(a *Attempt, failed *llm.Error) {
	if h := m.hold; h != nil {
		m.hold = nil
		h.Done(a, failed)
	}
}

// hand gives the present hold to whoever ends the attempt.
func (m *room) hand() Hold {
	h := m.hold
	m.hold = nil
	return h
}

// ofCredential are the classes that another credential of the same provider may
// do better at.
var ofCredential = map[llm.Class]bool{llm.RateLimited: true, llm.QuotaExhausted: true, llm.Auth: true}

// other gets room at another credential of the target that just failed.
func (m *room) other(at int, a *Attempt, failed *llm.Error) bool {
	if m.relay.o.Reserver == nil || !ofCredential[failed.Class] || failed.NoRepeat && failed.Class == llm.RateLimited {
		return false
	}
	tried := m.tried | 1<<a.Credential
	h, _, full := m.relay.o.Reserver.Reserve(&m.plan.Targets[at], m.draft, tried, 0)
	if full != nil {
		m.tried = 0 // whoever repeats may use any of them
		return false
	}
	m.tried, m.hold = tried, h
	return true
}

// close settles an attempt that panicked.
func (m *room) close(out *Outcome) {
	if m.hold != nil && len(out.Attempts) > 0 {
		m.settle(&out.Attempts[len(out.Attempts)-1], &llm.Error{Class: llm.Unavailable, Message: "the attempt ended in a panic"})
	}
}
