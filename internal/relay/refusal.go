package relay

import (
	"context"
	"slices"

	"headrace/internal/llm"
)

// refusal is an answer that refuses the content with an ordinary end. It is
// kept while the next target is asked, which the operator wants, and is what the
// client is told when that one has no answer.
type refusal struct {
	answer *llm.Answer
	meta   Meta
	pieces []llm.Piece // of a streamed answer, all of it
}

// keep keeps the refusal of the present attempt.
func (w *run) keep(r *refusal) { w.refusal = r }

// tell gives a kept refusal to the client.
func (w *run) tell(ctx context.Context) *Outcome {
	r := w.refusal
	r.meta.Attempts = w.sent
	r.meta.Warnings = append(slices.Clip(r.meta.Warnings), "route: the models asked after the refusal did not answer")
	w.out.Warnings = r.meta.Warnings
	if err := w.give(r); err != nil {
		return w.broke(ctx, content, unreachable(ctx, err))
	}
	return w.done(&llm.Finish{Reason: llm.FinishRefusal, Refused: w.last.Refused})
}

func (w *run) give(r *refusal) error {
	if r.pieces == nil {
		return w.reply.Whole(r.answer, r.meta)
	}
	if err := w.reply.Begin(r.answer, r.meta); err != nil {
		return err
	}
	for _, p := range r.pieces {
		if err := w.reply.Piece(p); err != nil {
			return err
		}
	}
	return w.reply.Flush()
}
