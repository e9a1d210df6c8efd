// Package limit holds what a caller may use in a minute: requests, tokens and
// parallel requests, each reserved before the work and settled after it. It
// is in memory and per process.
//
// Requests and tokens are GCRA buckets (the generic cell rate algorithm; ITU-T
// I.371) that hold one minute's worth: a caller who was idle may use the whole
// of it at once, and over any span of time t at most limit * (1 + t/minute) is
// granted. A bucket's level is kept in nanoseconds of that minute, so a limit
// that changes keeps its meaning.
package limit

import (
	"hash/maphash"
	"math/bits"
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

// minute is the capacity of every bucket, in its own unit.
const minute = int64(time.Minute)

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

// caller is one key's use. Times are nanoseconds since the table's epoch.
type caller struct {
	shard *shard
	epoch time.Time
	// last is the latest time seen here. Two goroutines may read the clock in
	// one order and come here in the other; time does not run backwards.
	last int64
	// requests and tokens are the theoretical arrival times of GCRA: when
	// the bucket will be empty. Before now means that it is.
	requests, tokens int64
	parallel         int
	// open are the reservations whose tokens are not settled; charges counts
	// all there were.
	open    []*hold
	charges uint64
}

// hold is one reservation.
type hold struct {
	caller *caller
	// at is its place in caller.open, or -1 when its tokens are settled.
	at int
	// order is its number among the caller's charges.
	order uint64
	// cost is what was charged for its tokens under limit.
	cost, limit int64
	// low is the least level that the token bucket had since this was charged.
	// What drained away cannot be given back: it would have drained anyway.
	low               int64
	settled, released bool
}

// Reservation is what Reserve granted. The zero value reserves nothing. Its
// methods are safe for concurrent use and each works once.
type Reservation struct{ hold *hold }

// Reserve takes one request, tokens (an estimate) and one parallel place for
// keyID, all of them or none. A refusal is an *llm.Error of class RateLimited;
// its RetryAfter is exactly how long the buckets need if nobody else takes
// from them, and 0 when time alone does not help: all parallel places are
// taken, or tokens are more than a minute's worth. now should be time.Now():
// its monotonic part keeps a step of the wall clock from granting anything.
//
// Whoever gets a Reservation calls Settle when the tokens are known and
// Release when the work ends, in this order.
func (t *Table) Reserve(keyID string, l Limits, tokens int64, now time.Time) (Reservation, *llm.Error) {
	if l == (Limits{}) {
		return Reservation{}, nil
	}
	t.once.Do(func() { t.seed, t.epoch = maphash.MakeSeed(), now })
	s := &t.shards[maphash.String(t.seed, keyID)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(int64(now.Sub(t.epoch)))
	c := s.callers[keyID]
	if c == nil {
		c = &caller{shard: s, epoch: t.epoch}
	}
	at := c.time(now)
	tokens = max(tokens, 0)
	requestCost, tokenCost := share(1, l.RequestsPerMinute), share(tokens, l.TokensPerMinute)
	if err := c.refuse(l, tokens, requestCost, tokenCost, at); err != nil {
		return Reservation{}, err
	}
	if s.callers == nil {
		s.callers = make(map[string]*caller)
	}
	s.callers[keyID] = c
	c.parallel++
	if l.RequestsPerMinute > 0 {
		c.requests = max(c.requests, at) + requestCost
	}
	h := &hold{caller: c, at: -1, limit: l.TokensPerMinute, cost: tokenCost}
	if l.TokensPerMinute > 0 {
		c.lower(at)
		c.tokens = max(c.tokens, at) + tokenCost
		c.charges++
		h.at, h.order, h.low = len(c.open), c.charges, c.tokens-at
		c.open = append(c.open, h)
	}
	return Reservation{h}, nil
}

// refuse says why a reservation does not fit, or nil.
func (c *caller) refuse(l Limits, tokens, requestCost, tokenCost, at int64) *llm.Error {
	if l.Parallel > 0 && c.parallel >= l.Parallel {
		return llm.Errorf(llm.RateLimited, "%d requests of this key run at once, which is its limit", l.Parallel)
	}
	if l.TokensPerMinute > 0 && tokenCost > minute {
		return llm.Errorf(llm.RateLimited, "the request needs about %d tokens and this key has %d a minute: it can never fit",
			tokens, l.TokensPerMinute)
	}
	var wait int64
	var what string
	var limit int64
	if over := wouldWait(c.requests, requestCost, at); l.RequestsPerMinute > 0 && over > 0 {
		wait, what, limit = over, "requests", l.RequestsPerMinute
	}
	if over := wouldWait(c.tokens, tokenCost, at); l.TokensPerMinute > 0 && over > wait {
		wait, what, limit = over, "tokens", l.TokensPerMinute
	}
	if wait <= 0 {
		return nil
	}
	err := llm.Errorf(llm.RateLimited, "this key has %d %s a minute and has used them", limit, what)
	err.RetryAfter = time.Duration(wait)
	return err
}

// wouldWait is how long until cost fits in a bucket; nothing or less means now.
func wouldWait(tat, cost, at int64) int64 {
	return add(max(tat-at, 0), cost) - minute
}

// share is what n of a limit per minute costs in nanoseconds of the minute,
// rounded up; more than any wait can be is cut to about 146 years.
func share(n, limit int64) int64 {
	if limit <= 0 || n <= 0 {
		return 0
	}
	const most = 1 << 62
	hi, lo := bits.Mul64(uint64(n), uint64(minute))
	if hi >= uint64(limit) {
		return most
	}
	q, r := bits.Div64(hi, lo, uint64(limit))
	if r > 0 {
		q++
	}
	return int64(min(q, most))
}

// add adds what is not negative and stays below overflow.
func add(a, b int64) int64 {
	if a > 1<<62-b {
		return 1 << 62
	}
	return a + b
}

// lower notes the token bucket's present level with all open reservations. The
// level only falls between charges, so noting it before each charge and at
// each settlement sees every low.
func (c *caller) lower(at int64) {
	level := max(c.tokens-at, 0)
	for _, h := range c.open {
		h.low = min(h.low, level)
	}
}

// Settle replaces the estimate by what was really used. Less gives the rest
// back, as far as it has not drained away meanwhile; more is taken even when
// the bucket is over its capacity, and later requests wait for it. It works
// once; after Release it gives nothing back, and what it takes may be forgotten
// with the caller.
func (r Reservation) Settle(actualTokens int64, now time.Time) {
	h := r.hold
	if h == nil {
		return
	}
	s := h.caller.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	h.caller.settle(h, max(actualTokens, 0), now)
}

// Release gives the parallel place back. A reservation that was not settled
// stays charged with its estimate. It works once.
func (r Reservation) Release() {
	h := r.hold
	if h == nil {
		return
	}
	s := h.caller.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.released {
		return
	}
	h.released = true
	h.caller.parallel--
	h.caller.drop(h)
}

// time gives now in the caller's nanoseconds.
func (c *caller) time(now time.Time) int64 {
	c.last = max(c.last, int64(now.Sub(c.epoch)))
	return c.last
}

func (c *caller) settle(h *hold, actual int64, now time.Time) {
	if h.limit <= 0 || h.settled {
		return
	}
	h.settled = true
	at := c.time(now)
	c.lower(at)
	if more := share(actual, h.limit) - h.cost; more >= 0 {
		c.tokens = add(max(c.tokens, at), more)
		c.drop(h)
		return
	}
	if h.at < 0 {
		return
	}
	// Had the charge been smaller by less from the start, the level would now
	// be lower by less, but never lower than empty at any time since: that is
	// the least level seen.
	less := h.cost - share(actual, h.limit)
	c.tokens -= min(less, h.low)
	c.drop(h)
	floor := max(h.low-less, 0)
	for _, o := range c.open {
		if o.order < h.order {
			o.low = min(o.low, floor)
		} else {
			// At most this much lower; too low only gives back less.
			o.low = max(o.low-less, 0)
		}
	}
}

// drop takes a hold out of the open ones.
func (c *caller) drop(h *hold) {
	if h.at < 0 {
		return
	}
	last := len(c.open) - 1
	c.open[h.at] = c.open[last]
	c.open[h.at].at = h.at
	c.open[last] = nil
	c.open = c.open[:last]
	h.at = -1
}

// sweep forgets the callers of a shard that are as new.
func (s *shard) sweep(at int64) {
	if at-s.swept < int64(sweepEvery) {
		return
	}
	s.swept = at
	for id, c := range s.callers {
		if c.parallel == 0 && len(c.open) == 0 && c.requests <= at && c.tokens <= at {
			delete(s.callers, id)
		}
	}
}

// Parallel is how many reservations of keyID are not released.
func (t *Table) Parallel(keyID string) int {
	t.once.Do(func() { t.seed, t.epoch = maphash.MakeSeed(), time.Now() })
	s := &t.shards[maphash.String(t.seed, keyID)%shards]
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
