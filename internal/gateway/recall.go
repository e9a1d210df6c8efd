package gateway

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/wire/span"
)

// Recall keeps what a client has no place for and gives it back to the request
// that brings the tool calls of the same turn. No method waits. Only
// requests and answers that go through the words are seen; where client and
// provider speak one dialect, the client itself keeps what that needs.
type Recall interface {
	// Restore returns the request, or a copy with what it has lost.
	Restore(owner string, r *llm.Request) *llm.Request
	// Note keeps a turn that the client is about to be given.
	Note(t recall.Turn)
	// Maker gives who made the turn that a call stands in, or "".
	Maker(owner, callID string) string
	// Stats says how much is kept, of all callers.
	Stats() recall.Stats
	// Forget drops the turns that calls stand in.
	Forget(owner string, items []llm.Item)
}

// renamer is a codec whose clients see some calls under another id than the
// provider gave them. It is the same each time.
type renamer interface {
	CallID(id string) string
}

// keeping is what a request is given back of earlier ones, and what its answer
// leaves behind for later ones: the state of tool loops (this file) and stored
// answers (stored.go).
type keeping struct {
	o     *Options
	door  *door
	draft *llm.Draft
	owner string
	id    string // of the answer, where it is ours
	began time.Time
	// storing is nil for requests that have nothing to do with stored answers.
	storing *storing
	// heard gathers what must come back from a translated stream; nil when
	// nothing is kept.
	heard *recall.Collector
	// mended says that the request was mended once.
	mended bool
	// warnings and an error that came up when the provider had answered well.
	warnings []string
	failed   *llm.Error
}

// restore gives the request back what its client could not keep, once somebody
// decodes it, and the names of the makers of its state.
func (k *keeping) restore(d *llm.Draft) {
	if k.o.Recall == nil || d.Op != llm.OpChat && d.Op != llm.OpCountTokens {
		return
	}
	owner := k.owner
	f := func(r *llm.Request) *llm.Request {
		return k.o.Makers.Name(owner, k.o.Recall.Restore(owner, r))
	}
	d.Refine(f)
	if d.Whole != nil {
		d.Whole.Refine(f)
	}
	k.makers(d)
	if d.Whole != nil {
		k.makers(d.Whole)
	}
}

// makers finds whose state a request of a dialect brings whose bytes may be
// passed on.
func (k *keeping) makers(d *llm.Draft) {
	if k.door.storer == nil || d.Op != llm.OpChat {
		return
	}
	for s := range k.door.States(d.Raw) {
		if by := k.o.Makers.Of(k.owner, s); by != "" && (len(d.MadeBy) == 0 || d.MadeBy[len(d.MadeBy)-1] != by) {
			d.MadeBy = append(d.MadeBy, by)
		}
	}
}

// stick puts the maker of an open tool loop first in a plan that has a choice:
// elsewhere the loop would lose its thinking.
func (k *keeping) stick(plan *route.Plan, d *llm.Draft) {
	if k.o.Recall == nil || d.Op != llm.OpChat || d.HeldBy != "" || len(plan.Targets) < 2 {
		return
	}
	by := ""
	switch n := len(d.MadeBy); {
	case k.door.storer != nil && !k.door.Awaits(d):
		return
	case n > 0:
		by = d.MadeBy[n-1]
	case k.mayLoop(d):
		by = k.looped(d)
	}
	if by != "" && by != llm.Nobody {
		plan.Prefer(by, "it made the state of the tool loop")
	}
}

// resultMarks are what a body holds that answers a tool call. Behind the one of
// a dialect that names its calls stands the call's id.
var resultMarks = map[llm.Dialect][]byte{
	llm.OpenAI: []byte(`"tool_call_id"`), llm.Anthropic: []byte(`"tool_use_id"`),
	llm.Gemini: []byte("unction"), llm.Ollama: []byte(`"tool"`),
}

// wrapMark begins state that our codecs have wrapped for clients, as it is and
// in base64; Chat Completions has a form of its own for it. It stands in the
// turn before the result: within wrapNear bytes, or the loop has no preference.
const (
	wrapNear             = 64 << 10
	wrapMark, wrapMark64 = "hr1.", "aHIxL"
)

// mayLoop says whether it is worth decoding a request to see whether it stands
// in a tool loop of which somebody made the state. Nearly none does, and the
// bytes tell: a conversation of which nothing is kept carries no state of ours
// either.
func (k *keeping) mayLoop(d *llm.Draft) bool {
	mark := resultMarks[d.Dialect]
	if d.Dialect == llm.OpenAI && k.o.Recall.Stats().Turns == 0 {
		return false // its clients bring no maker along, and none is known here
	}
	at := lastIndex(d.Raw, mark)
	if mark == nil || at < 0 {
		return false
	}
	near := d.Raw[max(0, at-wrapNear):at]
	switch {
	case d.Dialect != llm.OpenAI && (span.Has(near, wrapMark) || span.Has(near, wrapMark64)):
		return true
	case d.Dialect != llm.OpenAI && d.Dialect != llm.Anthropic:
		return k.o.Recall.Stats().Turns > 0
	}
	id := bytes.TrimLeft(d.Raw[at+len(mark):], ": \t\r\n")
	if len(id) == 0 || id[0] != '"' {
		return true // spelled in another way
	}
	end := bytes.IndexByte(id[1:], '"')
	if end < 0 || bytes.IndexByte(id[1:1+end], '\\') >= 0 {
		return true
	}
	return k.o.Recall.Maker(k.owner, string(id[1:1+end])) != ""
}

// lastIndex is bytes.LastIndex, forwards: that is searched with the CPU's wide
// instructions, where backwards each byte is looked at by itself.
func lastIndex(b, mark []byte) int {
	at := bytes.Index(b, mark)
	for n := at; n >= 0 && len(mark) > 0; at += n {
		if n = bytes.Index(b[at+len(mark):], mark); n < 0 {
			break
		}
		n += len(mark)
	}
	return at
}

// looped gives the maker of the tool loop that a request is in, from its words.
func (k *keeping) looped(d *llm.Draft) string {
	r, err := d.Request()
	if err != nil {
		return "" // whoever is asked says what is wrong with it
	}
	for i := len(r.Items) - 1; i >= 0; i-- {
		it := &r.Items[i]
		if it.Kind == llm.ItemMessage && it.Role == llm.User {
			return ""
		}
		for _, o := range it.Opaque {
			if o.By != "" {
				return o.By
			}
		}
		if it.Kind == llm.ItemToolCall {
			if by := k.o.Recall.Maker(k.owner, it.Call.ID); by != "" {
				return by
			}
		}
	}
	return ""
}

// note keeps what must come back of an answer in words.
func (k *keeping) note(items []llm.Item, m relay.Meta) {
	if k.o.Recall == nil || len(items) == 0 {
		return
	}
	for i := range items {
		for _, o := range items[i].Opaque {
			if o.Bound() {
				k.o.Makers.Note(k.owner, o.Data, o.By)
			}
		}
	}
	t := recall.Turn{Owner: k.owner, Items: items}
	if m.Target != nil {
		t.By = m.Target.Provider
	}
	if c, ok := k.door.Codec.(renamer); ok {
		t.Shown = c.CallID
	}
	k.o.Recall.Note(t)
}

// signed notes who made the state in an answer that is passed on as it is; data
// is a whole answer or the event that ends a stream.
func (k *keeping) signed(data []byte, m relay.Meta) {
	if k.o.Recall == nil || m.Target == nil {
		return
	}
	for s := range k.door.States(data) {
		k.o.Makers.Note(k.owner, s, m.Target.Provider)
	}
}

// Mend implements relay.Mender.
func (r *reply) Mend(t *route.Target, d *llm.Draft, e *llm.Error) (llm.Draft, bool) {
	// Claude Code leaves state out itself, and knows better which (2026-11): a
	// client whose bytes are passed to Anthropic's API is told.
	row, ok := r.catalog.Provider(t.Provider)
	tell := ok && d.Dialect == llm.Anthropic && row.Dialect == llm.Anthropic
	return r.keep.mend(t, d, e, tell)
}

// mend gives a request that a target has refused in a form that it may take,
// once: with the conversation that it says it does not have, or, unless the
// client is to be told, without the state that it says it cannot read.
func (k *keeping) mend(t *route.Target, d *llm.Draft, e *llm.Error, tell bool) (llm.Draft, bool) {
	if k.mended || d.Op != llm.OpChat {
		return *d, false
	}
	switch {
	case d.HeldBy == t.Provider && d.Whole != nil && lacksPrevious(e):
		k.mended = true
		return d.For(""), true
	case refusesState(e) && !tell:
		k.mended = true
		now := d.For(t.Provider)
		if words, err := now.Request(); err == nil && k.o.Recall != nil {
			for i := range words.Items {
				for _, o := range words.Items[i].Opaque {
					if o.By == "" || o.By == t.Provider {
						k.o.Makers.Note(k.owner, o.Data, llm.Nobody)
					}
				}
			}
			k.o.Recall.Forget(k.owner, words.Items)
		}
		return now.With(llm.Edit{Kind: llm.EditStrip, Text: "left out: " + t.Provider + " refused the state of earlier thinking"}), true
	}
	return *d, false
}

// refusesState reports whether a provider refuses a request for a signature or
// an encrypted state in it.
func refusesState(e *llm.Error) bool {
	if e.Status != http.StatusBadRequest && e.Class != llm.InvalidRequest {
		return false
	}
	said := strings.ToLower(e.Code + " " + e.Message)
	for _, w := range []string{"encrypted_content", "encrypted content", "thought signature", "thought_signature", "thoughtsignature"} {
		if strings.Contains(said, w) {
			return true
		}
	}
	return strings.Contains(said, "signature") && strings.Contains(said, "thinking")
}

// lacksPrevious reports whether a provider says that it does not have the
// answer that a request goes on from.
func lacksPrevious(e *llm.Error) bool {
	if e.Status != http.StatusBadRequest && e.Status != http.StatusNotFound {
		return false
	}
	said := strings.ToLower(e.Code + " " + e.Param + " " + e.Message)
	return strings.Contains(said, "previous_response") || strings.Contains(said, "previous response")
}

// listen begins to hear a translated stream.
func (k *keeping) listen() {
	if k.o.Recall != nil && k.door.op == llm.OpChat {
		k.heard = &recall.Collector{}
	}
}

// hear listens to a translated stream. What must come back is kept before the
// client is told that the answer is complete: it may ask again at once.
func (k *keeping) hear(events []llm.Event, m relay.Meta) {
	if k.heard == nil {
		return
	}
	for i := range events {
		k.heard.Event(&events[i])
		if events[i].Kind == llm.EventFinish {
			k.note(k.heard.Items(), m)
		}
	}
}
