package reliability_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/health"
	"headrace/internal/ledger"
	"headrace/internal/limit"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

var (
	oneSeed = flag.Uint64("seed", 0, "play only this seed of the simulation, and tell what happens")
	seeds   = flag.Int("seeds", 1000, "how many seeds the simulation plays")
)

// TestSimulation plays relay, limits, breakers and ledger together in virtual
// time against providers, clients and a store that fail as a seed says:
//
//	go test ./test/reliability -run TestSimulation -seed 17
//
// plays one of them again.
func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		w := simulate(t, *oneSeed)
		t.Logf("seed %d: %s", *oneSeed, w)
		return
	}
	began := time.Now()
	var sum tally
	for seed := range uint64(*seeds) {
		w := simulate(t, seed+1)
		sum.requests += w.requests
		sum.attempts += w.attempts
		sum.failed += w.failed
		sum.panics += w.panics
		sum.virtual += w.virtual
		if t.Failed() {
			t.Fatalf("seed %d fails; play it again with -run TestSimulation -seed %d", seed+1, seed+1)
		}
	}
	if sum.failed == 0 || sum.panics == 0 || sum.failed == sum.requests {
		t.Errorf("the seeds do not fail enough, or too much: %s", &sum)
	}
	record(t, "Simulation", "1,000 seeds, 0 exceptions", !t.Failed(), "%d seeds in %v: %s; 0 exceptions", *seeds, time.Since(began).Round(time.Second), &sum)
}

// tally is what happened.
type tally struct {
	requests, attempts, failed, panics int
	virtual                            time.Duration
}

func (w *tally) String() string {
	return fmt.Sprintf("%d requests, %d attempts, %d requests failed, %d panics, %v of virtual time", w.requests, w.attempts, w.failed, w.panics, w.virtual.Round(time.Minute))
}

// world is one simulated gateway with what is around it.
type world struct {
	t     *testing.T
	seed  uint64
	start time.Time
	// dead says of each provider when it fails, and as what.
	dead map[string]outage

	mu       sync.Mutex // guards all below
	tries    map[int][]try
	open     int // answers that were begun and not closed
	sending  int
	panicked int
}

type outage struct {
	from, until time.Duration
	class       llm.Class
}

// try is one attempt as the provider knows it.
type try struct {
	at   time.Time
	text string // all that it would have said
}

// draw is a source of chance of its own for each thing, so that the order in
// which goroutines run changes nothing.
func (w *world) draw(what ...int) *rand.Rand {
	n := uint64(0)
	for _, x := range what {
		n = n*1_000_003 + uint64(x) + 1
	}
	return rand.New(rand.NewPCG(w.seed, n))
}

type number struct{}

// Send is a provider.
func (w *world) Send(ctx context.Context, t *route.Target, d *llm.Draft) (*llm.Answer, error) {
	request := ctx.Value(number{}).(int)
	w.mu.Lock()
	n := len(w.tries[request])
	text := ""
	r := w.draw(request, n, 7)
	words := 1 + r.IntN(6)
	for k := range words {
		text += fmt.Sprintf("%d.%d.%d ", request, n, k)
	}
	w.tries[request] = append(w.tries[request], try{time.Now(), text})
	w.sending++
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.sending--
		w.mu.Unlock()
	}()
	wait := time.Duration(r.ExpFloat64() * float64(800*time.Millisecond))
	switch x := r.IntN(100); {
	case x < 4: // silence
		<-ctx.Done()
		return nil, context.Cause(ctx)
	case x < 5:
		w.mu.Lock()
		w.panicked++
		w.mu.Unlock()
		panic("the provider's codec")
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if o := w.dead[t.Provider]; time.Since(w.start) >= o.from && time.Since(w.start) < o.until {
		return nil, &llm.Error{Class: o.class, Status: 500, Message: "an outage"}
	}
	switch x := r.IntN(100); {
	case x < 12:
		classes := llm.Classes()
		e := &llm.Error{Class: classes[r.IntN(13)], Status: 400 + r.IntN(130), Message: "by chance"}
		if e.Class == llm.ClientGone {
			e.Class = llm.ServerError
		}
		if r.IntN(3) == 0 {
			e.RetryAfter = time.Duration(r.IntN(20_000)) * time.Millisecond
		}
		return nil, e
	case x < 15:
		return nil, errors.New("connection reset by peer")
	}
	a := &llm.Answer{Status: 200, Native: r.IntN(2) == 0}
	use := llm.Usage{Input: 10, Output: int64(words), Source: llm.UsageProvider}
	if !d.Head.Stream {
		a.Body, a.TextBytes = []byte(text), len(text)
		a.Glance.Finish.Reason, a.Glance.Usage = llm.FinishStop, use
		return a, nil
	}
	s := &script{w: w, ctx: ctx, r: r}
	s.say(llm.Event{Kind: llm.EventStart}, "")
	s.say(llm.Event{Kind: llm.EventBlockStart}, "")
	for word := range strings.SplitAfterSeq(text, " ") {
		if word != "" {
			s.say(llm.Event{Kind: llm.EventDelta}, word)
		}
	}
	s.say(llm.Event{Kind: llm.EventUsage, Usage: use}, "")
	s.say(llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}}, "")
	switch at := r.IntN(len(s.steps)); r.IntN(16) {
	case 0: // cut
		s.steps = append(s.steps[:at], line1{err: io.ErrUnexpectedEOF})
	case 1: // ends early
		s.steps = s.steps[:at]
	case 2: // says an error
		s.steps = append(s.steps[:at], line1{piece: llm.Piece{Raw: []byte("!"), Events: []llm.Event{{Kind: llm.EventError, Err: &llm.Error{Class: llm.Overloaded, Message: "in the stream"}}}}})
	case 3: // is silent
		s.steps = append(s.steps[:at], line1{wait: time.Hour})
	case 4: // is silent for long, and goes on
		s.steps[at].wait = time.Duration(r.IntN(30)) * time.Second
	case 5:
		if r.IntN(4) == 0 {
			s.steps[at].panics = true
		}
	}
	w.mu.Lock()
	w.open++
	w.mu.Unlock()
	a.Stream = s
	return a, nil
}

// script is a streamed answer.
type script struct {
	w     *world
	ctx   context.Context
	r     *rand.Rand
	steps []line1
	shut  bool
}

type line1 struct {
	piece  llm.Piece
	wait   time.Duration
	err    error
	panics bool
}

func (s *script) say(e llm.Event, text string) {
	s.steps = append(s.steps, line1{wait: time.Duration(s.r.ExpFloat64() * float64(300*time.Millisecond)), piece: llm.Piece{Raw: []byte(text), Events: []llm.Event{e}, TextBytes: len(text)}})
}

func (s *script) Next() (llm.Piece, error) {
	if len(s.steps) == 0 {
		return llm.Piece{}, io.EOF
	}
	l := s.steps[0]
	s.steps = s.steps[1:]
	select {
	case <-time.After(l.wait):
	case <-s.ctx.Done():
		return llm.Piece{}, s.ctx.Err()
	}
	if l.panics {
		s.w.mu.Lock()
		s.w.panicked++
		s.w.mu.Unlock()
		panic("the stream's codec")
	}
	return l.piece, l.err
}

func (s *script) Buffered() bool { return s.r.IntN(2) == 0 && len(s.steps) > 0 && s.steps[0].wait == 0 }

func (s *script) Close() error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if !s.shut {
		s.shut = true
		s.w.open--
	}
	return nil
}

// caller is a client. What it is given is written down.
type caller struct {
	ctx   context.Context
	text  string
	whole int
	begun int
	ends  int // finishes and errors
	wrong string
}

func (c *caller) gone() error { return c.ctx.Err() }

func (c *caller) Whole(a *llm.Answer, m relay.Meta) error {
	if c.gone() != nil {
		return c.gone()
	}
	c.whole++
	c.text += string(a.Body)
	return nil
}

func (c *caller) Begin(a *llm.Answer, m relay.Meta) error {
	c.begun++
	return c.gone()
}

func (c *caller) Piece(p llm.Piece) error {
	if c.begun != 1 {
		c.wrong = "a piece before the answer has begun"
	}
	if c.gone() != nil {
		return c.gone()
	}
	if c.ends > 0 && p.TextBytes > 0 {
		c.wrong = "text after the end"
	}
	if p.TextBytes > 0 {
		c.text += string(p.Raw)
	}
	for i := range p.Events {
		if p.Events[i].Terminal() {
			c.ends++
		}
	}
	return nil
}

func (c *caller) Flush() error { return c.gone() }
func (c *caller) Ping() error  { return c.gone() }

func (c *caller) Fail(e *llm.Error, m relay.Meta) error {
	if c.gone() != nil {
		return c.gone()
	}
	c.ends++
	return nil
}

// room hands out places at the providers' credentials, as the gateway does.
type room struct{ pools map[string]*limit.Pool }

type place struct{ limit.Place }

func (p place) Done(a *relay.Attempt, failed *llm.Error) {
	if failed == nil && a.Class != "" {
		failed = &llm.Error{Class: a.Class}
	}
	p.Place.Done(limit.Result{Sent: a.Sent, Usage: a.Usage, Err: failed}, time.Now())
}

func (r room) Reserve(t *route.Target, d *llm.Draft, tried uint64, most time.Duration) (relay.Hold, time.Duration, *llm.Error) {
	p, wait, full := r.pools[t.Provider].Reserve(&limit.Ask{Op: d.Op, Class: t.Model, Input: 10, MaxOutput: 10, Tried: tried, Most: most}, time.Now())
	if full != nil {
		return nil, 0, full
	}
	return place{p}, wait, nil
}

// guard asks the breakers.
type guard struct{ table *health.Table }

type permit struct{ health.Permit }

func (p permit) Done(a *relay.Attempt) {
	p.Permit.Done(health.Result{Class: a.Class, Total: a.Total, FirstByte: a.FirstByte, Output: a.Usage.Output})
}

func (g guard) Allow(t *route.Target, repeat bool) (relay.Permit, time.Duration) {
	p, wait, ok := g.table.Allow(health.Target{Provider: t.Provider, Model: t.Model}, repeat)
	if !ok {
		return nil, wait
	}
	return permit{p}, 0
}

// shelf is a store of the ledger that fails now and then, also after it has
// written.
type shelf struct {
	ledger.Store // none: nothing else is asked of it
	mu           sync.Mutex
	r            *rand.Rand
	good         bool
	last         int64
	rows         map[ledger.ID]int
}

func (s *shelf) Begin(context.Context, ledger.Run) ([]ledger.Run, error) { return nil, nil }
func (s *shelf) End(context.Context, ledger.ID, time.Time) error         { return nil }

func (s *shelf) WriteBatch(ctx context.Context, b *ledger.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.r.IntN(10)
	if !s.good && x < 2 {
		return errors.New("the disk is full")
	}
	if b.N > s.last {
		s.last = b.N
		for i := range b.Entries {
			s.rows[b.Entries[i].ID]++
		}
	}
	if !s.good && x < 4 {
		return errors.New("the answer was lost")
	}
	return nil
}

const most = 6 // parallel requests at one credential

// simulate plays one seed.
func simulate(t *testing.T, seed uint64) *tally {
	sum := &tally{}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, seed: seed, start: time.Now(), dead: map[string]outage{}, tries: map[int][]try{}}
		chance := w.draw(0)
		names := []string{"one", "two", "three"}
		pools := map[string]*limit.Pool{}
		for i, name := range names {
			from := time.Duration(chance.IntN(60)) * time.Second
			w.dead[name] = outage{from, from + time.Duration(chance.IntN(60))*time.Second, []llm.Class{llm.ServerError, llm.Overloaded, llm.Timeout, llm.RateLimited}[chance.IntN(4)]}
			o := limit.PoolOptions{Provider: name}
			for k := range 1 + i {
				o.Credentials = append(o.Credentials, limit.Credential{Name: fmt.Sprint(k), Rates: limit.Rates{Parallel: most, RequestsPerMinute: 60, TokensPerMinute: 6000}})
			}
			pools[name] = limit.NewPool(o)
		}
		breakers := health.New(health.Options{})
		limits := &limit.Table{}
		keep := limit.Limits{RequestsPerMinute: 100, TokensPerMinute: 2000, Parallel: 8}
		store := &shelf{r: w.draw(1), rows: map[ledger.ID]int{}}
		book := ledger.New(store, ledger.Options{})
		if _, err := book.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		writing, stop := context.WithCancel(t.Context())
		var writer sync.WaitGroup
		writer.Go(func() {
			if err := book.Run(writing); err != nil {
				t.Errorf("seed %d: the ledger ends with %v", seed, err)
			}
		})
		r := relay.New(relay.Options{Sender: w, Breaker: guard{breakers}, Reserver: room{pools},
			Limits: relay.Limits{FirstByte: 10 * time.Second, FirstContent: 12 * time.Second, Idle: 20 * time.Second, Total: 90 * time.Second}})

		var all sync.WaitGroup
		var mu sync.Mutex // guards ids and sum
		ids := map[ledger.ID]int{}
		for n := range 40 {
			all.Go(func() {
				c := w.draw(n, 2)
				time.Sleep(time.Duration(c.IntN(90_000)) * time.Millisecond)
				key := []string{"a", "b"}[c.IntN(2)]
				entry := ledger.Entry{ID: book.NewID(time.Now()), At: time.Now(), Op: llm.OpChat, KeyID: key}
				mu.Lock()
				ids[entry.ID] = n
				sum.requests++
				mu.Unlock()
				var hold limit.Reservation
				var out relay.Outcome
				defer func() { // as the gateway ends a request, also one that panics
					recovered := recover()
					hold.Settle(entry.Usage.Total(), time.Now())
					hold.Release()
					if recovered != nil {
						entry.Class = llm.Unavailable
					}
					book.Note(entry)
					mu.Lock()
					defer mu.Unlock()
					if entry.Class != "" {
						sum.failed++
					}
					if s := fmt.Sprint(recovered); recovered != nil && !strings.HasSuffix(s, "codec") {
						t.Errorf("seed %d: request %d panics with %v\n%s", seed, n, recovered, debug.Stack())
					}
				}()
				var refused *llm.Error
				if hold, refused = limits.All([]limit.Claim{{ID: key, Who: "this key", Limits: keep}, {ID: "team", Who: "the team", Limits: limit.Limits{Parallel: 12}}}, 30, time.Now()); refused != nil {
					entry.Class = refused.Class
					return
				}
				ctx, leave := context.WithCancel(context.WithValue(context.Background(), number{}, n))
				defer leave()
				var left time.Time
				if c.IntN(4) == 0 {
					at := time.Duration(c.IntN(6000)) * time.Millisecond
					left = time.Now().Add(at)
					defer time.AfterFunc(at, leave).Stop()
				}
				if c.IntN(8) == 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, time.Duration(1+c.IntN(30))*time.Second)
					defer cancel()
				}
				plan := &route.Plan{Asked: "smart"}
				for _, i := range c.Perm(3)[:1+c.IntN(3)] {
					plan.Targets = append(plan.Targets, route.Target{Provider: names[i], Model: "m", Why: "by chance"})
				}
				reply := &caller{ctx: ctx}
				draft := &llm.Draft{Op: llm.OpChat, Dialect: llm.OpenAI, Head: llm.Head{Model: "smart", Stream: c.IntN(3) > 0}}
				out = *r.Run(ctx, plan, draft, reply)
				entry.Class, entry.Committed = out.Class, out.Committed
				for i := range out.Attempts {
					a := &out.Attempts[i]
					entry.Usage.Output += a.Usage.Output
					entry.Attempts = append(entry.Attempts, ledger.Attempt{N: a.N, Provider: a.Provider, Model: a.Model, Class: a.Class, Usage: a.Usage, Start: a.Start})
				}
				w.judge(n, plan, draft, reply, &out, left)
			})
		}
		all.Wait()
		synctest.Wait()
		// All is over: nothing is held any more.
		w.mu.Lock()
		if w.open != 0 || w.sending != 0 {
			t.Errorf("seed %d: %d answers are open, %d requests are being sent", seed, w.open, w.sending)
		}
		for _, list := range w.tries {
			sum.attempts += len(list)
		}
		sum.panics = w.panicked
		w.mu.Unlock()
		for _, id := range []string{"a", "b", "team"} {
			if n := limits.Parallel(id); n != 0 {
				t.Errorf("seed %d: %s has %d requests running", seed, id, n)
			}
		}
		for _, reading := range breakers.ReadAll(15 * time.Minute) {
			if reading.Running != 0 {
				t.Errorf("seed %d: %d attempts at %s are running", seed, reading.Running, reading.Provider)
			}
		}
		w.mu.Lock()
		store.mu.Lock()
		store.good = true
		store.mu.Unlock()
		w.mu.Unlock()
		time.Sleep(20 * time.Minute) // until every pause and every bucket is over
		for name, pool := range pools {
			w.vacant(name, pool)
		}
		stop()
		writer.Wait()
		for id, n := range ids {
			if store.rows[id] != 1 {
				t.Errorf("seed %d: request %d has %d rows", seed, n, store.rows[id])
			}
		}
		if s := book.Stats(); len(store.rows) != len(ids) || s.Lost != 0 || s.Written != int64(len(ids)) {
			t.Errorf("seed %d: %d rows of %d requests; %+v", seed, len(store.rows), len(ids), s)
		}
		sum.virtual = time.Since(w.start)
	})
	return sum
}

// vacant checks that all places of a pool are free: so many requests fit and no
// more.
func (w *world) vacant(name string, pool *limit.Pool) {
	w.t.Helper()
	ask := func() *limit.Ask { return &limit.Ask{Op: llm.OpChat, Class: "m", Input: 10, MaxOutput: 10} }
	for range pool.Len() { // what was set aside comes back with a success
		if p, _, full := pool.Reserve(ask(), time.Now()); full == nil {
			p.Done(limit.Result{Sent: true}, time.Now())
		}
	}
	time.Sleep(5 * time.Minute)
	var places []limit.Place
	for {
		p, _, full := pool.Reserve(ask(), time.Now())
		if full != nil {
			break
		}
		places = append(places, p)
	}
	if len(places) != most*pool.Len() {
		w.t.Errorf("seed %d: %d places of %s are free, want %d", w.seed, len(places), name, most*pool.Len())
	}
	for _, p := range places {
		p.Done(limit.Result{}, time.Now())
	}
}

// judge checks one request when it has ended.
func (w *world) judge(n int, plan *route.Plan, d *llm.Draft, c *caller, out *relay.Outcome, left time.Time) {
	w.mu.Lock()
	tries := w.tries[n]
	w.mu.Unlock()
	say := func(format string, args ...any) {
		w.t.Errorf("seed %d, request %d: %s\n%d targets, stream %t, class %q, text %q, tries %+v", w.seed, n, fmt.Sprintf(format, args...), len(plan.Targets), d.Head.Stream, out.Class, c.text, tries)
	}
	if c.wrong != "" {
		say("%s", c.wrong)
	}
	if c.begun > 1 || c.whole > 1 || c.begun+c.whole > 1 {
		say("%d streams and %d whole answers were begun", c.begun, c.whole)
	}
	gone := c.ctx.Err() != nil
	switch {
	case out.OK && c.whole+c.ends != 1:
		say("%d ends of a good answer", c.whole+c.ends)
	case !out.OK && !gone && c.ends != 1:
		say("%d ends of a bad answer", c.ends)
	case c.ends > 1:
		say("%d ends", c.ends)
	}
	if out.OK != (out.Class == "") {
		say("OK is %t", out.OK)
	}
	if out.Class == llm.ClientGone && !gone {
		say("the client has not left")
	}
	if c.text != "" {
		of := 0
		for _, a := range tries {
			if strings.HasPrefix(a.text, c.text) {
				of++
			}
		}
		if of != 1 || !strings.HasPrefix(tries[len(tries)-1].text, c.text) {
			say("the text is not that of the last try alone")
		}
	}
	if out.OK && c.text != tries[len(tries)-1].text {
		say("the answer is good and not whole")
	}
	if len(tries) > max(3, len(plan.Targets)) {
		say("%d tries", len(tries))
	}
	for _, a := range tries {
		if !left.IsZero() && a.at.After(left) {
			say("a try %v after the client has left", a.at.Sub(left))
		}
	}
	sent := 0
	for i := range out.Attempts {
		if out.Attempts[i].Sent {
			sent++
		}
	}
	if sent > len(tries) {
		say("%d attempts are told", sent)
	}
}
