package gateway

import (
	"context"
	"net/http"
	"slices"

	"headrace/internal/access"
	"headrace/internal/budget"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// Job is a request that no connection stands behind, such as an item of a
// batch.
type Job struct {
	Caller access.Principal
	// Path is that of the door that it would have come in by, such as
	// "/v1/messages"; it says the dialect, the operation and its form.
	Path string
	// Header holds the request headers of whoever left the job: x-headrace-tags,
	// -session, and what goes on to a provider of the same dialect. A deadline is
	// that of the context.
	Header http.Header
	// Body is written to by nobody.
	Body []byte
	// Priority is one of x-headrace-priority: "batch" lets everybody else go
	// first.
	Priority string
	// Tab holds the money that Hold has held for it; Deliver spends of it. nil
	// holds nothing.
	Tab *budget.Tab
}

// Do takes a job through the rooms as if it had just come in by its door, but
// for the caller, who is known. The answer goes to w in the dialect of the
// door, errors too; w is used by one goroutine at a time and need not flush.
// When ctx ends the upstream is closed. The row is the one that the ledger has
// been given: it says how the job ended. A panic goes on after the row is
// written, and http.ErrAbortHandler is one that cuts an answer which must not
// look whole.
func (g *Gateway) Do(ctx context.Context, j *Job, w http.ResponseWriter) (row ledger.Entry) {
	d, path, ok := doorAt(j.Path)
	x := g.begin(w, d)
	var attempts []ledger.Attempt // the ledger takes those of the row
	defer func() { row, row.Attempts = x.row, attempts }()
	defer x.end()
	defer func() { attempts = slices.Clone(x.row.Attempts) }()
	x.called(&j.Caller)
	fail := llm.Errorf(llm.NotFound, "nothing can be asked at %s", j.Path)
	if ok {
		fail = x.do(ctx, j, path)
	}
	if fail != nil {
		x.refuse(fail)
	}
	return row
}

// Leads gives the first target that a model's name leads the caller to by the
// doors of a dialect.
func (g *Gateway) Leads(p *access.Principal, dialect llm.Dialect, op llm.Op, model string) (route.Target, *llm.Error) {
	d := dialects[dialect]
	if d == nil {
		return route.Target{}, llm.Errorf(llm.Unsupported, "there is no dialect %q", dialect)
	}
	s := g.snapshot.Load()
	plan, fail := route.Make(route.Facts{Model: s.plain(model), Vendor: d.vendor, Allowed: p.MayUse, Embed: op == llm.OpEmbed}, s.Catalog, s.Policy)
	if fail != nil {
		return route.Target{}, fail
	}
	return plan.Targets[0], nil
}

// Draft reads a job as its door would, and gives it back what earlier requests
// of the caller have left for it.
func (g *Gateway) Draft(ctx context.Context, j *Job) (llm.Draft, *llm.Error) {
	d, path, ok := doorAt(j.Path)
	if !ok {
		return llm.Draft{}, llm.Errorf(llm.NotFound, "nothing can be asked at %s", j.Path)
	}
	x := g.begin(nil, d)
	defer g.running.Add(-1)
	x.called(&j.Caller)
	return x.draft(ctx, j, path)
}

func (x *exchange) draft(ctx context.Context, j *Job, path asked) (llm.Draft, *llm.Error) {
	d, fail := x.reply.door.draft(j.Body, path)
	if fail != nil {
		return d, fail
	}
	x.reply.door.heed(&d, j.Header)
	if fail := wishes(&d, j.Header); fail != nil {
		return d, fail
	}
	if fail := x.understand(ctx, &j.Caller, &d, j.Header["X-Headrace-Tags"]); fail != nil {
		return d, fail
	}
	x.reply.keep.restore(&d)
	return d, nil
}

// Hold holds what a job can cost at most in a batch of the target's provider,
// whose price is so many thousandths of the usual one, and gives the draft that
// is then sent: its cap may be lower, as the budget buys. tab is what was held
// for it before; nil is nothing, and what comes back is nil where nobody has a
// budget. What was held is spent by Deliver, or given back by closing the tab.
func (g *Gateway) Hold(ctx context.Context, j *Job, t *route.Target, d llm.Draft, price int64, tab *budget.Tab) (llm.Draft, *budget.Tab, *llm.Error) {
	door, _, ok := doorAt(j.Path)
	if !ok {
		return d, tab, llm.Errorf(llm.NotFound, "nothing can be asked at %s", j.Path)
	}
	x := g.begin(nil, door)
	defer g.running.Add(-1)
	x.called(&j.Caller)
	x.about(&d)
	b := x.billOf(tab)
	if tab == nil {
		var fail *llm.Error
		if b, fail = x.open(&j.Caller, j.Header["X-Headrace-Tags"]); b == nil || fail != nil {
			return d, nil, fail
		}
	}
	b.price = price
	out, _, fail := b.pay(ctx, t, d, nil)
	if fail != nil && tab == nil {
		b.tab.Close(0)
		return d, nil, fail
	}
	return out, b.tab, fail
}

// HoldAgain holds an amount for a job, or what there is of it, as Hold did in
// another process.
func (g *Gateway) HoldAgain(ctx context.Context, j *Job, amount llm.Nanodollars) *budget.Tab {
	x := g.begin(nil, likePath(j.Path).door(llm.OpRaw))
	defer g.running.Add(-1)
	b, fail := x.open(&j.Caller, j.Header["X-Headrace-Tags"])
	if b == nil || fail != nil {
		return nil
	}
	if _, fail := b.tab.Hold(ctx, amount, 0); fail != nil {
		b.tab.Close(0)
		return nil
	}
	return b.tab
}

// Refuse gives to w the error that a job ends with, in the dialect of its door,
// and writes its row: one that no target could be found for, or that a batch of
// the target's provider has refused (t is nil for none).
func (g *Gateway) Refuse(j *Job, model string, t *route.Target, fail *llm.Error, w http.ResponseWriter) (row ledger.Entry) {
	d, _, ok := doorAt(j.Path)
	x := g.begin(w, d)
	defer func() { row = x.row }()
	defer x.end()
	x.called(&j.Caller)
	x.row.Asked = model
	if ok {
		x.row.Op = d.op
	}
	if t != nil {
		at := ledger.Attempt{N: 1, Provider: t.Provider, Model: t.Model, Why: "in a batch of the provider's", Start: x.reply.start,
			Status: fail.Status, Class: fail.Class, Message: fail.Message}
		x.row.Attempts = []ledger.Attempt{at}
	}
	x.refuse(fail)
	return row
}

// Deliver gives to w what a batch of the target's provider has answered to a
// job, in the dialect of the door, as Do does. It is paid by whom the job
// belongs to and has a row, whatever it may cost by now: it was asked for.
func (g *Gateway) Deliver(ctx context.Context, j *Job, t *route.Target, a *llm.Answer, w http.ResponseWriter) (row ledger.Entry) {
	d, path, ok := doorAt(j.Path)
	x := g.begin(w, d)
	var attempts []ledger.Attempt // the ledger takes those of the row
	defer func() { row, row.Attempts = x.row, attempts }()
	defer x.end()
	defer func() { attempts = slices.Clone(x.row.Attempts) }()
	x.called(&j.Caller)
	fail := llm.Errorf(llm.NotFound, "nothing can be asked at %s", j.Path)
	if ok {
		fail = x.deliver(ctx, j, path, t, a)
	}
	if fail != nil {
		x.refuse(fail)
	}
	return row
}

func (x *exchange) deliver(ctx context.Context, j *Job, path asked, t *route.Target, a *llm.Answer) *llm.Error {
	var fail *llm.Error
	if j.Tab != nil {
		x.reply.bill = x.billOf(j.Tab)
	} else if x.reply.bill, fail = x.open(&j.Caller, j.Header["X-Headrace-Tags"]); fail != nil {
		return fail
	}
	out := relay.Outcome{OK: true, Committed: true, Warnings: relay.Warnings(a.Losses), Attempts: []relay.Attempt{{
		N: 1, Provider: t.Provider, Model: t.Model, Why: "in a batch of the provider's", Sent: true, Start: x.reply.start,
		Status: http.StatusOK, Op: x.reply.door.op, Usage: a.Glance.Usage, Finish: a.Glance.Finish, UpstreamID: a.UpstreamID,
	}}}
	d, fail := x.draft(ctx, j, path)
	if fail != nil { // the provider is paid all the same
		x.ended(&out, &d)
		return fail
	}
	err := x.reply.Whole(a, relay.Meta{Target: t, Attempts: 1, Warnings: out.Warnings})
	if err != nil {
		out.Class = asError(err, llm.MalformedUpstream).Class
	}
	x.ended(&out, &d)
	if err != nil && !x.reply.begun {
		return asError(err, llm.MalformedUpstream)
	}
	return nil
}

func (x *exchange) do(ctx context.Context, j *Job, path asked) *llm.Error {
	if fail := x.place.enter(ctx, j.Caller, j.Priority); fail != nil {
		return fail
	}
	if fail := x.place.take(int64(len(j.Body))); fail != nil {
		return fail
	}
	d, fail := x.reply.door.draft(j.Body, path)
	if fail != nil {
		return fail
	}
	x.reply.door.heed(&d, j.Header)
	if fail := wishes(&d, j.Header); fail != nil {
		return fail
	}
	x.apart = true // most of a job may go by batches, which know no arms
	return x.run(ctx, &j.Caller, &d, j.Header["X-Headrace-Tags"])
}

// doorAt finds the door at the path of a request that goes through the rooms.
// Not ok gives a door of the dialect that the path looks like, for the refusal.
func doorAt(path string) (d *door, a asked, ok bool) {
	for i := range routes {
		if e := &routes[i]; e.path == path && e.method == http.MethodPost && e.handle == nil {
			return e.door(), asked{}, true
		}
	}
	for _, prefix := range geminiPaths {
		if len(path) > len(prefix) && path[:len(prefix)] == prefix {
			if v, model := verbAt(path[len(prefix):], true); v != nil && model != "" {
				return v.door(), asked{model: model}, true
			}
		}
	}
	return likePath(path).door(llm.OpRaw), asked{}, false
}
