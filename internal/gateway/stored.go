package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/wire/responses"
	"headrace/internal/wire/sse"
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
	// save writes a record, note one of what a provider holds.
	save, note func(recall.Record) error
	// conversation is the id of the provider's own conversation that the request
	// stands in; met says that its provider is known already.
	conversation string
	met          bool
}

// unaskedIn is how long an answer waits for a store that fails when its client
// did not ask by name for it to be stored.
const unaskedIn = time.Second

// codecOfStored speaks of stored answers.
var codecOfStored responses.Codec

// conversationKey is under which the provider of a conversation is noted.
func conversationKey(id string) string { return "conversation:" + id }

// stored finds what the request goes on from, and whether its answer is to be
// kept. It costs other dialects nothing.
func (x *exchange) stored(ctx context.Context, d *llm.Draft) *llm.Error {
	s := x.g.o.Responses
	if s == nil || d.Dialect != llm.Responses || d.Op != llm.OpChat && d.Op != llm.OpCountTokens {
		return nil
	}
	st := &storing{asked: *d, conversation: codecOfStored.Conversation(d)}
	if d.Op == llm.OpChat {
		st.keep = d.Head.Store == nil || *d.Head.Store
		st.must = d.Head.Store != nil && st.keep
		// A client that leaves now may ask for the answer later.
		ctx := context.WithoutCancel(ctx)
		st.save = func(r recall.Record) error {
			if st.must {
				return s.Save(ctx, r)
			}
			bounded, cancel := context.WithTimeout(ctx, unaskedIn)
			defer cancel()
			return s.Save(bounded, r)
		}
		st.note = func(r recall.Record) error { return s.Note(ctx, r) }
	}
	x.storing = st
	if id := d.Head.PreviousID; id != "" {
		return x.goOn(ctx, d, id)
	}
	if st.conversation == "" {
		return nil
	}
	r, err := s.Find(ctx, x.entry.KeyID, conversationKey(st.conversation))
	switch e, ok := errors.AsType[*llm.Error](err); {
	case err == nil:
		st.met, d.HeldBy = true, r.Provider
	case !ok || e.Class != llm.NotFound && e.Class != llm.Unavailable:
		return asError(err, llm.Unavailable)
	}
	return nil
}

// goOn makes the draft one that goes on from a stored answer: written out where
// the answer is ours, bound to its provider where it is that one's.
func (x *exchange) goOn(ctx context.Context, d *llm.Draft, id string) *llm.Error {
	s := x.g.o.Responses
	r, err := s.Find(ctx, x.entry.KeyID, id)
	if e, ok := errors.AsType[*llm.Error](err); ok && e.Class == llm.NotFound {
		return recall.Broken(id, id)
	}
	if err != nil {
		return asError(err, llm.Unavailable)
	}
	items, err := s.Items(ctx, x.entry.KeyID, id)
	if err != nil && !r.Native {
		return asError(err, llm.Unavailable)
	}
	var whole *llm.Draft
	if err == nil {
		w, fail := x.expanded(d, items)
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
func (x *exchange) expanded(d *llm.Draft, items []jsontext.Value) (llm.Draft, *llm.Error) {
	body := codecOfStored.Expand(d, items)
	head, err := x.door.Head(d.Op, body)
	if err != nil {
		return llm.Draft{}, asError(err, llm.InvalidRequest)
	}
	head.Stream = d.Head.Stream
	w := x.door.draft(body, head, asked{})
	w.Header, w.Query, w.Rehearse = d.Header, d.Query, d.Rehearse
	return w, nil
}

// hold puts the provider that holds the conversation first in the plan. Where
// nobody else has it, the others are taken out.
func (x *exchange) hold(plan *route.Plan, d *llm.Draft) *llm.Error {
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
		e = llm.Errorf(llm.InvalidRequest, "Conversation '%s' is held by %s itself and can only be continued there, which the model %q does not lead to.", x.storing.conversation, d.HeldBy, d.Head.Model)
		e.Param = "conversation"
	}
	return e
}

// keeps says whether the answer is to be stored.
func (x *exchange) keeps() bool { return x.storing != nil && x.storing.keep }

// record is the answer as it is stored.
func (x *exchange) record(id string, object jsontext.Value, m relay.Meta) recall.Record {
	d := &x.storing.asked
	r := recall.Record{ID: id, Owner: x.entry.KeyID, Previous: d.Head.PreviousID, Response: object, Created: x.start}
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
func (x *exchange) saved(id string, object jsontext.Value, m relay.Meta) (warned string, fail *llm.Error) {
	err := x.storing.save(x.record(id, object, m))
	switch {
	case err == nil:
		return "", nil
	case x.storing.must:
		x.failed = asError(err, llm.Unavailable)
		return "", x.failed
	}
	return x.warn("store: the answer could not be stored and cannot be continued by its id"), nil
}

// warn adds a warning that came up after the answer.
func (x *exchange) warn(s string) string {
	x.late = append(x.late, s)
	return s
}

// noted notes who holds an answer that its provider made in this dialect; data
// is as Codec.Held takes it.
func (x *exchange) noted(data []byte, m relay.Meta) {
	object, id, done, away := codecOfStored.Held(data)
	if id == "" || m.Target == nil {
		return
	}
	r := x.record(id, object, m)
	// What its provider has not kept is ours to put together again.
	r.Native = !away || !done || x.storing.conversation != ""
	if !done || x.storing.conversation != "" {
		// Not all of what it goes on from, or of what it says, is here.
		r.Input, r.Response = nil, nil
	}
	err := x.storing.note(r)
	if c := x.storing.conversation; err == nil && c != "" && !x.storing.met {
		err = x.storing.note(recall.Record{ID: conversationKey(c), Owner: x.entry.KeyID, Provider: r.Provider, Native: true, Created: x.start})
	}
	if err != nil {
		x.warn("store: who holds the answer could not be written down and is known for a while only")
	}
}

// echo gives what an answer repeats of its request; nil where the dialect's
// answers do not.
func (x *exchange) echo(stored bool) []llm.Member {
	if x.door.name != llm.Responses || x.draft == nil {
		return nil
	}
	d := x.draft
	if x.storing != nil {
		d = &x.storing.asked
	}
	return codecOfStored.Echo(d, stored)
}

// teller is the encoder of a dialect whose streams end with the whole answer.
type teller interface {
	Answer(e *llm.Event) jsontext.Value
	SetEcho(echo []llm.Member)
}

// finish ends a translated stream whose answer is to be stored: it is, before
// the client is told that all went well.
func (r *reply) finish(dst []byte, e llm.Event) []byte {
	t, ok := r.encoder.(teller)
	if !ok || !r.x.keeps() {
		return r.encoder.Encode(dst, e)
	}
	dst = r.encoder.Encode(dst, llm.Event{Kind: llm.EventBlockStop})
	object := t.Answer(&e)
	if e.From == llm.Responses { // its provider has it
		r.x.noted(object, r.meta)
		return r.encoder.Encode(dst, e)
	}
	warned, fail := r.x.saved(r.opts.ID, object, r.meta)
	switch {
	case fail != nil:
		return r.encoder.Encode(dst, llm.Event{Kind: llm.EventError, Err: fail})
	case warned != "":
		t.SetEcho(r.x.echo(false))
	}
	return r.encoder.Encode(dst, e)
}

// overhear notes the end of a stream whose bytes are passed on.
func (r *reply) overhear(p *llm.Piece) {
	for i := range p.Events {
		if p.Events[i].Kind != llm.EventFinish || len(p.Raw) == 0 {
			continue
		}
		f, err := sse.NewReader(bytes.NewReader(p.Raw), len(p.Raw)+1).Next()
		if err != nil && err != io.EOF {
			continue // no event of the dialect: it holds no answer
		}
		r.heed(f.Data, r.meta)
	}
}

// heed notes what has to be known of an answer that is passed on as it is; data
// is as Codec.Held takes it.
func (r *reply) heed(data []byte, m relay.Meta) {
	if r.door.name != llm.Responses || r.door.op != llm.OpChat {
		return
	}
	if r.x.keeps() {
		r.x.noted(data, m)
	}
	r.x.signed(data, m)
}

// about answers a question about one stored answer: with ours, or with what
// the provider says that holds it.
func (g *Gateway) about(w http.ResponseWriter, req *http.Request, d *door, ours func(ctx context.Context, r *recall.Record) ([]byte, *llm.Error)) {
	if g.o.Responses == nil { // nothing is kept here: they are all the vendor's
		g.serve(w, req, d, asked{rest: strings.TrimPrefix(req.URL.EscapedPath(), d.prefix)})
		return
	}
	g.running.Add(1)
	defer g.running.Add(-1)
	x := &exchange{g: g, s: g.snapshot.Load(), door: d, start: time.Now()}
	x.entry = ledger.Entry{ID: g.o.Ledger.NewID(x.start), At: x.start, Dialect: d.name, Op: d.op}
	x.reply = newReply(w, d, x)
	defer x.close()
	if _, fail := g.caller(req, x); fail != nil {
		x.refuse(fail)
		return
	}
	ctx := req.Context()
	id := req.PathValue("id")
	if strings.Contains(id, ":") { // a key of ours, never an id
		x.refuse(recall.NotFound(id))
		return
	}
	r, err := g.o.Responses.Find(ctx, x.entry.KeyID, id)
	if err != nil {
		x.refuse(asError(err, llm.Unavailable))
		return
	}
	if r.Native && (x.s.Policy.Configured[r.Provider] || len(r.Response) == 0) {
		x.pass(req, r)
		return
	}
	body, fail := ours(ctx, r)
	if fail != nil {
		x.refuse(fail)
		return
	}
	a := &llm.Answer{Native: true, Status: http.StatusOK, ContentType: "application/json", Body: body}
	if err := x.reply.Whole(a, relay.Meta{}); err != nil {
		x.entry.Class = llm.ClientGone
	}
}

// pass asks the provider that holds an answer, with the path as it is.
func (x *exchange) pass(req *http.Request, r *recall.Record) {
	if !x.s.Policy.Configured[r.Provider] {
		x.refuse(llm.Errorf(llm.NotFound, "Response '%s' is held by %s, which is not configured any more.", r.ID, r.Provider))
		return
	}
	draft, fail := x.read(req, asked{rest: "/v1/responses/" + rest(req)})
	if fail != nil {
		x.refuse(fail)
		return
	}
	ctx, cancel, fail := deadline(req)
	if fail != nil {
		x.refuse(fail)
		return
	}
	defer cancel()
	x.draft = &draft
	plan := route.Plan{Targets: []route.Target{{Provider: r.Provider, Why: "it holds the response"}}}
	out := x.s.Relay.Run(ctx, &plan, &draft, x.reply)
	x.ended(&out, &draft)
	gone := out.OK || out.Err != nil && out.Err.Status == http.StatusNotFound
	if req.Method != http.MethodDelete || !gone {
		return
	}
	if err := x.g.o.Responses.Delete(context.WithoutCancel(ctx), r.Owner, r.ID); err != nil {
		x.entry.Warnings = append(x.entry.Warnings, "store: who held the answer is still written down")
	}
}

// rest is what follows /responses/ in the path of a request, as it was escaped.
func rest(req *http.Request) string {
	_, after, _ := strings.Cut(req.URL.EscapedPath(), "/responses/")
	return after
}

// response shows a stored answer.
func (g *Gateway) response(w http.ResponseWriter, req *http.Request, d *door) {
	g.about(w, req, d, func(_ context.Context, r *recall.Record) ([]byte, *llm.Error) {
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
	g.about(w, req, d, func(ctx context.Context, r *recall.Record) ([]byte, *llm.Error) {
		if err := g.o.Responses.Delete(ctx, r.Owner, r.ID); err != nil {
			return nil, asError(err, llm.Unavailable)
		}
		return codecOfStored.AppendDeleted(nil, r.ID), nil
	})
}

// cancel refuses to cancel an answer of ours: it is complete.
func (g *Gateway) cancel(w http.ResponseWriter, req *http.Request, d *door) {
	g.about(w, req, d, func(_ context.Context, r *recall.Record) ([]byte, *llm.Error) {
		return nil, &llm.Error{Class: llm.InvalidRequest, Message: fmt.Sprintf("Cannot cancel response '%s': it was not made in the background.", r.ID)}
	})
}

// inputItems lists what a stored answer was an answer to.
func (g *Gateway) inputItems(w http.ResponseWriter, req *http.Request, d *door) {
	g.about(w, req, d, func(ctx context.Context, r *recall.Record) ([]byte, *llm.Error) {
		items, err := g.o.Responses.InputItems(ctx, r.Owner, r.ID)
		if err != nil {
			return nil, asError(err, llm.Unavailable)
		}
		page, err := codecOfStored.AppendItems(nil, r.ID, items, req.URL.Query())
		if err != nil {
			return nil, asError(err, llm.InvalidRequest)
		}
		return page, nil
	})
}
