package gateway

import (
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/relay"
)

// Recall keeps what a client has no place for and gives it back to the request
// that brings the tool calls of the same turn. Neither method waits. Only
// requests and answers that go through the words are seen; where client and
// provider speak one dialect, the client itself keeps what that needs.
type Recall interface {
	// Restore returns the request, or a copy with what it has lost.
	Restore(owner string, r *llm.Request) *llm.Request
	// Note keeps a turn that the client is about to be given.
	Note(t recall.Turn)
}

// renamer is a codec whose clients see some calls under another id than the
// provider gave them. It is the same each time.
type renamer interface {
	CallID(id string) string
}

// restore gives the request back what its client could not keep, once somebody
// decodes it.
func (x *exchange) restore(d *llm.Draft) {
	if x.g.o.Recall == nil || d.Op != llm.OpChat && d.Op != llm.OpCountTokens {
		return
	}
	f := func(r *llm.Request) *llm.Request { return x.g.o.Recall.Restore(x.entry.KeyID, r) }
	d.Refine(f)
	if d.Whole != nil {
		d.Whole.Refine(f)
	}
}

// keep notes what must come back of a whole answer in words.
func (x *exchange) keep(a *llm.Answer, m relay.Meta) {
	if a.Response != nil {
		x.note(a.Response.Items, m)
	}
}

func (x *exchange) note(items []llm.Item, m relay.Meta) {
	if x.g.o.Recall == nil || len(items) == 0 {
		return
	}
	t := recall.Turn{Owner: x.entry.KeyID, Items: items}
	if m.Target != nil {
		t.By = m.Target.Provider
	}
	if c, ok := x.door.Codec.(renamer); ok {
		t.Shown = c.CallID
	}
	x.g.o.Recall.Note(t)
}

// collector hears a streamed answer in words; nil when nothing is kept.
func (x *exchange) collector() *recall.Collector {
	if x.g.o.Recall == nil || x.door.op != llm.OpChat {
		return nil
	}
	return &recall.Collector{}
}

// hear listens to a translated stream. What must come back is kept before the
// client is told that the answer is complete: it may ask again at once.
func (r *reply) hear(events []llm.Event) {
	if r.heard == nil {
		return
	}
	for i := range events {
		r.heard.Event(&events[i])
		if events[i].Kind == llm.EventFinish {
			r.x.note(r.heard.Items(), r.meta)
		}
	}
}
