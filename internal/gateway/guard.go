package gateway

import (
	"context"
	"fmt"
	"strings"

	"headrace/internal/access"
	"headrace/internal/guard"
	"headrace/internal/llm"
	"headrace/internal/route"
)

// Guard is a set of rules for some of the requests.
type Guard struct {
	Name string
	// Applies says for which: by the names that a request has, which are what its
	// client asks for and each provider/model that this leads to, and by who asks.
	Applies func(names []string, p *access.Principal) bool
	Rules   *guard.Rules
}

// guarded is what the rules make of one request and its answer.
type guarded struct {
	ctx   context.Context
	rules *guard.Rules
	vault *guard.Vault
	in    guard.Report
	// now looks at the open block of a streamed answer; nil is none.
	now  *guard.Stream
	kind llm.DeltaKind
	buf  []llm.Event
	out  []guard.Count
}

// guard holds a request to the rules that apply to it, and says what of its
// answer must be looked at.
func (x *exchange) guard(ctx context.Context, p *access.Principal, d *llm.Draft) *llm.Error {
	if len(x.s.Guards) == 0 {
		return nil
	}
	var all []*guard.Rules
	names := x.names(d)
	for i := range x.s.Guards {
		if g := &x.s.Guards[i]; g.Applies(names, p) {
			all = append(all, g.Rules)
		}
	}
	if len(all) == 0 {
		return nil
	}
	w := &guarded{ctx: ctx, rules: guard.Join(all...), vault: guard.NewVault()}
	x.reply.guarded = w
	if d.Op == llm.OpRaw {
		w.in = w.rules.Raw(d.Raw)
		return w.verdict(d.Raw)
	}
	if d.HeldBy != "" && d.Whole == nil && w.rules.Redacts() {
		return llm.Errorf(llm.Unsupported, "a rule of this gateway redacts requests, which needs the whole conversation: send it, instead of going on from what %s holds", d.HeldBy)
	}
	// The conversation comes first, so that its placeholders have the numbers of
	// earlier turns.
	for _, d := range []*llm.Draft{d.Whole, d} {
		if d == nil {
			continue
		}
		body, told := w.rules.Body(d.Raw, w.vault)
		w.in = told
		if fail := w.verdict(body); fail != nil {
			return fail
		}
		if fail := x.respell(d, body); fail != nil {
			return fail
		}
		d.Words = d.Op == llm.OpChat && (w.rules.Out() || !w.vault.Empty())
	}
	return nil
}

// names are what rules may call a request by.
func (x *exchange) names(d *llm.Draft) []string {
	vendor := x.reply.door.vendor
	if d.Op == llm.OpRaw || d.Head.Model == "" {
		return []string{vendor + "/" + d.Path}
	}
	names := []string{x.s.base(d.Head.Model)}
	// Where it leads nowhere the plan says so.
	plan, _ := route.Make(route.Facts{Model: names[0], Vendor: vendor, Embed: d.Op == llm.OpEmbed}, x.s.Catalog, x.s.Policy)
	for i := range plan.Targets {
		names = append(names, plan.Targets[i].String())
	}
	return names
}

// respell gives a draft other bytes.
func (x *exchange) respell(d *llm.Draft, body []byte) *llm.Error {
	if len(body) == len(d.Raw) && (len(body) == 0 || &body[0] == &d.Raw[0]) {
		return nil
	}
	head, err := x.reply.door.Head(d.Op, body)
	if err != nil {
		return asError(err, llm.InvalidRequest)
	}
	head.Model, head.Stream = d.Head.Model, d.Head.Stream // they may stand in the path
	*d = d.Respelled(body, head)
	return nil
}

// verdict gives the error of a request that a rule forbids.
func (w *guarded) verdict(body []byte) *llm.Error {
	if w.in.Block == "" {
		w.rules.Whole(w.ctx, guard.Input, guard.Text(body), &w.in)
	}
	if w.in.Block != "" {
		return guard.Blocked(guard.Input, w.in.Block)
	}
	return nil
}

// looks reports whether answers go through the rules.
func (w *guarded) looks() bool { return w != nil && (w.rules.Out() || !w.vault.Empty()) }

// response looks at a whole answer.
func (w *guarded) response(a *llm.Response) (*llm.Response, *llm.Error) {
	a, told := w.rules.Response(a, w.vault)
	if told.Block == "" {
		for i := range a.Items {
			if it := &a.Items[i]; it.Kind == llm.ItemMessage {
				w.rules.Whole(w.ctx, guard.Output, it.Text(), &told)
			}
		}
	}
	w.out = told.Found
	if told.Block != "" {
		return nil, guard.Blocked(guard.Output, told.Block)
	}
	return a, nil
}

// events looks at the events of a streamed answer and gives those that the
// client may have now. They are valid until the next call.
func (w *guarded) events(events []llm.Event) ([]llm.Event, *llm.Error) {
	w.buf = w.buf[:0]
	for i := range events {
		e := &events[i]
		switch {
		case e.Kind == llm.EventDelta && watched(e.Delta.Kind):
			if w.now != nil && w.kind != e.Delta.Kind {
				w.close(e)
			}
			if w.now == nil {
				w.now, w.kind = w.rules.Stream(w.ctx, w.vault, e.Delta.Kind == llm.DeltaArguments), e.Delta.Kind
			}
			own := *e
			if own.Delta.Text = w.now.Add(e.Delta.Text); own.Delta.Text != "" {
				w.buf = append(w.buf, own)
			}
		case e.Kind == llm.EventBlockStop || e.Kind == llm.EventBlockStart || e.Terminal():
			w.close(e)
			w.buf = append(w.buf, *e)
		default:
			w.buf = append(w.buf, *e)
		}
		if w.now != nil && w.now.Report().Block != "" {
			w.out = append(w.out, w.now.Report().Found...)
			return nil, guard.Blocked(guard.Output, w.now.Report().Block)
		}
	}
	return w.buf, nil
}

// close gives the rest of the open block, before the event e.
func (w *guarded) close(e *llm.Event) {
	if w.now == nil {
		return
	}
	if rest := w.now.End(); rest != "" {
		w.buf = append(w.buf, llm.Event{Kind: llm.EventDelta, Index: e.Index, Delta: llm.Delta{Kind: w.kind, Text: rest}})
	}
	if w.now.Report().Block == "" { // else events says so
		w.out = append(w.out, w.now.Report().Found...)
		w.now = nil
	}
}

// watched says which deltas hold words for the client or a tool.
func watched(k llm.DeltaKind) bool {
	return k == llm.DeltaText || k == llm.DeltaRefusal || k == llm.DeltaArguments
}

// warnings tell the client what was redacted.
func (w *guarded) warnings() []string {
	if w == nil {
		return nil
	}
	var s []string
	tell := func(counts []guard.Count, where string) {
		for _, c := range counts {
			if c.Do == guard.Redact {
				s = append(s, fmt.Sprintf("rule %s: %d %s redacted in %s", c.Rule, c.N, strings.ReplaceAll(c.Kind, "_", " "), where))
			}
		}
	}
	tell(w.in.Found, "the request")
	tell(w.out, "the answer")
	return s
}

// count adds what was found to the figures.
func (w *guarded) count(t *guard.Tally) {
	if w != nil {
		t.Add(guard.Input, w.in.Found)
		t.Add(guard.Output, w.out)
	}
}
