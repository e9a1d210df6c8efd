package gateway

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// This file is about answers that are stored: requests that go on from one,
// keeping one, and the paths under /v1/responses/{id}. An answer that we have
// translated is kept here, under an id of ours. One that a provider of the
// dialect made has that provider's id and is its own to continue; of it is kept
// who holds it, and what it said, for the day that the provider cannot.

// storing is what an exchange knows of stored answers.
type storing struct {
	// asked is the request as the client wrote it.
	asked llm.Draft
	// keep is set when the answer is to be stored; must, when the client said so
	// itself: then it is better told of a failure than given an answer that it
	// cannot go on from.
	keep, must bool
	// save keeps a record, note one of what a provider holds. Without must nothing
	// waits for the store.
	save, note func(recall.Record) error
	// conversation is the id of the provider's own conversation that the request
	// stands in; met says that its provider is known already.
	conversation string
	met          bool
}

// storer is a codec of a dialect whose answers can be stored and gone on from.
type storer interface {
	// AnswerID is the id of an answer of ours to the request with an id.
	AnswerID(request string) string
	// Echo gives what an answer repeats of its request; stored says whether it is
	// kept.
	Echo(d *llm.Draft, stored bool) []llm.Member
	// Conversation gives the id of the provider's own conversation that a request
	// stands in, or "".
	Conversation(d *llm.Draft) string
	// Expand writes a request out with the items that it goes on from.
	Expand(d *llm.Draft, items []jsontext.Value) []byte
	// Awaits reports whether a request is inside a tool loop.
	Awaits(d *llm.Draft) bool
	// Held gives the answer and its id out of a whole one or of the event that
	// ends a stream; done says that it is complete, away that its provider has not
	// kept it.
	Held(data []byte) (object jsontext.Value, id string, done, away bool)
	// States gives the encrypted states in a body.
	States(body []byte) iter.Seq[string]
	// AppendDeleted and AppendItems write the answers about a stored one.
	AppendDeleted(dst []byte, id string) []byte
	AppendItems(dst []byte, id string, items []jsontext.Value, query url.Values) ([]byte, error)
}

// conversationKey is under which the provider of a conversation is noted.
func conversationKey(id string) string { return "conversation:" + id }

// goOn finds what the request goes on from, and whether its answer is to be
// kept. It costs other dialects nothing.
func (k *keeping) goOn(ctx context.Context, d *llm.Draft) *llm.Error {
	s := k.o.Responses
	if s == nil || k.door.storer == nil || d.Op != llm.OpChat && d.Op != llm.OpCountTokens {
		return nil
	}
	st := &storing{asked: *d, conversation: k.door.Conversation(d)}
	if d.Op == llm.OpChat {
		st.keep = d.Head.Store == nil || *d.Head.Store
		st.must = d.Head.Store != nil && st.keep
		// A client that leaves now may ask for the answer later.
		ctx := context.WithoutCancel(ctx)
		st.save, st.note = s.Later, s.Later
		if st.must {
			st.save = func(r recall.Record) error { return s.Save(ctx, r) }
			st.note = func(r recall.Record) error { return s.Note(ctx, r) }
		}
	}
	k.storing = st
	if id := d.Head.PreviousID; id != "" {
		return k.follow(ctx, d, id)
	}
	if st.conversation == "" {
		return nil
	}
	r, err := s.Find(ctx, k.owner, conversationKey(st.conversation))
	switch e, ok := errors.AsType[*llm.Error](err); {
	case err == nil:
		st.met, d.HeldBy = true, r.Provider
	case !ok || e.Class != llm.NotFound && e.Class != llm.Unavailable:
		return asError(err, llm.Unavailable)
	}
	return nil
}

// follow makes the draft one that goes on from a stored answer: written out where
// the answer is ours, bound to its provider where it is that one's.
func (k *keeping) follow(ctx context.Context, d *llm.Draft, id string) *llm.Error {
	s := k.o.Responses
	r, err := s.Find(ctx, k.owner, id)
	if e, ok := errors.AsType[*llm.Error](err); ok && e.Class == llm.NotFound {
		return recall.Broken(id, id)
	}
	if err != nil {
		return asError(err, llm.Unavailable)
	}
	items, err := s.Items(ctx, k.owner, id)
	if err != nil && !r.Native {
		return asError(err, llm.Unavailable)
	}
	var whole *llm.Draft
	if err == nil {
		w, fail := k.expanded(d, items)
		if fail != nil {
			return fail
		}
		whole = &w
	}
	if !r.Native {
		*d = *whole
		return nil
	}
	d.HeldBy, d.Whole = r.Provider, whole
	return nil
}

// expanded writes a request out with the items that it goes on from.
func (k *keeping) expanded(d *llm.Draft, items []jsontext.Value) (llm.Draft, *llm.Error) {
	raw := k.door.Expand(d, items)
	head, err := k.door.Head(d.Op, raw)
	if err != nil {
		return llm.Draft{}, asError(err, llm.InvalidRequest)
	}
	return d.Respelled(raw, head), nil
}

// hold puts the provider that holds the conversation first in the plan. Where
// nobody else has it, the others are taken out.
func (k *keeping) hold(plan *route.Plan, d *llm.Draft) *llm.Error {
	if d.HeldBy == "" {
		return nil
	}
	plan.Prefer(d.HeldBy, "it holds the conversation")
	if d.Whole != nil {
		return nil
	}
	held := plan.Targets[:0:0]
	for _, t := range plan.Targets {
		if t.Provider == d.HeldBy {
			held = append(held, t)
		}
	}
	if plan.Targets = held; len(held) > 0 {
		return nil
	}
	e := llm.Errorf(llm.InvalidRequest, "Response '%s' is held by %s itself and can only be continued there, which the model %q does not lead to.", d.Head.PreviousID, d.HeldBy, d.Head.Model)
	e.Param = "previous_response_id"
	if d.Head.PreviousID == "" {
		e = llm.Errorf(llm.InvalidRequest, "Conversation '%s' is held by %s itself and can only be continued there, which the model %q does not lead to.", k.storing.conversation, d.HeldBy, d.Head.Model)
		e.Param = "conversation"
	}
	return e
}

// keeps says whether the answer is to be stored.
func (k *keeping) keeps() bool { return k.storing != nil && k.storing.keep }

// record is the answer as it is stored.
func (k *keeping) record(id string, object jsontext.Value, m relay.Meta) recall.Record {
	d := &k.storing.asked
	r := recall.Record{ID: id, Owner: k.owner, Previous: d.Head.PreviousID, Response: object, Created: k.began}
	if m.Target != nil {
		r.Provider = m.Target.Provider
	}
	if at, ok := d.Head.At("input"); ok {
		r.Input = d.Raw[at.From:at.To]
	}
	return r
}

// saved stores an answer of ours. The error is one to tell the client; an
// answer that it did not ask by name to be stored goes out without, and warned
// says so.
func (k *keeping) saved(object jsontext.Value, m relay.Meta) (warned string, fail *llm.Error) {
	err := k.storing.save(k.record(k.id, object, m))
	switch {
	case err == nil:
		return "", nil
	case k.storing.must:
		k.failed = asError(err, llm.Unavailable)
		return "", k.failed
	}
	return k.warn("store: the answer could not be stored and cannot be continued by its id"), nil
}

// warn adds a warning that came up after the answer.
func (k *keeping) warn(s string) string {
	k.warnings = append(k.warnings, s)
	return s
}

// noted notes who holds an answer that its provider made in this dialect; data
// is as storer.Held takes it.
func (k *keeping) noted(data []byte, m relay.Meta) {
	object, id, done, away := k.door.Held(data)
	if id == "" || m.Target == nil {
		return
	}
	r := k.record(id, object, m)
	// What its provider has not kept is ours to put together again.
	r.Native = !away || !done || k.storing.conversation != ""
	if !done || k.storing.conversation != "" {
		// Not all of what it goes on from, or of what it says, is here.
		r.Input, r.Response = nil, nil
	}
	err := k.storing.note(r)
	if c := k.storing.conversation; err == nil && c != "" && !k.storing.met {
		err = k.storing.note(recall.Record{ID: conversationKey(c), Owner: k.owner, Provider: r.Provider, Native: true, Created: k.began})
	}
	if err != nil {
		k.warn("store: who holds the answer could not be written down and is known for a while only")
	}
}

// echo gives what an answer repeats of its request; nil where the dialect's
// answers do not.
func (k *keeping) echo(stored bool) []llm.Member {
	if k.door.storer == nil || k.draft == nil {
		return nil
	}
	d := k.draft
	if k.storing != nil {
		d = &k.storing.asked
	}
	return k.door.Echo(d, stored)
}

// teller is the encoder of a dialect whose streams end with the whole answer.
type teller interface {
	Answer(e *llm.Event) jsontext.Value
	SetEcho(echo []llm.Member)
}

// finish ends a translated stream whose answer is to be stored: it is, before
// the client is told that all went well.
func (k *keeping) finish(dst []byte, enc llm.StreamEncoder, e llm.Event, m relay.Meta) []byte {
	t, ok := enc.(teller)
	if !ok || !k.keeps() {
		return enc.Encode(dst, e)
	}
	dst = enc.Encode(dst, llm.Event{Kind: llm.EventBlockStop})
	object := t.Answer(&e)
	if e.From == k.door.name { // its provider has it
		k.noted(object, m)
		return enc.Encode(dst, e)
	}
	warned, fail := k.saved(object, m)
	switch {
	case fail != nil:
		return enc.Encode(dst, llm.Event{Kind: llm.EventError, Err: fail})
	case warned != "":
		t.SetEcho(k.echo(false))
	}
	return enc.Encode(dst, e)
}

// overhear notes the end of a stream whose bytes are passed on.
func (k *keeping) overhear(p *llm.Piece, m relay.Meta) {
	if k.door.storer == nil {
		return
	}
	for i := range p.Events {
		if p.Events[i].Kind == llm.EventFinish && len(p.Data) > 0 {
			k.heed(p.Data, m)
		}
	}
}

// heed notes what has to be known of an answer that is passed on as it is; data
// is as storer.Held takes it.
func (k *keeping) heed(data []byte, m relay.Meta) {
	if k.door.storer == nil || k.door.op != llm.OpChat {
		return
	}
	if k.keeps() {
		k.noted(data, m)
	}
	k.signed(data, m)
}

// ours answers a question about a stored answer that is kept here.
type ours func(ctx context.Context, r *recall.Record) ([]byte, *llm.Error)

// stored answers a question about one stored answer: with ours, or with what
// the provider says that holds it.
func (g *Gateway) stored(w http.ResponseWriter, req *http.Request, d *door, answer ours) {
	if g.o.Responses == nil { // nothing is kept here: they are all the vendor's
		g.serve(w, req, d, asked{rest: strings.TrimPrefix(req.URL.EscapedPath(), d.prefix)})
		return
	}
	x := g.begin(w, d)
	defer x.end()
	ctx, cancel, _, fail := x.enter(req)
	defer cancel()
	if fail == nil {
		fail = x.stored(ctx, req, answer)
	}
	if fail != nil {
		x.refuse(fail)
	}
}

func (x *exchange) stored(ctx context.Context, req *http.Request, answer ours) *llm.Error {
	id := req.PathValue("id")
	if strings.Contains(id, ":") { // a key of ours, never an id
		return recall.NotFound(id)
	}
	r, err := x.g.o.Responses.Find(ctx, x.row.KeyID, id)
	if err != nil {
		return asError(err, llm.Unavailable)
	}
	if r.Native && (x.s.Policy.Configured[r.Provider] || len(r.Response) == 0) {
		return x.pass(ctx, req, r)
	}
	body, fail := answer(ctx, r)
	if fail == nil {
		x.give(plain(body), relay.Meta{})
	}
	return fail
}

// pass asks the provider that holds an answer, with the path as it is.
func (x *exchange) pass(ctx context.Context, req *http.Request, r *recall.Record) *llm.Error {
	if !x.s.Policy.Configured[r.Provider] {
		return llm.Errorf(llm.NotFound, "Response '%s' is held by %s, which is not configured any more.", r.ID, r.Provider)
	}
	draft, fail := x.read(req, asked{rest: "/v1/responses/" + rest(req)})
	if fail != nil {
		return fail
	}
	x.about(&draft)
	plan := route.Plan{Targets: []route.Target{{Provider: r.Provider, Why: "it holds the response"}}}
	out := x.s.Relay.Run(ctx, &plan, &draft, &x.reply)
	x.ended(out, &draft)
	gone := out.OK || out.Err != nil && out.Err.Status == http.StatusNotFound
	if req.Method != http.MethodDelete || !gone {
		return nil
	}
	if err := x.g.o.Responses.Delete(context.WithoutCancel(ctx), r.Owner, r.ID); err != nil {
		x.row.Warnings = append(x.row.Warnings, "store: who held the answer is still written down")
	}
	return nil
}

// rest is what follows /responses/ in the path of a request, as it was escaped.
func rest(req *http.Request) string {
	_, after, _ := strings.Cut(req.URL.EscapedPath(), "/responses/")
	return after
}

// response shows a stored answer.
func (g *Gateway) response(w http.ResponseWriter, req *http.Request, d *door) {
	g.stored(w, req, d, func(_ context.Context, r *recall.Record) ([]byte, *llm.Error) {
		if v := req.URL.Query().Get("stream"); v != "" && v != "false" {
			e := llm.Errorf(llm.InvalidRequest, "Response '%s' is stored here as a whole: its stream cannot be resumed; ask without stream.", r.ID)
			e.Param = "stream"
			return nil, e
		}
		return r.Response, nil
	})
}

// forget deletes a stored answer.
func (g *Gateway) forget(w http.ResponseWriter, req *http.Request, d *door) {
	g.stored(w, req, d, func(ctx context.Context, r *recall.Record) ([]byte, *llm.Error) {
		if err := g.o.Responses.Delete(ctx, r.Owner, r.ID); err != nil {
			return nil, asError(err, llm.Unavailable)
		}
		return d.AppendDeleted(nil, r.ID), nil
	})
}

// cancel refuses to cancel an answer of ours: it is complete.
func (g *Gateway) cancel(w http.ResponseWriter, req *http.Request, d *door) {
	g.stored(w, req, d, func(_ context.Context, r *recall.Record) ([]byte, *llm.Error) {
		return nil, &llm.Error{Class: llm.InvalidRequest, Message: fmt.Sprintf("Cannot cancel response '%s': it was not made in the background.", r.ID)}
	})
}

// inputItems lists what a stored answer was an answer to.
func (g *Gateway) inputItems(w http.ResponseWriter, req *http.Request, d *door) {
	g.stored(w, req, d, func(ctx context.Context, r *recall.Record) ([]byte, *llm.Error) {
		items, err := g.o.Responses.InputItems(ctx, r.Owner, r.ID)
		if err != nil {
			return nil, asError(err, llm.Unavailable)
		}
		page, err := d.AppendItems(nil, r.ID, items, req.URL.Query())
		if err != nil {
			return nil, asError(err, llm.InvalidRequest)
		}
		return page, nil
	})
}
