package batch

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/route"
)

// Way is where an item can be answered.
type Way struct {
	Target route.Target
	// Discount is how much less a batch costs there: 0.5 is half price.
	Discount float64
}

// Engine brings items to their answers. All it knows is in the store, and work
// is taken by leases, so that several engines may share one store, and one that
// dies is taken over from. Set the fields before Run; it is safe for concurrent
// use then.
type Engine struct {
	Store Store
	Seal  Sealer
	Rule  Rule
	// Rate is what real time can take now of what more urgent traffic leaves, at
	// most: calls that are slower than that lower it (Pace).
	Rate func() Rate
	// Pace is what was learned of calls in real time.
	Pace Pace
	// Plan finds the way of an item.
	Plan func(ctx context.Context, j *Job, it *Item) (Way, *llm.Error)
	// Provider gives the batch API of an account, nil where there is none. The
	// name of a provider is its first account.
	Provider func(id string) Provider
	// Accounts names the accounts of a provider whose batches may be used, those
	// that work first; nil, or none, is the first one.
	Accounts func(provider string) []string
	Runner   Runner
	// Refused makes the answer of an item that ends without a call of its own:
	// nothing was found for it, or a batch of t's provider has refused it (nil for
	// none). nil makes one of the error alone.
	Refused func(it *Item, t *route.Target, fail *llm.Error) Answer
	// Ended is told of jobs that have ended, once; nil for nobody. It is not told
	// of those whose end was noted as the process died: their webhooks are, from
	// the store.
	Ended func(ctx context.Context, id JobID)
	// Worker names this process among others; it must be unique, and the same
	// after a restart: what it held before is free at once then.
	Worker string
	// Window is how long items wait for others to share a batch, 0 means 1 min.
	// Those of a job of many, to which nothing is added, wait only until nothing
	// has come for Quiet; 0 means 2 s.
	Window, Quiet time.Duration
	// Items and Bytes bound a batch besides the provider's own bounds; 0 means
	// 10,000 and 32 MiB, which is held in memory while it is posted.
	Items int
	Bytes int64
	// Parallel bounds the calls in real time, 0 means 16; Call bounds one, 0
	// means 5 min. It is also how long the item of an engine that died waits.
	Parallel int
	Call     time.Duration
	// Tick is the longest time between two rounds, 0 means 15 s. Work of this
	// process is begun at once; what others have left is found by the next round.
	Tick time.Duration
	// Bells are those of the Service of this process; nil when it has none.
	Bells *Bells
	// Keep is how long jobs stay after their end, 0 means 29 days.
	Keep time.Duration
	Log  *slog.Logger

	ids ledger.IDs
	// next is when the round under way wants to be followed by another one; only
	// Step uses it.
	next time.Time
	// turn says whose account the next intent is for; only Step uses it.
	turn int

	mu     sync.Mutex // guards curves
	curves map[string]*Curve
	// Dropped counts results that were late or came twice.
	Dropped atomic.Int64
}

// The engine's own times and bounds.
const (
	// leased is how long a claim on a batch lasts: longer than one call to a
	// provider's batch API takes.
	leased = 2 * time.Minute
	// claimed is how many rows are claimed at once.
	claimed = 5000
	// tries is how often an item is tried before it has failed; batched is
	// how many of those may be batches.
	tries, batched = 20, 2
)

// Run works until ctx ends, and waits for what it has begun, which may go on
// until calls ends.
func (e *Engine) Run(ctx, calls context.Context) {
	if e.Bells == nil {
		e.Bells = &Bells{}
	}
	if err := e.Store.FreeBatches(calls, e.Worker); err != nil {
		e.log().Error("batch engine: what this worker held before the start waits until its leases end", "error", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for ctx.Err() == nil {
			work, begin := e.Bells.Work.Next(), time.Now()
			if err := e.Step(calls); err != nil && calls.Err() == nil {
				e.log().Error("batch engine: a round failed", "error", err)
			}
			e.Bells.calls.Ring()
			// Rounds take a fifth of the time at most, however often the bell rings.
			took := time.Since(begin)
			if pause(ctx, max(stepGap, 4*took)) != nil {
				return
			}
			if left := time.Until(e.next); left > 0 && wait(ctx, left, work) != nil {
				return
			}
		}
	})
	slots := make(chan struct{}, e.parallel())
	for ctx.Err() == nil {
		more := e.Bells.calls.Next()
		n, err := e.callSome(calls, &wg, slots)
		if err != nil && ctx.Err() == nil {
			e.log().Error("batch engine: no work taken", "error", err)
		}
		if n == 0 && wait(ctx, e.tick(), more) != nil {
			return
		}
	}
}

// pace is what real time can take.
func (e *Engine) pace() Rate { return e.Pace.Rate(time.Now(), e.parallel(), e.Rate()) }

func (e *Engine) parallel() int { return cmp.Or(e.Parallel, 16) }

// stepGap is the least time between two rounds.
const stepGap = 200 * time.Millisecond

func (e *Engine) tick() time.Duration { return cmp.Or(e.Tick, 15*time.Second) }

// soon asks for a round at a time, if that is before the next one.
func (e *Engine) soon(at time.Time) {
	if at.Before(e.next) {
		e.next = at
	}
}

// moveItems moves items, and rings for who waits for them.
func (e *Engine) moveItems(ctx context.Context, m Move) error {
	n, err := e.Store.MoveBatchItems(ctx, m)
	if n > 0 {
		e.Bells.news().Ring()
	}
	return err
}

// moveJob moves items of a job, and rings for who waits for them.
func (e *Engine) moveJob(ctx context.Context, id JobID, m Move) error {
	n, err := e.Store.MoveBatchJob(ctx, id, m)
	if n > 0 {
		e.Bells.news().Ring()
	}
	return err
}

func (e *Engine) log() *slog.Logger {
	if e.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return e.Log
}

// Step does one round of all but calls in real time.
func (e *Engine) Step(ctx context.Context) error {
	open, err := e.Store.OpenBatchJobs(ctx)
	if err != nil {
		return err
	}
	if err := e.remember(ctx); err != nil {
		return err
	}
	now := time.Now()
	e.next = now.Add(e.tick())
	for i := range open {
		e.soon(open[i].Deadline)
	}
	var errs []error
	for _, f := range []func(context.Context, []Job) error{e.end, e.leave, e.choose, e.coalesce, e.post, e.reconcile, e.poll, e.close} {
		errs = append(errs, f(ctx, open))
	}
	due, err := e.Store.NextBatchWork(ctx, now)
	if err == nil && !due.IsZero() {
		e.soon(due)
	}
	return errors.Join(append(errs, err)...)
}

// waiting are the states before an item is in a batch, within those in one.
var (
	waiting = []State{Queued, Coalescing, Retrying}
	within  = []State{Submitted, Running, Ended}
)

// end ends the items of jobs that were canceled or whose deadline is over.
func (e *Engine) end(ctx context.Context, open []Job) error {
	now := time.Now()
	for i := range open {
		j := &open[i]
		to, why := Expired, "the deadline was over"
		switch {
		case !j.Canceled.IsZero():
			to, why = Canceled, "the job was canceled"
		case j.Deadline.After(now):
			continue
		}
		if err := e.cancelBatches(ctx, j, true); err != nil {
			return err
		}
		for _, from := range slices.Concat(waiting, within, []State{RealTime}) {
			if err := e.moveJob(ctx, j.ID, Move{From: from, To: to, Why: why}); err != nil {
				return err
			}
		}
	}
	return nil
}

// cancelBatches asks for the end of the batches that a job is in; alone leaves
// those that others are in too.
func (e *Engine) cancelBatches(ctx context.Context, j *Job, alone bool) error {
	sent, err := e.Store.BatchesOf(ctx, j.ID)
	for i := range sent {
		s := &sent[i]
		if s.Phase != PhaseRunning {
			continue
		}
		if alone {
			rows, err := e.Store.SentItems(ctx, s.ID)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(rows, func(r Row) bool { return r.Job != j.ID }) {
				continue
			}
		}
		p := e.Provider(s.Provider)
		if p == nil {
			continue
		}
		if _, err := p.Cancel(ctx, s.Upstream); err != nil {
			// It is asked again with the next round; the deadline is kept either way.
			e.log().Warn("batch engine: cancel", "batch", s.Upstream, "error", err)
		} else {
			s.Phase = PhaseCanceling
		}
		s.Canceled, s.Due = cmpTime(s.Canceled, time.Now()), time.Now()
		if err := e.Store.SaveBatch(ctx, s); err != nil {
			return err
		}
	}
	return err
}

func cmpTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// leave takes jobs out of batches by the deadline rule.
func (e *Engine) leave(ctx context.Context, open []Job) error {
	now := time.Now()
	byID := map[JobID]*Job{}
	var ds []Demand
	for i, d := range demands(open) {
		if open[i].Canceled.IsZero() && d.Left > 0 {
			byID[d.Job], ds = &open[i], append(ds, d)
		}
	}
	const why = "the deadline rule: it is the last safe moment"
	for _, id := range e.Rule.Switch(now, ds, e.pace()) {
		j := byID[id]
		for _, from := range waiting {
			if err := e.moveJob(ctx, id, Move{From: from, To: RealTime, Path: PathRealTime, Why: why}); err != nil {
				return err
			}
		}
		if err := e.cancelBatches(ctx, j, false); err != nil {
			return err
		}
		sent, err := e.Store.BatchesOf(ctx, id)
		if err != nil {
			return err
		}
		for i := range sent {
			s := &sent[i]
			// What is finished is taken first, but no longer than the provider's
			// time to cancel; what may never have arrived is not waited for.
			if !s.Canceled.IsZero() && now.Sub(s.Canceled) < e.Rule.filled().Cancel {
				continue
			}
			rows, err := e.Store.SentItems(ctx, s.ID)
			if err != nil {
				return err
			}
			for _, from := range within {
				if err := e.move(ctx, rows, func(r *Row) bool { return r.Job == id && r.State == from },
					Move{From: from, To: RealTime, Path: PathRealTime, Why: why}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// move moves those rows that are picked.
func (e *Engine) move(ctx context.Context, rows []Row, pick func(*Row) bool, m Move) error {
	for i := range rows {
		if pick(&rows[i]) {
			m.Items = append(m.Items, rows[i].ID)
		}
	}
	if len(m.Items) == 0 {
		return nil
	}
	return e.moveItems(ctx, m)
}

func (e *Engine) curve(provider, model string, use func(*Curve)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.curves[provider+"/"+model]
	if c == nil {
		c = &Curve{}
		e.curves[provider+"/"+model] = c
	}
	use(c)
}

// remember reads once how long batches took before this process began.
func (e *Engine) remember(ctx context.Context) error {
	e.mu.Lock()
	known := e.curves != nil
	e.mu.Unlock()
	if known {
		return nil
	}
	curves := map[string]*Curve{}
	err := e.Store.BatchTimes(ctx, func(provider, model string, took time.Duration) {
		c := curves[provider+"/"+model]
		if c == nil {
			c = &Curve{}
			curves[provider+"/"+model] = c
		}
		c.Add(took)
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.curves = curves
	return nil
}

// took notes how long a batch took.
func (e *Engine) took(ctx context.Context, s *Sent, model string) error {
	took := s.Ended.Sub(s.Created)
	e.curve(providerOf(s.Provider), model, func(c *Curve) { c.Add(took) })
	return e.Store.AddBatchTime(ctx, providerOf(s.Provider), model, s.ID, took, curveLength)
}

// expected adds up what is expected of the items of a job.
type expected struct {
	n, batched    int
	share, inTime float64
	leaves        time.Time
}

func (x *expected) add(c Choice, until time.Time) {
	x.n++
	x.share += c.Share
	if c.Path == PathBatch {
		x.batched++
		x.inTime += c.InTime
		x.leaves = until
	}
}

func (x *expected) forecast() Forecast {
	f := Forecast{Share: x.share / float64(x.n), Leaves: x.leaves}
	if x.batched > 0 {
		f.InTime = x.inTime / float64(x.batched)
	}
	return f
}

// moveKey is what items have in common that are moved together.
type moveKey struct {
	to                   State
	path                 Path
	why, provider, model string
}

// choose chooses the path of what is new and of what must be tried again.
func (e *Engine) choose(ctx context.Context, open []Job) error {
	now := time.Now()
	byID := map[JobID]*Job{}
	for i := range open {
		byID[open[i].ID] = &open[i]
	}
	all, admitted := demands(open), map[JobID]Admission{}
	for _, from := range []State{Queued, Retrying} {
		rows, err := e.Store.ClaimBatchItems(ctx, from, Claim{e.Worker, now, now.Add(leased), claimed})
		if err != nil {
			return err
		}
		moves, hopes := map[moveKey][]ItemID{}, map[JobID]*expected{}
		for i := range rows {
			r := &rows[i]
			j := byID[r.Job]
			if j == nil { // it became ready after the round began
				late, ok, err := e.Store.BatchJobOf(ctx, r.Job)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
				j, byID[r.Job] = &late, &late
			}
			way, fail := e.Plan(ctx, j, &r.Item)
			if fail != nil {
				if err := e.finish(ctx, r, Failed, e.refusal(r, nil, fail), "no way to an answer"); err != nil {
					return err
				}
				continue
			}
			a, ok := admitted[j.ID]
			if !ok {
				others := slices.DeleteFunc(slices.Clone(all), func(d Demand) bool { return d.Job == j.ID })
				a = e.Rule.Admit(now, j.Deadline, j.Counts.Left(), others, e.pace())
				admitted[j.ID] = a
			}
			var c Choice
			able := e.Provider(way.Target.Provider) != nil && r.Path != PathRealTime && r.Tries < batched
			e.curve(way.Target.Provider, way.Target.Model, func(curve *Curve) { c = Choose(a, now, able, way.Discount, curve) })
			to := Coalescing
			if c.Path == PathRealTime {
				to = RealTime
			}
			if hopes[j.ID] == nil {
				hopes[j.ID] = &expected{}
			}
			hopes[j.ID].add(c, a.Until)
			k := moveKey{to, c.Path, c.Why, way.Target.Provider, way.Target.Model}
			moves[k] = append(moves[k], r.ID)
		}
		for k, ids := range moves {
			m := Move{Items: ids, From: from, To: k.to, Path: k.path, Why: k.why, Provider: k.provider, Model: k.model}
			if err := e.moveItems(ctx, m); err != nil {
				return err
			}
		}
		for id, x := range hopes {
			if from != Queued { // what is tried again was counted
				break
			}
			if err := e.Store.ForecastBatchJob(ctx, id, x.forecast()); err != nil {
				return err
			}
		}
	}
	return nil
}

// coalesce makes intents of what waits for a batch: of as much as a batch
// takes, or of what there is when the oldest has waited for the window.
func (e *Engine) coalesce(ctx context.Context, open []Job) error {
	now := time.Now()
	whole := map[JobID]bool{} // jobs that nothing is added to
	for i := range open {
		whole[open[i].ID] = open[i].Form != FormSingle
	}
	// The claim ends at once: an intent only takes what no other has taken.
	rows, err := e.Store.ClaimBatchItems(ctx, Coalescing, Claim{e.Worker, now, now, 20 * claimed})
	if err != nil {
		return err
	}
	type group struct {
		provider, model string
		op              llm.Op
	}
	groups := map[group][]Row{}
	for i := range rows {
		p := e.Provider(rows[i].Target.Provider)
		if p == nil {
			m := Move{From: Coalescing, To: RealTime, Path: PathRealTime, Why: "the provider has no batches any more", Items: []ItemID{rows[i].ID}}
			if err := e.moveItems(ctx, m); err != nil {
				return err
			}
			continue
		}
		g, t := group{provider: rows[i].Target.Provider}, p.Terms()
		if t.OneModel {
			g.model = rows[i].Target.Model
		}
		if t.OneOp {
			g.op = rows[i].Op
		}
		groups[g] = append(groups[g], rows[i])
	}
	for _, g := range slices.SortedFunc(maps.Keys(groups), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.provider, b.provider), cmp.Compare(a.model, b.model), cmp.Compare(a.op, b.op))
	}) {
		t := e.Provider(g.provider).Terms()
		most, bytes := cmp.Or(e.Items, 10_000), cmp.Or(e.Bytes, 32<<20)
		if t.Items > 0 {
			most = min(most, t.Items)
		}
		if t.Bytes > 0 {
			// A line is longer than the body in it.
			bytes = min(bytes, t.Bytes*3/4)
		}
		rest := groups[g]
		for len(rest) > 0 {
			n, size, oldest := 0, int64(0), rest[0].Changed
			var newest time.Time // of those of whole jobs
			for n < len(rest) && n < most && (n == 0 || size+rest[n].Size+200 <= bytes) {
				size += rest[n].Size + 200
				oldest = minTime(oldest, rest[n].Changed)
				if whole[rest[n].Job] && rest[n].Changed.After(newest) {
					newest = rest[n].Changed
				}
				n++
			}
			due := oldest.Add(cmp.Or(e.Window, time.Minute))
			if !newest.IsZero() {
				due = minTime(due, newest.Add(cmp.Or(e.Quiet, 2*time.Second)))
			}
			if n == len(rest) && n < most && due.After(now) {
				e.soon(due)
				break
			}
			if err := e.intend(ctx, e.account(g.provider), g.model, rest[:n], now); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	return nil
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// account is the next of a provider's accounts.
func (e *Engine) account(provider string) string {
	if e.Accounts == nil {
		return provider
	}
	all := e.Accounts(provider)
	if len(all) == 0 {
		return provider
	}
	e.turn++
	return all[e.turn%len(all)]
}

// providerOf is the provider of an account.
func providerOf(account string) string {
	provider, _, _ := strings.Cut(account, "#")
	return provider
}

// intend writes an intent for an account.
func (e *Engine) intend(ctx context.Context, account, model string, rows []Row, due time.Time) error {
	ids := make([]ItemID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	now := time.Now()
	_, err := e.Store.IntendBatch(ctx, &Sent{ID: SentID(e.ids.New(now)), Provider: account, Model: model, Phase: PhaseIntent, Created: now, Due: due}, ids)
	return err
}

// some claims batches of a phase and does f with each.
func (e *Engine) some(ctx context.Context, phase Phase, f func(context.Context, *Sent, Provider) error) error {
	now := time.Now()
	sent, err := e.Store.ClaimBatches(ctx, phase, Claim{e.Worker, now, now.Add(leased), 16})
	if err != nil {
		return err
	}
	var errs []error
	for i := range sent {
		s := &sent[i]
		if p := e.Provider(s.Provider); p != nil {
			errs = append(errs, f(ctx, s, p))
			continue
		}
		errs = append(errs, e.giveBack(ctx, s, "the provider is not there any more", PathRealTime))
	}
	return errors.Join(errs...)
}

// giveBack ends a batch and sends all that has no answer on.
func (e *Engine) giveBack(ctx context.Context, s *Sent, why string, path Path) error {
	rows, err := e.Store.SentItems(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, from := range within {
		if err := e.move(ctx, rows, func(r *Row) bool { return r.State == from }, Move{From: from, To: Retrying, Path: path, Why: why, Tried: true}); err != nil {
			return err
		}
	}
	s.Phase, s.Ended = PhaseOver, time.Now()
	return e.Store.SaveBatch(ctx, s)
}

// post posts intents.
func (e *Engine) post(ctx context.Context, _ []Job) error {
	return e.some(ctx, PhaseIntent, func(ctx context.Context, s *Sent, p Provider) error {
		rows, err := e.Store.SentItems(ctx, s.ID)
		if err != nil {
			return err
		}
		lines, ok := make([]llm.BatchLine, 0, len(rows)), make([]Row, 0, len(rows))
		for i := range rows {
			r := &rows[i]
			if err := open(e.Seal, r); err != nil {
				return err
			}
			line, fail := e.line(ctx, p, r)
			if fail != nil {
				m := Move{Items: []ItemID{r.ID}, From: Submitted, To: RealTime, Path: PathRealTime, Why: "not in a batch: " + fail.Message}
				if err := e.moveItems(ctx, m); err != nil {
					return err
				}
				continue
			}
			line.ID = strconv.FormatInt(int64(r.ID), 10)
			lines, ok = append(lines, line), append(ok, *r)
		}
		if len(lines) == 0 {
			s.Phase, s.Ended = PhaseOver, time.Now()
			return e.Store.SaveBatch(ctx, s)
		}
		if parts := byPath(lines, ok); len(parts) > 1 {
			return e.part(ctx, s, parts, "its batch is of another endpoint")
		}
		// From here on it may have arrived.
		s.Phase, s.Due = PhaseHeld, time.Now().Add(time.Minute)
		if err := e.Store.SaveBatch(ctx, s); err != nil {
			return err
		}
		st, err := p.Create(ctx, ref(s.ID), lines)
		if err == nil {
			return e.started(ctx, s, st)
		}
		fail, is := errors.AsType[*llm.Error](err)
		switch {
		case ctx.Err() != nil || !is:
			return err
		case fail.Class == llm.RateLimited, fail.Class == llm.QuotaExhausted, fail.Class == llm.Auth:
			if other := e.account(providerOf(s.Provider)); other != s.Provider {
				return e.partAt(ctx, s, other, [][]Row{ok}, "its batch was refused by an account", time.Now().Add(backOff(1)))
			}
			s.Phase, s.Polls = PhaseIntent, s.Polls+1
			s.Due = time.Now().Add(max(fail.RetryAfter, backOff(s.Polls)))
			return e.Store.SaveBatch(ctx, s)
		case fail.Class == llm.InvalidRequest, fail.Class == llm.TooLarge, fail.Class == llm.ModelNotFound, fail.Class == llm.Unsupported:
			return e.split(ctx, s, ok, fail.Message)
		case fail.Class == llm.NotFound, fail.Class == llm.Forbidden:
			// There are no batches at this address, or not for us.
			return e.giveBack(ctx, s, "the provider takes no batch: "+fail.Message, PathRealTime)
		}
		e.log().Warn("batch engine: a batch may have been posted", "intent", s.ID, "error", err)
		return nil
	})
}

// line writes an item for the provider. The target is planned anew: what it can
// do is not stored.
func (e *Engine) line(ctx context.Context, p Provider, r *Row) (llm.BatchLine, *llm.Error) {
	t, fail := e.target(ctx, r)
	if fail != nil {
		return llm.BatchLine{}, fail
	}
	return p.Line(&t, &r.Item)
}

func (e *Engine) target(ctx context.Context, r *Row) (route.Target, *llm.Error) {
	way, fail := e.Plan(ctx, &Job{ID: r.Job, Deadline: r.Deadline}, &r.Item)
	if fail == nil && (way.Target.Provider != r.Target.Provider || way.Target.Model != r.Target.Model) {
		return r.Target, nil // the route has changed since; the batch is where it is
	}
	return way.Target, fail
}

func ref(id SentID) string { return "headrace-" + strconv.FormatInt(int64(id), 10) }

// backOff is how long to wait after n looks: 5 s, 10, 20 and then half a minute.
func backOff(n int) time.Duration { return min(5*time.Second<<min(max(n-1, 0), 3), 30*time.Second) }

// firstLook is when a new batch is looked at: a short one may be over.
const firstLook = 2 * time.Second

// started notes that a batch is at the provider.
func (e *Engine) started(ctx context.Context, s *Sent, st llm.BatchStatus) error {
	s.Upstream, s.Phase, s.Polls, s.Due = st.ID, PhaseRunning, 0, time.Now().Add(firstLook)
	return e.Store.SaveBatch(ctx, s)
}

// split halves a batch that was refused whole; what is refused alone goes in
// real time, where it gets an error of its own.
func (e *Engine) split(ctx context.Context, s *Sent, rows []Row, why string) error {
	if len(rows) <= 1 {
		return e.giveBack(ctx, s, "the provider refused it in a batch: "+why, PathRealTime)
	}
	half := len(rows) / 2
	return e.part(ctx, s, [][]Row{rows[:half], rows[half:]}, "its batch was refused whole and is split")
}

// byPath parts rows by the endpoint of their lines.
func byPath(lines []llm.BatchLine, rows []Row) [][]Row {
	groups := map[string][]Row{}
	for i := range lines {
		groups[lines[i].Path] = append(groups[lines[i].Path], rows[i])
	}
	parts := make([][]Row, 0, len(groups))
	for _, path := range slices.Sorted(maps.Keys(groups)) {
		parts = append(parts, groups[path])
	}
	return parts
}

// part makes an intent of each part of a batch that is nowhere.
func (e *Engine) part(ctx context.Context, s *Sent, parts [][]Row, why string) error {
	return e.partAt(ctx, s, s.Provider, parts, why, time.Now())
}

// partAt is part for an account, and a time.
func (e *Engine) partAt(ctx context.Context, s *Sent, account string, parts [][]Row, why string, due time.Time) error {
	for _, part := range parts {
		for _, from := range []State{Submitted, Running} {
			if err := e.move(ctx, part, func(r *Row) bool { return r.State == from }, Move{From: from, To: Coalescing, Why: why}); err != nil {
				return err
			}
		}
		if err := e.intend(ctx, account, s.Model, part, due); err != nil {
			return err
		}
	}
	s.Phase, s.Ended = PhaseOver, time.Now()
	return e.Store.SaveBatch(ctx, s)
}

// reconcile looks for batches that may have arrived. One that is not found stays
// held until the deadline rule takes its items.
func (e *Engine) reconcile(ctx context.Context, _ []Job) error {
	return e.some(ctx, PhaseHeld, func(ctx context.Context, s *Sent, p Provider) error {
		s.Polls++
		s.Due = time.Now().Add(backOff(s.Polls))
		rows, err := e.Store.SentItems(ctx, s.ID)
		if err == nil && len(rows) == 0 {
			s.Phase, s.Ended = PhaseOver, time.Now()
			return e.Store.SaveBatch(ctx, s)
		}
		var found *llm.BatchStatus
		for st, listErr := range p.List(ctx, s.Created.Add(-time.Minute)) {
			if err = listErr; err != nil {
				break
			}
			var is bool
			if is, err = e.matches(ctx, s, p, &st, rows); is || err != nil {
				found = &st
				break
			}
		}
		if err != nil {
			return errors.Join(err, e.Store.SaveBatch(ctx, s))
		}
		if found == nil {
			return e.Store.SaveBatch(ctx, s)
		}
		return e.started(ctx, s, *found)
	})
}

// matches says whether a listed batch is the one of an intent: by the name that
// we gave it, or else by the ids in its results.
func (e *Engine) matches(ctx context.Context, s *Sent, p Provider, st *llm.BatchStatus, rows []Row) (bool, error) {
	if p.Terms().Refs {
		return st.Ref == ref(s.ID), nil
	}
	if st.Phase != llm.BatchEnded || (!st.Created.IsZero() && st.Created.Before(s.Created.Add(-time.Minute))) {
		return false, nil
	}
	if known, err := e.Store.KnownBatch(ctx, s.Provider, st.ID); known || err != nil {
		return false, err
	}
	for r, err := range p.Results(ctx, st.ID) {
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(rows, func(row Row) bool { return strconv.FormatInt(int64(row.ID), 10) == r.ID }), nil
	}
	return false, nil
}

// poll looks at batches that run or are being canceled.
func (e *Engine) poll(ctx context.Context, _ []Job) error {
	look := func(ctx context.Context, s *Sent, p Provider) error {
		s.Polls++
		s.Due = time.Now().Add(backOff(s.Polls))
		if s.Phase == PhaseCanceling {
			s.Due = time.Now().Add(backOff(1))
		}
		st, err := p.Get(ctx, s.Upstream)
		if err != nil {
			return errors.Join(err, e.Store.SaveBatch(ctx, s))
		}
		switch st.Phase {
		case llm.BatchFailed:
			rows, err := e.Store.SentItems(ctx, s.ID)
			if err != nil {
				return err
			}
			return e.split(ctx, s, rows, st.Why)
		case llm.BatchEnded:
			// Its items are ended before they are merged.
			s.Ended = cmpTime(s.Ended, time.Now())
			if err := e.Store.SaveBatch(ctx, s); err != nil {
				return err
			}
			return e.merge(ctx, s, p)
		}
		return e.Store.SaveBatch(ctx, s)
	}
	return errors.Join(e.some(ctx, PhaseRunning, look), e.some(ctx, PhaseCanceling, look))
}

// final are the classes of errors that another try does not mend.
var final = map[llm.Class]bool{llm.InvalidRequest: true, llm.ContextOverflow: true, llm.ContentRefused: true, llm.TooLarge: true,
	llm.Unsupported: true, llm.ModelNotFound: true, llm.NotFound: true, llm.Forbidden: true, llm.Unauthenticated: true}

// merge gives each item its result. It may be done again from the start: what
// has its answer keeps it.
func (e *Engine) merge(ctx context.Context, s *Sent, p Provider) error {
	rows, err := e.Store.SentItems(ctx, s.ID)
	if err != nil {
		return err
	}
	byID, models := make(map[ItemID]*Row, len(rows)), map[string]bool{}
	for i := range rows {
		byID[rows[i].ID], models[rows[i].Target.Model] = &rows[i], true
	}
	if s.Canceled.IsZero() {
		for model := range models {
			if err := e.took(ctx, s, model); err != nil {
				return err
			}
		}
	}
	seen := map[ItemID]bool{}
	for res, err := range p.Results(ctx, s.Upstream) {
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(res.ID, 10, 64)
		id := ItemID(n)
		if err != nil || seen[id] {
			e.Dropped.Add(1)
			continue
		}
		seen[id] = true
		r := byID[id]
		if r == nil {
			// It has left the batch, or was never in it.
			late, ok, err := e.Store.BatchItem(ctx, id)
			if err != nil {
				return err
			}
			if !ok || late.Batch != s.ID || late.Path != PathRealTime || res.Outcome != llm.BatchSucceeded {
				continue
			}
			r = &late
		}
		if err := e.result(ctx, r, p, &res); err != nil {
			return err
		}
	}
	return e.giveBack(ctx, s, "the batch ended without its result", "")
}

func (e *Engine) result(ctx context.Context, r *Row, p Provider, res *llm.BatchResult) error {
	fail := res.Err
	switch res.Outcome {
	case llm.BatchSucceeded:
		if err := open(e.Seal, r); err != nil {
			return err
		}
		t, _ := e.target(ctx, r)
		a, bad := p.Answer(&t, &r.Item, res)
		if bad == nil {
			return e.finish(ctx, r, Succeeded, a, "answered in a batch")
		}
		fail = bad
	case llm.BatchErrored:
		if fail != nil && final[fail.Class] {
			return e.finish(ctx, r, Failed, e.refusal(r, &r.Target, fail), "refused in a batch")
		}
	}
	why := "its result in the batch was " + string(res.Outcome)
	if fail != nil {
		why += ": " + string(fail.Class)
	}
	for _, from := range within {
		if err := e.move(ctx, []Row{*r}, func(r *Row) bool { return r.State == from }, Move{From: from, To: Retrying, Why: why, Tried: true}); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) refusal(r *Row, t *route.Target, fail *llm.Error) Answer {
	if e.Refused == nil {
		return Answer{Status: cmp.Or(fail.Status, 400), Err: fail}
	}
	return e.Refused(&r.Item, t, fail)
}

// finish answers an item, unless it has its answer.
func (e *Engine) finish(ctx context.Context, r *Row, to State, a Answer, why string) error {
	raw, err := appendAnswer(a)
	if err != nil {
		return err
	}
	u := a.Usage
	first, err := e.Store.FinishBatchItem(ctx, Final{r.ID, to, why, e.Seal.Close(label(r.ID)+" answer", raw), a.Cost, a.RealTime,
		Tokens{u.Prompt(), u.CacheRead, u.Output, u.Reasoning}}, time.Now())
	if err == nil && !first {
		e.Dropped.Add(1)
	}
	e.Bells.news().Ring()
	return err
}

// close notes which jobs are over, and deletes what is kept long enough.
func (e *Engine) close(ctx context.Context, _ []Job) error {
	now := time.Now()
	ids, err := e.Store.EndBatchJobs(ctx, now)
	for _, id := range ids {
		if e.Ended != nil {
			e.Ended(ctx, id)
		}
		e.Bells.news().Ring()
	}
	_, sweep := e.Store.SweepBatches(ctx, now.Add(-cmp.Or(e.Keep, 29*24*time.Hour)), now.Add(-24*time.Hour), now)
	return errors.Join(err, sweep)
}

// callSome begins calls in real time for as many items as there are slots, the
// earliest deadline first, and says how many.
func (e *Engine) callSome(ctx context.Context, wg *sync.WaitGroup, slots chan struct{}) (int, error) {
	free := cap(slots) - len(slots)
	if free == 0 {
		return 0, nil
	}
	now, call := time.Now(), cmp.Or(e.Call, 5*time.Minute)
	rows, err := e.Store.ClaimBatchItems(ctx, RealTime, Claim{e.Worker, now, now.Add(call + 10*time.Second), free})
	if err != nil {
		return 0, err
	}
	for i := range rows {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() {
				<-slots
				e.Bells.calls.Ring() // for the next one
			}()
			if err := e.call(ctx, rows[i].ID, call); err != nil && ctx.Err() == nil {
				e.log().Error("batch engine: a call", "item", rows[i].ID, "error", err)
			}
		})
	}
	return len(rows), nil
}

func (e *Engine) call(ctx context.Context, id ItemID, limit time.Duration) error {
	r, ok, err := e.Store.BatchItem(ctx, id)
	if err != nil || !ok || r.State != RealTime {
		return err
	}
	j, ok, err := e.Store.BatchJobOf(ctx, r.Job)
	if err != nil || !ok {
		return err
	}
	if err := open(e.Seal, &r); err != nil {
		return err
	}
	run, cancel := context.WithTimeout(ctx, limit)
	begin := time.Now()
	a := e.Runner.Run(run, &j, &r.Item)
	cancel()
	e.Pace.add(time.Now(), time.Since(begin), a.Err == nil || final[a.Err.Class])
	// What was paid for is written even when the engine stops.
	done := context.WithoutCancel(ctx)
	switch {
	case a.Err == nil:
		defer e.Bells.work().Ring() // it may be the last one of its job
		return e.finish(done, &r, Succeeded, a, "answered in real time")
	case final[a.Err.Class] || r.Tries+1 >= tries:
		defer e.Bells.work().Ring()
		return e.finish(done, &r, Failed, a, "failed in real time: "+string(a.Err.Class))
	}
	due := time.Now().Add(max(a.Err.RetryAfter, time.Second<<min(r.Tries, 5)))
	err = e.moveItems(done, Move{Items: []ItemID{id}, From: RealTime, To: Retrying, Path: PathRealTime,
		Why: "failed in real time: " + string(a.Err.Class), Tried: true, Due: due})
	e.Bells.work().Ring() // so that the next round is not later than that
	return err
}
