// Package limit holds what may be used in a time: requests, tokens and
// parallel requests, each reserved before the work and settled after it. A
// Table holds callers to the limits that we set them; a Pool spreads requests
// over the credentials that a provider holds to its own. Both are in memory and
// per process.
//
// Requests and tokens are GCRA buckets (the generic cell rate algorithm; ITU-T
// I.371) that hold one period's worth: a caller who was idle may use the whole
// of it at once, and over any span of time t at most limit * (1 + t/period) is
// granted. A bucket's level is kept in nanoseconds of that period, so a limit
// that changes keeps its meaning.
package limit

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"headrace/internal/llm"
)

// Limits are what one caller may use. Zero means no limit. The fields are
// those of access.Limits, so that one converts to the other.
type Limits struct {
	RequestsPerMinute, TokensPerMinute int64
	Parallel                           int
}

// Claim is one of the limits that a request must fit.
type Claim struct {
	// ID names what is used: a key, a team. Claims of one request differ in it.
	ID string
	// Who says it in an error, such as "this key".
	Who    string
	Limits Limits
}

// shards spreads callers over locks; sweepEvery is how long an idle caller is
// remembered at most, give or take one reservation in its shard.
const (
	shards     = 64
	sweepEvery = time.Minute
)

// Table holds the buckets of all callers. The zero value is ready. It is safe
// for concurrent use; callers contend only within a shard, and no lock is held
// over anything but arithmetic. Callers that are idle and full again are
// forgotten, which changes no answer.
type Table struct {
	once   sync.Once
	seed   maphash.Seed
	epoch  time.Time
	shards [shards]shard
}

type shard struct {
	mu      sync.Mutex // guards all below and the callers in it
	callers map[string]*caller
	swept   int64
}

// caller is one claim's use. Times are nanoseconds since the table's epoch.
type caller struct {
	shard *shard
	epoch time.Time
	// last is the latest time seen here. Two goroutines may read the clock in
	// one order and come here in the other; time does not run backwards.
	last             int64
	requests, tokens bucket
	parallel         int
}

// hold is what one reservation holds of one claim.
type hold struct {
	caller   *caller
	tokens   charge
	released bool
	next     *hold // of the request's next claim
}

// Reservation is what Reserve granted. The zero value reserves nothing. Its
// methods are safe for concurrent use and each works once.
type Reservation struct{ hold *hold }

// Reserve takes room for one request under one claim; see All.
func (t *Table) Reserve(keyID string, l Limits, tokens int64, now time.Time) (Reservation, *llm.Error) {
	return t.All([]Claim{{ID: keyID, Who: "this key", Limits: l}}, tokens, now)
}

// All takes one request, tokens (an estimate) and one parallel place under
// every claim, or nothing at all. A refusal is an *llm.Error of class
// RateLimited; its RetryAfter is exactly how long the buckets need if nobody
// else takes from them, and 0 when time alone does not help: all parallel
// places are taken, or tokens are more than a minute's worth. now should be
// time.Now(): its monotonic part keeps a step of the wall clock from granting
// anything. Claims without limits are passed over.
//
// Whoever gets a Reservation calls Settle when the tokens are known and
// Release when the work ends, in this order.
func (t *Table) All(claims []Claim, tokens int64, now time.Time) (Reservation, *llm.Error) {
	t.once.Do(func() { t.seed, t.epoch = maphash.MakeSeed(), now })
	var room [8]int
	locked := room[:0]
	for i := range claims {
		if claims[i].Limits != (Limits{}) {
			locked = append(locked, t.shardOf(claims[i].ID))
		}
	}
	if len(locked) == 0 {
		return Reservation{}, nil
	}
	slices.Sort(locked) // always in this order, so that nobody waits in a circle
	locked = slices.Compact(locked)
	for _, i := range locked {
		t.shards[i].mu.Lock()
		t.shards[i].sweep(int64(now.Sub(t.epoch)))
	}
	defer func() {
		for _, i := range locked {
			t.shards[i].mu.Unlock()
		}
	}()
	tokens = max(tokens, 0)
	var refusal *llm.Error
	for i := range claims {
		if err := t.refuse(&claims[i], tokens, now); err != nil && longer(err, refusal) {
			refusal = err
		}
	}
	if refusal != nil {
		return Reservation{}, refusal
	}
	var first *hold
	for i := range claims {
		if claims[i].Limits != (Limits{}) {
			first = t.take(&claims[i], tokens, now, first)
		}
	}
	return Reservation{first}, nil
}

// longer reports whether a refusal says more than another: one that time does
// not end says most.
func longer(err, than *llm.Error) bool {
	return than == nil || than.RetryAfter > 0 && (err.RetryAfter == 0 || err.RetryAfter > than.RetryAfter)
}

func (t *Table) shardOf(id string) int { return int(maphash.String(t.seed, id) % shards) }

// refuse says why a claim does not fit, or nil. Its shard is locked.
func (t *Table) refuse(claim *Claim, tokens int64, now time.Time) *llm.Error {
	l := &claim.Limits
	c := t.shards[t.shardOf(claim.ID)].callers[claim.ID]
	if c == nil {
		c = &caller{epoch: t.epoch}
	}
	at := c.time(now)
	if l.Parallel > 0 && c.parallel >= l.Parallel {
		return llm.Errorf(llm.RateLimited, "%d requests of %s run at once, which is its limit", l.Parallel, claim.Who)
	}
	tokenCost := share(tokens, l.TokensPerMinute, minute)
	if l.TokensPerMinute > 0 && tokenCost > minute {
		return llm.Errorf(llm.RateLimited, "the request needs about %d tokens and %s has %d a minute: it can never fit",
			tokens, claim.Who, l.TokensPerMinute)
	}
	var wait int64
	var what string
	var limit int64
	if over := c.requests.wouldWait(share(1, l.RequestsPerMinute, minute), minute, at); l.RequestsPerMinute > 0 && over > 0 {
		wait, what, limit = over, "requests", l.RequestsPerMinute
	}
	if over := c.tokens.wouldWait(tokenCost, minute, at); l.TokensPerMinute > 0 && over > wait {
		wait, what, limit = over, "tokens", l.TokensPerMinute
	}
	if wait <= 0 {
		return nil
	}
	err := llm.Errorf(llm.RateLimited, "%s has %d %s a minute and has used them", claim.Who, limit, what)
	err.RetryAfter = time.Duration(wait)
	return err
}

// take holds what a claim that fits asks for. Its shard is locked.
func (t *Table) take(claim *Claim, tokens int64, now time.Time, next *hold) *hold {
	l, s := &claim.Limits, &t.shards[t.shardOf(claim.ID)]
	c := s.callers[claim.ID]
	if c == nil {
		c = &caller{shard: s, epoch: t.epoch}
		if s.callers == nil {
			s.callers = make(map[string]*caller)
		}
		s.callers[claim.ID] = c
	}
	at := c.time(now)
	c.parallel++
	if l.RequestsPerMinute > 0 {
		c.requests.tat = max(c.requests.tat, at) + share(1, l.RequestsPerMinute, minute)
	}
	h := &hold{caller: c, next: next, tokens: charge{at: -1, limit: l.TokensPerMinute}}
	if l.TokensPerMinute > 0 {
		c.tokens.take(&h.tokens, share(tokens, l.TokensPerMinute, minute), at)
	}
	return h
}

// Settle replaces the estimate by what was really used. Less gives the rest
// back, as far as it has not drained away meanwhile; more is taken even when
// the bucket is over its capacity, and later requests wait for it. It works
// once; after Release it gives nothing back, and what it takes may be forgotten
// with the caller.
func (r Reservation) Settle(actualTokens int64, now time.Time) {
	for h := r.hold; h != nil; h = h.next {
		h.settle(max(actualTokens, 0), now)
	}
}

func (h *hold) settle(actual int64, now time.Time) {
	c := h.caller
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if h.tokens.limit > 0 {
		c.tokens.settle(&h.tokens, share(actual, h.tokens.limit, minute), c.time(now))
	}
}

// Release gives the parallel places back. A reservation that was not settled
// stays charged with its estimate. It works once.
func (r Reservation) Release() {
	for h := r.hold; h != nil; h = h.next {
		h.release()
	}
}

func (h *hold) release() {
	c := h.caller
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if h.released {
		return
	}
	h.released = true
	c.parallel--
	c.tokens.drop(&h.tokens)
}

// time gives now in the caller's nanoseconds.
func (c *caller) time(now time.Time) int64 {
	c.last = max(c.last, int64(now.Sub(c.epoch)))
	return c.last
}

// sweep forgets the callers of a shard that are as new.
func (s *shard) sweep(at int64) {
	if at-s.swept < int64(sweepEvery) {
		return
	}
	s.swept = at
	for id, c := range s.callers {
		if c.parallel == 0 && len(c.tokens.open) == 0 && c.requests.tat <= at && c.tokens.tat <= at {
			delete(s.callers, id)
		}
	}
}

// Parallel is how many reservations of keyID are not released.
func (t *Table) Parallel(keyID string) int {
	t.once.Do(func() { t.seed, t.epoch = maphash.MakeSeed(), time.Now() })
	s := &t.shards[t.shardOf(keyID)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.callers[keyID]; c != nil {
		return c.parallel
	}
	return 0
}

// Len is how many callers are remembered.
func (t *Table) Len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.callers)
		s.mu.Unlock()
	}
	return n
}
