package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/config"
	"headrace/internal/gateway"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/provider"
	"headrace/internal/route"
)

// batches works on jobs with a deadline. Safe for concurrent use.
type batches struct {
	a       *App
	service *batch.Service
	engine  *batch.Engine
	shelf   *batch.Shelf
	holds   holds

	mu   sync.Mutex // guards jobs
	jobs map[batch.JobID]*batch.Job
}

// batchWorker is whose leases are ours: a data directory has one process.
const batchWorker = "headrace"

// newBatches makes what answers jobs; seal seals them at rest.
func (a *App) newBatches(c *config.Batch, seal batch.Sealer) *batches {
	b := &batches{a: a, jobs: map[batch.JobID]*batch.Job{}}
	rule := batch.Rule{Margin: c.Margin, Latency: c.Latency.Std(), Cancel: c.Cancel.Std()}
	rate := func() batch.Rate { return batch.Rate(a.config().Batch.Rate) }
	bells := &batch.Bells{}
	learned := func() batch.Rate { return b.engine.Pace.Rate(time.Now(), c.Parallel, rate()) }
	b.service = &batch.Service{Store: a.db, Seal: seal, Rule: rule, Rate: learned, Bells: bells}
	b.engine = &batch.Engine{
		Store: a.db, Bells: bells, Seal: seal, Rule: rule, Rate: rate, Plan: b.plan, Provider: b.provider, Accounts: b.accounts, Runner: b, Refused: b.refused, Worker: batchWorker,
		Window: c.Window.Std(), Parallel: c.Parallel, Call: c.Call.Std(), Keep: c.Keep.Std(), Log: a.log,
	}
	return b
}

// run works on jobs, and gives what ends that, and what waits for the end: what
// has begun then may go on until calls ends. A nil receiver does nothing.
func (b *batches) run(ctx, calls context.Context) (stop func(), wait func(context.Context)) {
	if b == nil {
		return func() {}, func(context.Context) {}
	}
	work, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // ends with work and calls
		defer close(done)
		b.holdAgain(work)
		b.engine.Run(work, calls)
		b.holds.end()
	}()
	return stop, func(ctx context.Context) {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

// filesEvery is how often files that have expired are looked for.
const filesEvery = 10 * time.Minute

// sweepFiles deletes files that have expired.
func (a *App) sweepFiles(ctx context.Context) {
	if a.batches == nil {
		return
	}
	tick := time.NewTicker(filesEvery)
	defer tick.Stop()
	for {
		if n, err := a.batches.shelf.Sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			a.log.Error("files that have expired could not be deleted", "error", err)
		} else if n > 0 {
			a.log.Info("files that had expired are deleted", "files", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// manyJobs is how many jobs are remembered for their items.
const manyJobs = 256

// job reads what an item has to know of its job: by whose key and with which
// headers it came. That never changes.
func (b *batches) job(ctx context.Context, id batch.JobID) (*batch.Job, *llm.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if j := b.jobs[id]; j != nil {
		return j, nil
	}
	j, ok, err := b.a.db.BatchJobOf(ctx, id)
	switch {
	case err != nil:
		return nil, &llm.Error{Class: llm.Unavailable, Message: "the job cannot be read", Cause: err}
	case !ok:
		return nil, llm.Errorf(llm.NotFound, "there is no such job any more")
	}
	if len(b.jobs) >= manyJobs {
		clear(b.jobs)
	}
	b.jobs[id] = &j
	return &j, nil
}

// principal is who the key of a job is now.
func (b *batches) principal(j *batch.Job) (access.Principal, *llm.Error) {
	p, err := b.a.directory.Principal(j.Owner, time.Now())
	if err != nil {
		return p, asError(err, llm.Unauthenticated)
	}
	return p, nil
}

// plan finds the first target of the item's model: what the operator put first
// in a route stays first, also where another one has cheaper batches.
func (b *batches) plan(ctx context.Context, _ *batch.Job, it *batch.Item) (way batch.Way, fail *llm.Error) {
	j, fail := b.job(ctx, it.Job)
	if fail != nil {
		return way, fail
	}
	p, fail := b.principal(j)
	if fail != nil {
		return way, fail
	}
	if way.Target, fail = b.a.gateway.Leads(&p, it.Dialect, it.Op, it.Model); fail != nil {
		return way, fail
	}
	price, ok := b.a.catalogNow().PriceAt(way.Target.Provider, way.Target.Model, time.Now())
	if ok && price.Batch > 0 {
		way.Discount = 1 - float64(price.Batch)/1000
	}
	return way, nil
}

// request is an item as a request that the gateway takes.
func (b *batches) request(j *batch.Job, it *batch.Item, p access.Principal) (*gateway.Job, *llm.Error) {
	out, err := gateway.JobOf(j, it)
	if err != nil {
		return nil, asError(err, llm.InvalidRequest)
	}
	out.Caller, out.Priority = p, cmp.Or(j.Priority, "batch")
	return &out, nil
}

// Run answers an item in real time.
func (b *batches) Run(ctx context.Context, j *batch.Job, it *batch.Item) batch.Answer {
	p, fail := b.principal(j)
	if fail != nil {
		return failed(fail)
	}
	req, fail := b.request(j, it, p)
	if fail != nil {
		return failed(fail)
	}
	b.holds.release(it.ID)
	return b.heard(func(w http.ResponseWriter) ledger.Entry { return b.a.gateway.Do(ctx, req, w) })
}

func failed(e *llm.Error) batch.Answer {
	return batch.Answer{Status: cmp.Or(e.Status, http.StatusBadRequest), Err: e}
}

// heard takes down what the gateway gives its client.
func (b *batches) heard(ask func(http.ResponseWriter) ledger.Entry) (a batch.Answer) {
	w := &page{header: http.Header{}}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		a = failed(llm.Errorf(llm.MalformedUpstream, "the answer was cut off"))
		a.Status = http.StatusBadGateway
		if v != http.ErrAbortHandler {
			b.a.log.Error("an item of a job panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	row := ask(w)
	a = batch.Answer{Status: cmp.Or(w.status, row.Status), Body: w.body.Bytes(), RequestID: row.ID.String()}
	a.Cost, a.RealTime, a.Usage, a.Priced = b.cost(&row)
	if refused := row.Class == llm.ContentRefused && a.Status < 300; row.Class != "" && !refused || a.Status >= 300 {
		a.Err = &llm.Error{Class: cmp.Or(row.Class, llm.ServerError), Status: a.Status, Message: "see the body"}
		if n := len(row.Attempts); n > 0 && row.Attempts[n-1].Message != "" {
			a.Err.Message = row.Attempts[n-1].Message
		}
		a.Err.ReadHeader(w.header)
	}
	return a
}

// cost prices the attempts of a row, as the ledger does, and as they would have
// cost in real time.
func (b *batches) cost(row *ledger.Entry) (cost, realTime llm.Nanodollars, usage llm.Usage, priced bool) {
	c := b.a.catalogNow()
	row.Sum()
	priced = true
	for i := range row.Attempts {
		at := &row.Attempts[i]
		if at.Usage.Source == "" {
			continue
		}
		paid, ok := c.Cost(at.Provider, at.Model, at.Usage, at.Start)
		now := at.Usage
		if now.Tier == "batch" {
			now.Tier = ""
		}
		usual, also := c.Cost(at.Provider, at.Model, now, at.Start)
		cost, realTime, priced = cost+paid, realTime+usual, priced && ok && also
	}
	return cost, realTime, row.Usage, priced
}

// page is a client that only listens.
type page struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (p *page) Header() http.Header { return p.header }

func (p *page) WriteHeader(status int) {
	if p.status == 0 {
		p.status = status
	}
}

func (p *page) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.body.Write(b)
}

// provider gives the batch API of an account, for what is begun with one
// credential cannot be seen with another: a provider's name stands for its
// first one, with # and a name for another. nil is none.
func (b *batches) provider(account string) batch.Provider {
	id, name, other := strings.Cut(account, "#")
	b.a.mu.Lock()
	p, index := b.a.providers[id], 0
	if other {
		index = slices.IndexFunc(b.credentials(id), func(c credential) bool { return c.name == name })
	}
	b.a.mu.Unlock()
	if p == nil || index < 0 {
		return nil
	}
	bulk, ok := p.Bulk(index)
	if !ok {
		return nil
	}
	return &bulkWay{batches: b, bulk: bulk, id: id}
}

// credentials are those of a provider; a.mu is held.
func (b *batches) credentials(id string) []credential {
	for i := range b.a.found {
		if f := &b.a.found[i]; f.Row.ID == id {
			return f.credentials
		}
	}
	return nil
}

// accounts names the accounts of a provider that are not set aside; all of them
// when every one is.
func (b *batches) accounts(id string) []string {
	b.a.mu.Lock()
	all, pool := slices.Clone(b.credentials(id)), b.a.made[id].pool
	b.a.mu.Unlock()
	off := map[string]bool{}
	if pool != nil {
		for _, s := range pool.States(time.Now()) {
			off[s.Name] = len(s.Off) > 0
		}
	}
	var names, aside []string
	for i, c := range all {
		name := id
		if i > 0 {
			name += "#" + c.name
		}
		if off[c.name] {
			aside = append(aside, name)
		} else {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return aside
	}
	return names
}

// bulkWay is the batch API of a provider for items.
type bulkWay struct {
	*batches
	bulk *provider.Bulk
	id   string
}

func (w *bulkWay) Terms() llm.BatchTerms { return w.bulk.Terms() }

// Line writes the request as its client's door reads it.
func (w *bulkWay) Line(t *route.Target, it *batch.Item) (llm.BatchLine, *llm.Error) {
	req, draft, fail := w.draft(it, true)
	if fail != nil {
		return llm.BatchLine{}, fail
	}
	c := w.a.catalogNow().Capability(t.Provider, t.Model)
	d := prepare(t, draft)
	price := int64(1000)
	if p, ok := w.a.catalogNow().PriceAt(t.Provider, t.Model, time.Now()); ok && p.Batch > 0 {
		price = int64(p.Batch)
	}
	// What it can cost at most is held before it is sent.
	d, tab, fail := w.a.gateway.Hold(context.Background(), req, t, d, price, w.holds.take(it.ID))
	w.holds.put(it.ID, tab)
	if fail != nil {
		w.holds.release(it.ID)
		return llm.BatchLine{}, fail
	}
	line, fail := w.bulk.Line(t.Model, &c, &d)
	if fail != nil {
		w.holds.release(it.ID)
	}
	return line, fail
}

// itemOf is the item of a line.
func itemOf(l *llm.BatchLine) batch.ItemID {
	id, err := strconv.ParseInt(l.ID, 10, 64)
	if err != nil {
		return 0 // no line of the engine's
	}
	return batch.ItemID(id)
}

// draft reads an item. What was paid for is read for a key that is not valid
// any more, too.
func (w *bulkWay) draft(it *batch.Item, valid bool) (*gateway.Job, llm.Draft, *llm.Error) {
	ctx := context.Background() // the store's own limits hold
	j, fail := w.job(ctx, it.Job)
	if fail != nil {
		return nil, llm.Draft{}, fail
	}
	p, fail := w.principal(j)
	if fail != nil {
		if valid {
			return nil, llm.Draft{}, fail
		}
		p = w.owner(j)
	}
	req, fail := w.request(j, it, p)
	if fail != nil {
		return nil, llm.Draft{}, fail
	}
	d, fail := w.a.gateway.Draft(ctx, req)
	return req, d, fail
}

func (w *bulkWay) Create(ctx context.Context, ref string, lines []llm.BatchLine) (llm.BatchStatus, error) {
	if held := w.holds.of(lines, itemOf); len(held) > 0 {
		if err := w.a.db.HoldBatchItems(ctx, held); err != nil {
			return llm.BatchStatus{}, &llm.Error{Class: llm.RateLimited, Message: "what the items can cost cannot be written down", Cause: err}
		}
	}
	st, err := w.bulk.Create(ctx, ref, lines)
	if err != nil {
		w.a.alarm.hear(w.id, err)
	}
	return st, err
}

func (w *bulkWay) Get(ctx context.Context, id string) (llm.BatchStatus, error) {
	return w.bulk.Get(ctx, id)
}

func (w *bulkWay) Cancel(ctx context.Context, id string) (llm.BatchStatus, error) {
	return w.bulk.Cancel(ctx, id)
}

func (w *bulkWay) List(ctx context.Context, since time.Time) iter.Seq2[llm.BatchStatus, error] {
	return w.bulk.List(ctx, since)
}

func (w *bulkWay) Results(ctx context.Context, id string) iter.Seq2[llm.BatchResult, error] {
	return w.bulk.Results(ctx, id)
}

// Answer writes a result in the dialect of the item and notes its row.
func (w *bulkWay) Answer(t *route.Target, it *batch.Item, r *llm.BatchResult) (batch.Answer, *llm.Error) {
	req, draft, fail := w.draft(it, false)
	if fail != nil {
		return batch.Answer{}, fail
	}
	req.Tab = w.holds.take(it.ID)
	defer func() { req.Tab.Close(0) }() // if nobody has spent of it
	draft = prepare(t, draft)
	c := w.a.catalogNow().Capability(t.Provider, t.Model)
	ans, fail := w.bulk.Answer(t.Model, &c, &draft, r)
	if fail != nil {
		return batch.Answer{}, fail
	}
	a := w.heard(func(to http.ResponseWriter) ledger.Entry {
		return w.a.gateway.Deliver(context.Background(), req, t, ans, to)
	})
	if a.Err != nil {
		return batch.Answer{}, a.Err
	}
	return a, nil
}

// asError makes an *llm.Error of any error.
func asError(err error, class llm.Class) *llm.Error {
	if e, ok := errors.AsType[*llm.Error](err); ok {
		return e
	}
	return &llm.Error{Class: class, Message: err.Error(), Cause: err}
}
