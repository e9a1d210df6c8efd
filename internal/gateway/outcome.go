package gateway

import (
	"cmp"
	"slices"

	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/tokens"
	"headrace/internal/wire/ollama"
)

// sizer counts the prompt of one request, once for each model.
type sizer struct {
	learner *tokens.Learner
	draft   *llm.Draft // nil before there is one
	size    int64
	model   string // that size is for; empty when nobody has asked
}

// of is our own count of the prompt.
func (z *sizer) of(model string) int64 {
	if z.draft == nil {
		return 0
	}
	if z.model != model {
		z.size, z.model = z.learner.Estimate(z.draft.Raw, model), model
	}
	return z.size
}

// cut gives the warning for a prompt of which the target has read too little,
// or "": Ollama cuts a prompt that is over its window without a word.
func (z *sizer) cut(c *catalog.Catalog, provider, model string, u llm.Usage) string {
	if row, ok := c.Provider(provider); !ok || row.Dialect != llm.Ollama {
		return ""
	}
	if loss := ollama.LooksCut(z.of(model), u); loss != nil {
		return loss.Path + ": " + loss.Why
	}
	return ""
}

// ended notes how the relay went, and gives what the request took in tokens.
func (x *exchange) ended(out *relay.Outcome, d *llm.Draft) (took int64) {
	r, row := &x.reply, &x.row
	row.Needs = atSight(d)
	row.Class, row.Committed, row.Warnings = out.Class, out.Committed, r.warnings(out.Warnings)
	if r.keep.failed != nil {
		row.Class = r.keep.failed.Class
	}
	row.Attempts = make([]ledger.Attempt, len(out.Attempts))
	for i := range out.Attempts {
		a := &out.Attempts[i]
		if a.Usage.Source == "" && a.Sent && (a.Status/100 == 2 || a.Spared) && (d.Op == llm.OpChat || d.Op == llm.OpEmbed) && !(a.OutputBytes == 0 && refusedUnread[a.Class]) {
			a.Usage = r.size.guess(a)
		}
		if d.Op == llm.OpChat && a.Class == "" {
			if w := r.size.cut(x.s.Catalog, a.Provider, a.Model, a.Usage); w != "" {
				row.Warnings = append(slices.Clip(row.Warnings), w)
			}
		}
		took += a.Usage.Total()
		row.Attempts[i] = ledger.Attempt{
			N: a.N, Provider: a.Provider, Model: a.Model, Why: a.Why, Start: a.Start, FirstByte: a.FirstByte, Total: a.Total,
			Status: a.Status, Class: a.Class, Message: a.Message, Refused: a.Refused, Usage: a.Usage, Finish: a.Finish.Reason, UpstreamID: a.UpstreamID,
		}
		if a.Usage.Source == llm.UsageProvider && a.Class == "" && d.Op == llm.OpChat && int64(row.ID)%learnEvery == 0 {
			x.g.o.Tokens.Learn(a.Model, tokens.Estimate(d.Raw, tokens.FamilyOf(a.Model)), a.Usage.Prompt())
		}
	}
	if r.trip != nil {
		r.trip.Ended(row, out, r.cost)
		r.trip = nil
		x.foretold()
	}
	r.bill.done(out.Attempts)
	return took
}

// refusedUnread are the classes with which a provider turns a request away
// without having worked on it, also when it says so inside a 200.
var refusedUnread = map[llm.Class]bool{
	llm.RateLimited: true, llm.QuotaExhausted: true, llm.Overloaded: true, llm.Auth: true,
	llm.InvalidRequest: true, llm.ContextOverflow: true, llm.ModelNotFound: true,
}

// learnEvery is how many requests go by for one that the token estimate learns
// from: counting a long prompt costs as much as sending it.
const learnEvery = 32

// guess is the usage of an answer that ended before its provider told it, or
// of which it told the output alone.
func (z *sizer) guess(a *relay.Attempt) llm.Usage {
	return llm.Usage{Input: z.of(a.Model), Output: cmp.Or(a.Usage.Output, int64(a.OutputBytes+3)/4), Source: llm.UsageEstimated}
}
