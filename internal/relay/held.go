package relay

import (
	"bytes"
	"context"
	"slices"
	"time"

	"headrace/internal/llm"
	"headrace/internal/route"
)

// held is a whole answer that was not what its route says, kept from the client
// while another rung may do better.
type held struct {
	answer *llm.Answer
	meta   Meta
	// why says in a sentence what was wrong with it; told are those of all answers
	// that were held, rows the attempts.
	why  string
	told []string
	rows []Attempt
}

// doubted is a whole answer that passed the checks and waits for a second
// opinion.
type doubted struct {
	answer *llm.Answer
	meta   Meta
	form   []byte // its canonical form
}

// every are the checks of a route that says nothing of success: what they find
// is noted and changes nothing.
var every = &route.Success{Schema: true, ToolsValid: true, Refusal: true, Truncated: true, Empty: true}

// judge looks at a whole answer to a chat, and reports whether it is kept from
// the client for now: because something is wrong with it, or because a second
// opinion may say so. The answer behind which no higher rung or no further
// attempt is allowed is passed on as it is.
func (w *run) judge(ans *llm.Answer, m Meta, a *Attempt) (kept bool) {
	must := w.plan.Success
	if w.relay.o.Judge == nil || must == nil && w.plan.Ladder == nil || w.draft.Op != llm.OpChat || w.draft.Head.Stream {
		return false
	}
	up := w.up()
	if must == nil {
		must, up = every, nil
	}
	a.Checked, a.Wrong = true, w.relay.o.Judge.Judge(must, w.draft, ans)
	switch {
	case a.Wrong != "" && up != nil && w.climbs(up):
		w.hold(ans, m, a.Wrong)
		return true
	case a.Wrong != "":
		a.Message = "passed on all the same: " + a.Wrong
	case up != nil && w.plan.Opinion != nil && (!w.opined || w.said != nil):
		if form := w.relay.o.Judge.Canonical(w.draft, ans); form != nil {
			w.doubted = &doubted{ans, m, form}
			return true
		}
	}
	return false
}

// up is the next target where it is a higher rung and may be asked; nil
// otherwise.
func (w *run) up() *route.Target {
	if w.at+1 >= len(w.plan.Targets) || w.sent >= w.most {
		return nil
	}
	next := &w.plan.Targets[w.at+1]
	if w.plan.Ladder != nil && next.Rung <= w.target().Rung {
		return nil
	}
	return next
}

// climbs asks a reply that is a Climber whether the next rung is worth it.
func (w *run) climbs(next *route.Target) bool {
	c, ok := w.reply.(Climber)
	return !ok || c.Climb(next, w.out.Attempts)
}

// hold keeps the answer of the attempt that was made last.
func (w *run) hold(a *llm.Answer, m Meta, why string) {
	if w.held == nil {
		w.held = &held{}
	}
	row := w.answered()
	row.Message = "not passed on: " + why
	h := w.held
	h.answer, h.meta, h.why = a, m, w.target().String()+": "+why
	h.told = append(h.told, "route: "+h.why)
	h.meta.Warnings = append(h.meta.Warnings, "route: "+h.why)
	h.meta.Held = w.paid()
	h.rows = append(h.rows, *row)
}

// paid are the attempts beside the one whose answer is passed on that are paid
// for too: those that were held, and a second opinion.
func (w *run) paid() []Attempt {
	if w.held == nil {
		return slices.Clip(w.opinion)
	}
	return append(slices.Clip(w.held.rows), w.opinion...)
}

// answered is the row of the last attempt that is no second opinion.
func (w *run) answered() *Attempt {
	for i := len(w.out.Attempts) - 1; ; i-- {
		if a := &w.out.Attempts[i]; !a.Opinion {
			return a
		}
	}
}

// weigh asks for a second opinion on the answer that is doubted, if nobody has
// been asked yet, and passes the answer on unless the two differ and the next
// rung is worth it.
func (w *run) weigh(ctx context.Context) (reached reach, failed *llm.Error) {
	d := w.doubted
	w.doubted = nil
	if !w.opined {
		w.opined = true
		w.opine(ctx)
		w.opinion = w.out.Attempts[len(w.out.Attempts)-1:]
		d.meta.Held = w.paid()
	}
	row := w.answered()
	if w.said != nil {
		row.Agreed = bytes.Equal(w.said, d.form)
		row.Differed = !row.Agreed
	}
	if row.Differed {
		if next := w.up(); next != nil && w.climbs(next) {
			w.hold(d.answer, d.meta, "a second opinion of "+w.plan.Opinion.String()+" differs")
			return nothing, nil
		}
	}
	if gone := clientGone(ctx); gone != nil {
		return nothing, gone
	}
	w.out.Warnings = d.meta.Warnings
	if err := w.reply.Whole(d.answer, d.meta); err != nil {
		return content, unreachable(ctx, err)
	}
	return content, nil
}

// opine asks the plan's second model the same and keeps the canonical form of
// what it says. Whatever goes wrong, there is no opinion then.
func (w *run) opine(ctx context.Context) {
	t := w.plan.Opinion
	w.out.Attempts = append(w.out.Attempts, Attempt{N: len(w.out.Attempts) + 1, Provider: t.Provider, Model: t.Model, Opinion: true,
		Why: "a second opinion on the answer of " + w.target().String(), Start: time.Now(), Op: w.draft.Op})
	a := w.row()
	var room Hold
	if w.relay.o.Reserver != nil {
		h, _, full := w.relay.o.Reserver.Reserve(t, w.draft, 0, 0)
		if full != nil {
			a.refused(full)
			return
		}
		room, a.Credential = h, h.Credential()
	}
	var failed *llm.Error
	if room != nil {
		defer func() { room.Done(a, failed) }()
	}
	d := *w.draft
	if pays(w.reply) {
		if d, _, failed = w.reply.(Payer).Pay(ctx, t, d, w.out.Attempts[:len(w.out.Attempts)-1]); failed != nil {
			a.refused(failed)
			return
		}
	}
	p, aside := w.relay.allow(t, false)
	if aside != nil {
		failed = aside
		a.refused(aside)
		return
	}
	a.Class = llm.Unavailable // until it has ended
	defer func() { p.Done(a) }()
	o := w.relay.open(ctx, t, &d, w.terms.of(t))
	defer o.close()
	ans, err := w.relay.send(o, &d, a.Credential, a.N)
	if err != nil {
		failed = w.relay.classify(ctx, o.ctx, err, t)
		a.Sent = failed.Class != llm.Unsupported
		a.end(failed)
		return
	}
	a.FirstByte = time.Since(a.Start)
	a.Sent, a.Status, a.UpstreamID = true, ans.Status, ans.UpstreamID
	if ans.Stream != nil {
		ans.Stream.Close() // it was not asked for
	} else {
		a.Usage, a.Finish, a.OutputBytes = ans.Glance.Usage, ans.Glance.Finish, ans.TextBytes
		w.said = w.relay.o.Judge.Canonical(w.draft, ans)
	}
	a.end(nil)
}
