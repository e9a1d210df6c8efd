// Package gateway is the front: the doors that clients come in by, and the way
// of a request through the rooms.
package gateway

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"headrace/internal/access"
	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/tokens"
	"headrace/internal/wire/ollama"
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
	// priority is what the request says of itself, empty when nothing.
	Enter(ctx context.Context, team, priority string) *llm.Error
	Leave()
	// Take takes room for bytes of a body; Give gives it back.
	Take(n int64) *llm.Error
	Give(n int64)
}

// Ledger takes the row of each request. Note never waits.
type Ledger interface {
	Note(e ledger.Entry)
	NewID(now time.Time) ledger.ID
	// Request gives a row, also one that is not written yet.
	Request(ctx context.Context, id ledger.ID) (ledger.Entry, bool, error)
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
	// WriteIn is how long the client may take to accept what is written to it; 0
	// means no bound.
	WriteIn time.Duration
	// Counts says whether a provider counts the tokens of a request of the
	// dialect itself: in that dialect, or in another one (then a count that fails
	// is replaced by an estimate).
	Counts func(provider string, from llm.Dialect) (own, also bool)
}

// Options set up a Gateway. All are required but Recall and Responses,
// and Snapshot, which may come later.
type Options struct {
	Keys   Keys
	Limits Limits
	Ledger Ledger
	Tokens *tokens.Learner
	// Admission may be nil: then everything is let in.
	Admission Admission
	// Budgets may be nil: then nobody has one.
	Budgets Budgets
	// Recall may be nil: then clients that keep no state lose it.
	Recall Recall
	// Makers goes with Recall.
	Makers *recall.Makers
	// Responses has the answers that clients ask to be stored; nil stores none.
	Responses *recall.Responses
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

// serve takes a request through the rooms.
func (g *Gateway) serve(w http.ResponseWriter, req *http.Request, d *door, path asked) {
	g.running.Add(1)
	defer g.running.Add(-1)
	s := g.snapshot.Load()
	x := &exchange{g: g, s: s, door: d, start: time.Now()}
	x.entry = ledger.Entry{ID: g.o.Ledger.NewID(x.start), At: x.start, Dialect: d.name, Op: d.op}
	x.reply = newReply(w, d, x)
	defer x.close()

	caller, fail := g.caller(req, x)
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
	if fail := x.enter(ctx, req, &caller); fail != nil {
		x.refuse(fail)
		return
	}
	draft, fail := x.read(req, path)
	if fail != nil {
		x.refuse(fail)
		return
	}
	x.draft = &draft
	if fail := x.stored(req.Context(), &draft); fail != nil {
		x.refuse(fail)
		return
	}
	if fail := x.open(&caller, req); fail != nil {
		x.refuse(fail)
		return
	}
	x.restore(&draft)
	plan, fail := x.plan(&caller, &draft)
	if fail != nil {
		x.refuse(fail)
		return
	}
	if x.counted(&plan, &draft) || x.loaded(&plan, &draft) {
		return
	}
	settle, fail := g.o.Limits.Reserve(&caller, &plan, x.estimate(&caller, &draft), x.start)
	if fail != nil {
		x.refuse(fail)
		return
	}
	defer func() { settle(x.tokens) }()
	out := s.Relay.Run(ctx, &plan, &draft, x.reply)
	x.ended(&out, &draft)
}

// exchange is one request and what becomes of it.
type exchange struct {
	g     *Gateway
	s     *Snapshot
	door  *door
	start time.Time
	reply *reply
	draft *llm.Draft
	entry ledger.Entry
	// tokens is what the request really took.
	tokens int64
	// bill is nil for a caller without a budget.
	bill *bill
	// storing is nil for requests that have nothing to do with stored answers.
	storing *storing
	// late are warnings, and failed is an error, that came up when the provider
	// had answered well.
	late   []string
	failed *llm.Error
	// sized is our own count of the prompt for the model sizedFor; empty when
	// nobody has asked.
	sized    int64
	sizedFor string
	// inside says that it was let in, held how many bytes of its body count.
	inside bool
	held   int64
}

// enter waits for the request's turn.
func (x *exchange) enter(ctx context.Context, req *http.Request, p *access.Principal) *llm.Error {
	gate := x.g.o.Admission
	if gate == nil {
		return nil
	}
	fail := gate.Enter(ctx, p.Team, req.Header.Get("X-Headrace-Priority"))
	x.inside = fail == nil
	return fail
}

// take takes room for n more bytes of the body.
func (x *exchange) take(n int64) *llm.Error {
	if x.g.o.Admission == nil {
		return nil
	}
	fail := x.g.o.Admission.Take(n)
	if fail == nil {
		x.held += n
	}
	return fail
}

// leave gives back what enter and take took.
func (x *exchange) leave() {
	if x.held > 0 {
		x.g.o.Admission.Give(x.held)
	}
	if x.inside {
		x.g.o.Admission.Leave()
	}
}

func newReply(w http.ResponseWriter, d *door, x *exchange) *reply {
	flush, _ := w.(http.Flusher)
	return &reply{w: w, flush: flush, door: d, x: x, writeIn: x.s.WriteIn, id: x.entry.ID, start: x.start, cost: func(m relay.Meta, u llm.Usage) (llm.Nanodollars, bool) {
		if m.Target == nil || u.Source == "" {
			return 0, false
		}
		return x.s.Catalog.Cost(m.Target.Provider, m.Target.Model, u, x.start)
	}}
}

// caller says who is calling: x-api-key, a bearer token, or Gemini's
// x-goog-api-key and ?key=. Of several, the key that is ours counts.
func (g *Gateway) caller(req *http.Request, x *exchange) (access.Principal, *llm.Error) {
	query := ""
	if x.door.name == llm.Gemini {
		query = req.URL.Query().Get("key")
	}
	p, fail := g.check(req.Header, query)
	if fail == nil {
		x.entry.KeyID, x.entry.KeyName, x.entry.Team = p.KeyID, p.Name, p.Team
	}
	return p, fail
}

func (g *Gateway) check(h http.Header, query string) (access.Principal, *llm.Error) {
	var fail *llm.Error
	now := time.Now()
	for _, token := range [4]string{h.Get("X-Api-Key"), bearer(h.Get("Authorization")), h.Get("X-Goog-Api-Key"), query} {
		if token == "" {
			continue
		}
		p, err := g.o.Keys.Check(token, now)
		if err == nil {
			return p, nil
		}
		if !errors.As(err, &fail) {
			fail = llm.Errorf(llm.Unavailable, "keys cannot be checked now")
		}
	}
	if fail == nil {
		fail = llm.Errorf(llm.Unauthenticated, "no API key: send it as Authorization: Bearer, x-api-key or x-goog-api-key")
	}
	return access.Principal{}, fail
}

func bearer(v string) string {
	scheme, token, ok := strings.Cut(v, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// read takes the bounded body and makes the draft.
func (x *exchange) read(req *http.Request, path asked) (llm.Draft, *llm.Error) {
	rc := http.NewResponseController(x.reply.w)
	if x.s.ReadIn > 0 && req.ContentLength != 0 {
		if err := rc.SetReadDeadline(x.start.Add(x.s.ReadIn)); err == nil {
			// The connection goes on: for the next request, and to see the client leave.
			defer rc.SetReadDeadline(time.Time{})
		}
	}
	body, fail := readBody(req, x.s.MaxBody, x.take)
	if fail != nil {
		return llm.Draft{}, fail
	}
	var head llm.Head
	if x.door.op != llm.OpRaw {
		var err error
		if head, err = x.door.Head(x.door.op, body); err != nil {
			return llm.Draft{}, asError(err, llm.InvalidRequest)
		}
	}
	if path.model != "" {
		head.Model, head.Stream = path.model, x.door.stream
	}
	head.Stream = head.Stream && x.door.op == llm.OpChat
	d := x.door.draft(body, head, path)
	d.Header, d.Query = x.door.forwarded(req.Header), withoutKey(req.URL.RawQuery)
	d.Rehearse = req.Header.Get("X-Headrace-Rehearse")
	d.Session = cmp.Or(req.Header.Get("X-Headrace-Session"), req.Header.Get("X-Claude-Code-Session-Id"))
	if x.door.op == llm.OpRaw {
		d.Method, d.Path = req.Method, path.rest
	}
	x.entry.Asked, x.entry.Streamed = head.Model, head.Stream
	x.reply.opts = llm.StreamOptions{IncludeUsage: head.IncludeUsage, Model: head.Model, ID: x.entry.ID.String(), Created: x.start.Unix()}
	if x.door.name == llm.Responses {
		x.reply.opts.ID = "resp_" + strings.TrimPrefix(x.reply.opts.ID, "req_")
	}
	return d, nil
}

// draft makes the draft of a body. What the path says is written to the words
// too, once they are made.
func (d *door) draft(body []byte, head llm.Head, path asked) (out llm.Draft) {
	if embed, ok := d.Codec.(embedder); ok && d.op == llm.OpEmbed {
		out = llm.NewEmbedDraft(d.name, body, head, func(body []byte) (*llm.EmbedRequest, error) {
			r, err := embed.DecodeEmbed(body)
			if err == nil && path.model != "" {
				r.Model = path.model
			}
			return r, err
		})
	} else if decode := d.DecodeRequest; path.model == "" {
		out = llm.NewDraft(d.name, d.op, body, head, decode)
	} else {
		out = llm.NewDraft(d.name, d.op, body, head, func(body []byte) (*llm.Request, error) {
			r, err := decode(body)
			if err == nil {
				r.Model, r.Stream = path.model, head.Stream
			}
			return r, err
		})
	}
	out.Form = d.form
	return out
}

// zstdWindow is the largest window of a zstd body in bytes: what every decoder
// must take (RFC 8878, 3.1.1.1.2), and what bounds the memory of ours.
const zstdWindow = 8 << 20

// readBody reads the whole body before anything is sent on: an attempt may
// have to be repeated, and an answer that comes early would otherwise break
// the upload (golang/go#40747).
func readBody(req *http.Request, limit int64, hold func(n int64) *llm.Error) ([]byte, *llm.Error) {
	tooLarge := func() *llm.Error {
		return llm.Errorf(llm.TooLarge, "the request body is over the limit of %d bytes", limit)
	}
	if req.ContentLength > limit {
		return nil, tooLarge()
	}
	src := io.Reader(req.Body)
	switch enc := strings.ToLower(req.Header.Get("Content-Encoding")); enc {
	case "", "identity":
		if n := req.ContentLength; n >= 0 {
			if fail := hold(n); fail != nil {
				return nil, fail
			}
			body := make([]byte, n)
			if _, err := io.ReadFull(src, body); err != nil {
				return nil, cutBody(err)
			}
			return body, nil
		}
	case "gzip":
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, llm.Errorf(llm.InvalidRequest, "the request body is not gzip, as content-encoding says")
		}
		src = z
	case "zstd":
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderMaxMemory(zstdWindow))
		if err != nil {
			return nil, llm.Errorf(llm.InvalidRequest, "the request body is not zstd, as content-encoding says")
		}
		defer z.Close()
		src = z
	default:
		return nil, llm.Errorf(llm.InvalidRequest, "content-encoding %q is not taken; send gzip, zstd or none", enc)
	}
	m := metered{src: io.LimitReader(src, limit+1), hold: hold}
	body, err := io.ReadAll(&m)
	switch {
	case m.fail != nil:
		return nil, m.fail
	case err != nil:
		return nil, cutBody(err)
	}
	if int64(len(body)) > limit {
		return nil, tooLarge()
	}
	return body, nil
}

// anySize holds nothing: for small bodies.
func anySize(int64) *llm.Error { return nil }

// metered takes room for a body of unknown size while it is read.
type metered struct {
	src  io.Reader
	hold func(n int64) *llm.Error
	room int64 // taken and not filled yet
	fail *llm.Error
}

// step is what is taken at a time.
const step = 64 << 10

func (m *metered) Read(p []byte) (int, error) {
	if m.room == 0 {
		if m.fail = m.hold(step); m.fail != nil {
			return 0, m.fail
		}
		m.room = step
	}
	n, err := m.src.Read(p[:min(int64(len(p)), m.room)])
	m.room -= int64(n)
	return n, err
}

func cutBody(err error) *llm.Error {
	return &llm.Error{Class: llm.InvalidRequest, Message: "the request body ended early or is damaged", Cause: err}
}

// plan says which targets to try.
func (x *exchange) plan(p *access.Principal, d *llm.Draft) (route.Plan, *llm.Error) {
	vendor := x.door.vendor
	what, why := d.Path, "raw pass"
	switch {
	case d.Op == llm.OpModerate && d.Head.Model == "":
		what, why = "a moderation without a model", "the vendor of this door"
	case d.Op != llm.OpRaw:
		plan, fail := route.Make(route.Facts{Model: d.Head.Model, Vendor: vendor, Allowed: p.MayUse}, x.s.Catalog, x.s.Policy)
		if fail == nil {
			fail = x.hold(&plan, d)
			x.stick(&plan, d)
		}
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

// counted answers a count_tokens request for a model whose provider cannot
// count, with our own estimate.
func (x *exchange) counted(plan *route.Plan, d *llm.Draft) bool {
	if d.Op != llm.OpCountTokens {
		return false
	}
	t := &plan.Targets[0]
	own, also := x.s.Counts(t.Provider, d.Dialect)
	if own {
		return false
	}
	if also {
		x.reply.instead = func() error { return x.count(t, d, t.Provider+" did not count") }
		return false
	}
	if err := x.count(t, d, t.Provider+" does not count"); err != nil {
		x.refuse(asError(err, llm.InvalidRequest))
	}
	return true
}

// count answers with our own estimate. An error is the request's.
func (x *exchange) count(t *route.Target, d *llm.Draft, why string) error {
	r, err := d.Request()
	if err != nil {
		return err
	}
	n := x.g.o.Tokens.Adjust(t.Model, tokens.EstimateRequest(r, tokens.FamilyOf(t.Model)))
	if x.reply.Whole(&llm.Answer{Status: http.StatusOK, Count: n}, relay.Meta{Target: t, Warnings: []string{"count: estimated, " + why}}) != nil {
		x.entry.Class = llm.ClientGone
	}
	return nil
}

// loads is the size in bytes of the largest request that only loads a model.
const loads = 4 << 10

// loaded answers a request of an Ollama client that only wants its model in
// memory, or out of it again: models of other providers are always there.
func (x *exchange) loaded(plan *route.Plan, d *llm.Draft) bool {
	codec, ok := x.door.Codec.(ollama.Codec)
	if !ok || d.Op != llm.OpChat || len(d.Raw) > loads {
		return false
	}
	t := &plan.Targets[0]
	if row, ok := x.s.Catalog.Provider(t.Provider); ok && row.Dialect == llm.Ollama {
		return false
	}
	r, err := d.Request()
	if err != nil {
		x.refuse(asError(err, llm.InvalidRequest))
		return true
	}
	load, unload := ollama.Loads(r)
	if !load {
		return false
	}
	a := &llm.Answer{Native: true, Status: http.StatusOK, ContentType: x.door.streamType, Body: append(codec.AppendLoaded(nil, d.Head.Model, x.start.Unix(), unload), '\n')}
	if err := x.reply.Whole(a, relay.Meta{Target: t}); err != nil {
		x.entry.Class = llm.ClientGone
	}
	return true
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

// deadline binds the request to its x-headrace-deadline, if it has one: a
// duration such as 30s, or a time in RFC 3339.
func deadline(req *http.Request) (context.Context, context.CancelFunc, *llm.Error) {
	v := req.Header.Get("X-Headrace-Deadline")
	if v == "" {
		return req.Context(), func() {}, nil
	}
	if d, err := time.ParseDuration(v); err == nil && d > 0 {
		ctx, cancel := context.WithTimeout(req.Context(), d)
		return ctx, cancel, nil
	}
	at, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return nil, nil, llm.Errorf(llm.InvalidRequest, "x-headrace-deadline %q is neither a duration such as 30s nor an RFC 3339 time", v)
	}
	ctx, cancel := context.WithDeadline(req.Context(), at)
	return ctx, cancel, nil
}

// refuse answers a request that goes no further.
func (x *exchange) refuse(e *llm.Error) {
	x.entry.Class = e.Class
	if e.Class == llm.RateLimited && e.RetryAfter == 0 {
		// All places are taken; nobody knows for how long, but now is no use.
		c := *e
		c.RetryAfter = time.Second
		e = &c
	}
	if err := x.reply.Fail(e, relay.Meta{}); err != nil {
		x.entry.Class = llm.ClientGone
	}
}

// prompt is our own count of the request's prompt, made once for each model.
func (x *exchange) prompt(t *route.Target) int64 {
	if x.draft == nil || t == nil {
		return 0
	}
	if x.sizedFor != t.Model {
		x.sized, x.sizedFor = x.g.o.Tokens.Estimate(x.draft.Raw, t.Model), t.Model
	}
	return x.sized
}

// cut gives the warning for a prompt of which the target has read too little,
// or "": Ollama cuts a prompt that is over its window without a word.
func (x *exchange) cut(t *route.Target, u llm.Usage) string {
	if x.door.op != llm.OpChat || t == nil {
		return ""
	}
	if row, ok := x.s.Catalog.Provider(t.Provider); !ok || row.Dialect != llm.Ollama {
		return ""
	}
	if loss := ollama.LooksCut(x.prompt(t), u); loss != nil {
		return loss.Path + ": " + loss.Why
	}
	return ""
}

// ended notes how the relay went.
func (x *exchange) ended(out *relay.Outcome, d *llm.Draft) {
	x.entry.Class, x.entry.Committed, x.entry.Warnings = out.Class, out.Committed, append(out.Warnings[:len(out.Warnings):len(out.Warnings)], x.late...)
	if x.failed != nil {
		x.entry.Class = x.failed.Class
	}
	x.entry.Attempts = make([]ledger.Attempt, len(out.Attempts))
	for i := range out.Attempts {
		a := &out.Attempts[i]
		if a.Usage.Source == "" && a.Sent && (a.Status/100 == 2 || a.Spared) && (d.Op == llm.OpChat || d.Op == llm.OpEmbed) && !(a.OutputBytes == 0 && refusedUnread[a.Class]) {
			a.Usage = x.guess(a)
		}
		if w := x.cut(&route.Target{Provider: a.Provider, Model: a.Model}, a.Usage); w != "" && a.Class == "" {
			x.entry.Warnings = append(slices.Clip(x.entry.Warnings), w)
		}
		x.tokens += a.Usage.Total()
		x.entry.Attempts[i] = ledger.Attempt{
			N: a.N, Provider: a.Provider, Model: a.Model, Why: a.Why, Start: a.Start, FirstByte: a.FirstByte, Total: a.Total,
			Status: a.Status, Class: a.Class, Message: a.Message, Usage: a.Usage, Finish: a.Finish.Reason, UpstreamID: a.UpstreamID,
		}
		if a.Usage.Source == llm.UsageProvider && a.Class == "" && d.Op == llm.OpChat && int64(x.entry.ID)%learnEvery == 0 {
			x.g.o.Tokens.Learn(a.Model, tokens.Estimate(d.Raw, tokens.FamilyOf(a.Model)), a.Usage.Prompt())
		}
	}
	if x.bill != nil {
		x.bill.cost, x.bill.ended = x.costOf(out.Attempts), true
	}
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
func (x *exchange) guess(a *relay.Attempt) llm.Usage {
	return llm.Usage{
		Input:  x.prompt(&route.Target{Provider: a.Provider, Model: a.Model}),
		Output: cmp.Or(a.Usage.Output, int64(a.OutputBytes+3)/4),
		Source: llm.UsageEstimated,
	}
}

// close notes the row, whatever happened, and breaks the connection of an
// answer that could not be ended in its own form.
func (x *exchange) close() {
	x.reply.release()
	x.leave()
	x.settle()
	x.entry.Status, x.entry.FirstByte, x.entry.Total = x.reply.status, x.reply.first, time.Since(x.start)
	if v := recover(); v != nil {
		x.entry.Class = llm.Unavailable
		x.g.o.Ledger.Note(x.entry)
		panic(v)
	}
	x.g.o.Ledger.Note(x.entry)
	if x.reply.abort {
		panic(http.ErrAbortHandler)
	}
}

// asError makes an *llm.Error of any error.
func asError(err error, class llm.Class) *llm.Error {
	var e *llm.Error
	if errors.As(err, &e) {
		return e
	}
	return &llm.Error{Class: class, Message: err.Error(), Cause: err}
}
