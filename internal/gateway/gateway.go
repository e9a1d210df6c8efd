// Package gateway is the front: the doors that clients come in by, and the way
// of a request through the rooms.
package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"headrace/internal/access"
	"headrace/internal/catalog"
	"headrace/internal/guard"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/tokens"
	"headrace/internal/variant"
)

// Keys says who a caller is.
type Keys interface {
	// Check gives the caller that a token belongs to; the error is an *llm.Error
	// (Unauthenticated or Unavailable).
	Check(token string, now time.Time) (access.Principal, error)
}

// Limits holds a caller to its limits.
type Limits interface {
	// Reserve takes room for one request of about so many tokens. settle tells
	// what it really took and must be called once.
	Reserve(p *access.Principal, plan *route.Plan, tokens int64, now time.Time) (settle func(actual int64), err *llm.Error)
	// NeedsTokens reports whether the caller's limits count tokens, so that the
	// request's size need be estimated.
	NeedsTokens(p *access.Principal) bool
}

// Admission lets requests in as long as there is room for them. The errors are
// for the client.
type Admission interface {
	// Enter waits for the turn of a request; whoever was let in calls Leave once.
	// says is the priority that the request says of itself, empty when nothing.
	Enter(ctx context.Context, p access.Principal, says string) *llm.Error
	Leave()
	// Take takes room for bytes of a body; Give gives it back.
	Take(n int64) *llm.Error
	Give(n int64)
}

// Ledger takes the row of each request. Note never waits.
type Ledger interface {
	Note(e ledger.Entry)
	// Say takes what came to be known of an answer; it never waits either.
	Say(f ledger.Feedback)
	NewID(now time.Time) ledger.ID
	// Request gives a row, also one that is not written yet.
	Request(ctx context.Context, id ledger.ID) (ledger.Entry, bool, error)
}

// Traces gives requests their places in traces. Who tells of them takes their
// rows from the ledger.
type Traces interface {
	Begin(h http.Header) *llm.Trace
}

// Snapshot is all that can change by reload; a request sees one.
type Snapshot struct {
	Catalog *catalog.Catalog
	Policy  *route.Policy
	Relay   *relay.Relay
	// Models is the list that clients are shown, sorted.
	Models []llm.ModelInfo
	// MaxBody is the largest body in bytes, after decompression.
	MaxBody int64
	// ReadIn is how long a client may take to send its body; 0 means no bound.
	ReadIn time.Duration
	// Guards are the rules on what requests and answers may say.
	Guards []Guard
	// WriteIn is how long the client may take to accept what is written to it; 0
	// means no bound.
	WriteIn time.Duration
	// Counts says whether a provider counts the tokens of a request of the
	// dialect itself: in that dialect, or in another one (then a count that fails
	// is replaced by an estimate).
	Counts func(provider string, from llm.Dialect) (own, also bool)
}

// Options set up a Gateway. All are required but those that say so, and
// the Snapshot, which may come later.
type Options struct {
	Keys   Keys
	Limits Limits
	Ledger Ledger
	Tokens *tokens.Learner
	// Admission may be nil: then everything is let in.
	Admission Admission
	// Budgets may be nil: then nobody has one.
	Budgets Budgets
	// Steer may be nil: then the rungs of ladders are asked in their order.
	Steer Steer
	// Recall may be nil: then clients that keep no state lose it.
	Recall Recall
	// Makers goes with Recall.
	Makers *recall.Makers
	// Responses has the answers that clients ask to be stored; nil stores none.
	Responses *recall.Responses
	// Batches answers what is not waited for; nil leaves batches to the vendors.
	Batches Batches
	// Webhooks has whom clients want to be told of the end of jobs; nil tells
	// nobody.
	Webhooks Webhooks
	// Tally counts what the rules find; nil counts nothing.
	Tally *guard.Tally
	// Bodies keeps what was said, of callers that the operator names; nil keeps
	// nothing.
	Bodies Bodies
	// Traces tells of requests elsewhere; nil tells nobody.
	Traces Traces
	// Files has what clients upload for their batches; nil takes none.
	Files Files
	// Variants has the experiments; nil has none.
	Variants Variants
	// Copies sends requests of experiments once more; nil sends none.
	Copies Copies
}

// Gateway serves the front doors. Safe for concurrent use.
type Gateway struct {
	o        Options
	snapshot atomic.Pointer[Snapshot]
	draining atomic.Bool
	running  atomic.Int64
}

// New makes a Gateway that serves the snapshot.
func New(o Options, s *Snapshot) *Gateway {
	g := &Gateway{o: o}
	g.snapshot.Store(s)
	return g
}

// Swap puts a new snapshot in place for the requests that come from now on.
func (g *Gateway) Swap(s *Snapshot) { g.snapshot.Store(s) }

// Snapshot gives the one in force.
func (g *Gateway) Snapshot() *Snapshot { return g.snapshot.Load() }

// Running is how many requests are being answered now.
func (g *Gateway) Running() int { return int(g.running.Load()) }

// Drain makes /readyz say no, so that load balancers look elsewhere.
func (g *Gateway) Drain() { g.draining.Store(true) }

// serve takes a request through the rooms. What it and run hold is small: their
// stack is that of every stream that waits for its next event.
func (g *Gateway) serve(w http.ResponseWriter, req *http.Request, d *door, path asked) {
	x := g.begin(w, d)
	defer x.end()
	if g.o.Traces != nil {
		x.row.Trace = g.o.Traces.Begin(req.Header)
	}
	ctx, cancel, caller, draft, fail := x.receive(req, path)
	defer cancel()
	switch {
	case fail != nil:
	case x.later(req):
		x.leave(ctx, req, caller, draft)
	default:
		fail = x.run(ctx, caller, draft, req.Header["X-Headrace-Tags"])
	}
	if fail != nil {
		x.refuse(fail)
	}
}

// receive lets a request in and reads it. cancel is never nil.
func (x *exchange) receive(req *http.Request, path asked) (ctx context.Context, cancel context.CancelFunc, caller *access.Principal, draft *llm.Draft, fail *llm.Error) {
	caller, draft = new(access.Principal), new(llm.Draft)
	enter := x.enter
	if x.later(req) {
		enter = x.enterNow
	}
	if ctx, cancel, *caller, fail = enter(req); fail != nil {
		return ctx, cancel, caller, draft, fail
	}
	if *draft, fail = x.read(req, path); fail != nil {
		return ctx, cancel, caller, draft, fail
	}
	x.overhear(caller, draft)
	if fail = wishes(draft, req.Header); fail != nil {
		return ctx, cancel, caller, draft, fail
	}
	return ctx, cancel, caller, draft, x.heard(caller, draft, req.Header["X-Headrace-Feedback"])
}

// run takes a request through the rooms behind the door, whoever brought it.
// tags are the lines of x-headrace-tags. The error is for the client, who has
// been told nothing yet.
func (x *exchange) run(ctx context.Context, p *access.Principal, d *llm.Draft, tags []string) *llm.Error {
	plan, settle, fail := x.ready(ctx, p, d, tags)
	if fail != nil || settle == nil {
		return fail
	}
	took := int64(0)
	defer func() { settle(took) }()
	out := x.s.Relay.Run(ctx, plan, d, &x.reply)
	took = x.ended(out, d)
	x.copied(p, d, out)
	return nil
}

// ready does what comes before a provider is asked. settle ends what is reserved
// for the caller; without one the request is answered.
func (x *exchange) ready(ctx context.Context, p *access.Principal, d *llm.Draft, tags []string) (_ *route.Plan, settle func(took int64), fail *llm.Error) {
	if fail := x.understand(ctx, p, d, tags); fail != nil {
		return nil, nil, fail
	}
	x.vary(p, d)
	bill, fail := x.open(p, tags)
	if fail != nil {
		return nil, nil, fail
	}
	x.reply.bill = bill
	x.reply.keep.restore(d)
	plan, fail := x.plan(p, d)
	if fail != nil {
		return nil, nil, fail
	}
	if ok, fail := x.local(&plan, d); ok {
		return nil, nil, fail
	}
	settle, fail = x.g.o.Limits.Reserve(p, &plan, x.estimate(p, d), x.reply.start)
	return &plan, settle, fail
}

// understand notes what a request is, gives it the conversation that it goes on
// from, and holds it to the operator's rules.
func (x *exchange) understand(ctx context.Context, p *access.Principal, d *llm.Draft, tags []string) *llm.Error {
	if fail := x.plainly(d); fail != nil {
		return fail
	}
	x.about(d)
	x.label(d, tags)
	if fail := x.reply.keep.goOn(ctx, d); fail != nil {
		return fail
	}
	return x.guard(ctx, p, d)
}

// exchange is one request: the row that is written of it, the reply, and the
// place that it takes.
type exchange struct {
	g     *Gateway
	s     *Snapshot
	row   ledger.Entry
	reply reply
	place place
	// given is the arm of an experiment that it gets, and unvaried the request
	// without it; nil for none. apart says that it takes no part in any.
	given    *variant.Given
	unvaried *llm.Draft
	apart    bool
	// hears keeps what is said; nil mostly.
	hears *hearing
}

// begin begins a request that came in by a door; end ends it.
func (g *Gateway) begin(w http.ResponseWriter, d *door) *exchange {
	g.running.Add(1)
	now := time.Now()
	x := &exchange{g: g, s: g.snapshot.Load(), place: place{gate: g.o.Admission}}
	x.row = ledger.Entry{ID: g.o.Ledger.NewID(now), At: now, Dialect: d.name, Op: d.op}
	x.reply.w, x.reply.door, x.reply.id, x.reply.start = w, d, x.row.ID, now
	x.reply.flush, _ = w.(http.Flusher)
	x.reply.catalog, x.reply.writeIn = x.s.Catalog, x.s.WriteIn
	x.reply.keep = keeping{o: &g.o, door: d, began: now}
	return x
}

// about says what the request is about: to the row, and to the reply.
func (x *exchange) about(d *llm.Draft) {
	x.row.Asked, x.row.Streamed = d.Head.Model, d.Head.Stream
	r := &x.reply
	r.draft = d
	r.opts = llm.StreamOptions{IncludeUsage: d.Head.IncludeUsage, Model: d.Head.Model, ID: r.id.String(), Created: r.start.Unix()}
	if r.door.storer != nil {
		r.opts.ID = r.door.AnswerID(r.opts.ID)
	} else if r.door.idPrefix != "" {
		r.opts.ID = r.door.idPrefix + strings.TrimPrefix(r.opts.ID, "req_")
	}
	r.size = sizer{learner: x.g.o.Tokens, draft: d}
	r.keep.owner, r.keep.id, r.keep.draft = x.row.KeyID, r.opts.ID, d
}

// give gives a whole answer of our own.
func (x *exchange) give(a *llm.Answer, m relay.Meta) {
	if err := x.reply.Whole(a, m); err != nil {
		x.row.Class = llm.ClientGone
	}
}

// refuse answers a request that goes no further.
func (x *exchange) refuse(e *llm.Error) {
	x.row.Class = e.Class
	if e.Class == llm.RateLimited && e.RetryAfter == 0 {
		// All places are taken; nobody knows for how long, but now is no use.
		c := *e
		c.RetryAfter = time.Second
		e = &c
	}
	if err := x.reply.Fail(e, relay.Meta{}); err != nil {
		x.row.Class = llm.ClientGone
	}
}

// end writes the row, whatever happened, and breaks the connection of an
// answer that could not be ended in its own form.
func (x *exchange) end() {
	defer x.g.running.Add(-1)
	r, row := &x.reply, &x.row
	r.release()
	x.place.leave()
	row.Charges = r.bill.close()
	r.guarded.count(x.g.o.Tally)
	row.Status, row.FirstByte, row.Total = r.status, r.first, time.Since(r.start)
	if v := recover(); v != nil {
		row.Class = llm.Unavailable
		x.g.o.Ledger.Note(*row)
		panic(v)
	}
	x.g.o.Ledger.Note(*row)
	if x.hears != nil {
		x.g.o.Bodies.Note(&x.hears.said)
	}
	if r.abort {
		panic(http.ErrAbortHandler)
	}
}

// plan says which targets to try.
func (x *exchange) plan(p *access.Principal, d *llm.Draft) (route.Plan, *llm.Error) {
	vendor := x.reply.door.vendor
	what, why := d.Path, "raw pass"
	switch {
	case d.Op == llm.OpModerate && d.Head.Model == "":
		what, why = "a moderation without a model", "the vendor of this door"
	case d.Op != llm.OpRaw:
		facts := route.Facts{Model: x.s.plain(d.Head.Model), Vendor: vendor, Allowed: p.MayUse, Embed: d.Op == llm.OpEmbed}
		if x.s.Policy.Climbs(facts.Model) || x.given != nil {
			facts.Needs = needs(d)
		}
		if x.g.o.Steer != nil {
			facts.Speed = x.g.o.Steer.Speed
		}
		plan, fail := route.Make(facts, x.s.Catalog, x.s.Policy)
		if fail != nil {
			return plan, fail
		}
		x.lead(&plan, facts)
		fail = x.reply.keep.hold(&plan, d)
		x.reply.keep.stick(&plan, d)
		x.steer(p, d, &facts.Needs, &plan)
		return plan, fail
	}
	plan := route.Plan{Targets: []route.Target{{Provider: vendor, Why: why}}}
	switch {
	case !x.s.Policy.Configured[vendor]:
		return plan, llm.Errorf(llm.NotFound, "%s is passed to %s as it is, but that provider is not configured", what, vendor)
	case !p.MayUse(vendor, "*", ""):
		return plan, llm.Errorf(llm.Forbidden, "this key may not use %s", vendor)
	}
	return plan, nil
}

// estimate is what the request is reserved at; 0 when no limit asks for it. It
// need only be near, since what was really used is settled in the end.
func (x *exchange) estimate(p *access.Principal, d *llm.Draft) int64 {
	if !x.g.o.Limits.NeedsTokens(p) {
		return 0
	}
	prompt := tokens.Rough(d.Raw, tokens.FamilyOf(d.Head.Model))
	return prompt + min(max(d.Head.MaxTokens, 0), math.MaxInt64-prompt)
}

// asError makes an *llm.Error of any error.
func asError(err error, class llm.Class) *llm.Error {
	var e *llm.Error
	if errors.As(err, &e) {
		return e
	}
	return &llm.Error{Class: class, Message: err.Error(), Cause: err}
}
