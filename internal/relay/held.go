package relay

import "headrace/internal/llm"

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

// judge says what is wrong with a whole answer to a chat, or "". The last rung's
// is taken as it is, and so is one behind which no further attempt is allowed.
func (w *run) judge(a *llm.Answer, last bool) string {
	must := w.plan.Success
	if must == nil || w.relay.o.Judge == nil || last || w.sent >= w.most || w.draft.Op != llm.OpChat || w.draft.Head.Stream {
		return ""
	}
	return w.relay.o.Judge.Judge(must, w.draft, a)
}

// hold keeps the answer of the present attempt.
func (w *run) hold(a *llm.Answer, m Meta, why string) {
	if w.held == nil {
		w.held = &held{}
	}
	row := w.row()
	row.Message = "not passed on: " + why
	h := w.held
	h.answer, h.meta, h.why = a, m, w.target().String()+": "+why
	h.told = append(h.told, "route: "+h.why)
	h.meta.Warnings = append(h.meta.Warnings, "route: "+h.why)
	h.meta.Held = h.rows[:len(h.rows):len(h.rows)]
	h.rows = append(h.rows, *row)
}
