package limit

import (
	"hash/maphash"
	"math"
	"net/http"
	"sync"
	"time"

	"headrace/internal/llm"
)

// Rates are the limits of one credential. Zero means none of that kind.
type Rates struct {
	RequestsPerMinute, RequestsPerDay           int64
	TokensPerMinute, TokensPerDay               int64
	InputTokensPerMinute, OutputTokensPerMinute int64
	// Parallel is how many requests may run at once.
	Parallel int
}

// of gives the limit of a kind and its period.
func (r *Rates) of(k Kind) (limit int64, period time.Duration) {
	switch k {
	case Requests:
		return r.RequestsPerMinute, time.Minute
	case RequestsPerDay:
		return r.RequestsPerDay, day
	case Tokens:
		return r.TokensPerMinute, time.Minute
	case TokensPerDay:
		return r.TokensPerDay, day
	case Input:
		return r.InputTokensPerMinute, time.Minute
	default:
		return r.OutputTokensPerMinute, time.Minute
	}
}

// Credential is one of a provider's credentials as the operator gave it.
type Credential struct {
	// Name says which it is, in logs and errors; never the secret itself.
	Name string
	// Rates are the operator's word for all its requests together. A kind that
	// they name is not learned from the provider.
	Rates Rates
}

// PoolOptions set up a Pool.
type PoolOptions struct {
	// Provider is named in errors.
	Provider string
	// Credentials are at least one and at most MaxCredentials.
	Credentials []Credential
	// Headers names the row of the table that says what the provider's headers
	// mean; empty means that they are not read.
	Headers string
	// CacheFree says that prompt tokens read from the provider's cache do not
	// count.
	CacheFree bool
	// Off is told when a credential is set aside because the provider refuses it
	// or it has nothing left, On when it works again; nil tells nobody. They must
	// not wait.
	Off func(credential string, e *llm.Error, long time.Duration)
	On  func(credential string)
}

// MaxCredentials is how many credentials one provider may have.
const MaxCredentials = 64

// Pool is the credentials of one provider, each with its own limits: what the
// operator says of them and what the provider's answers say. It picks the
// credential for each attempt. Safe for concurrent use.
type Pool struct {
	o      PoolOptions
	family *family
	seed   maphash.Seed
	epoch  time.Time

	mu          sync.Mutex // guards all below
	last        int64
	credentials []*credential
}

// credential is one of them and its use. Times are nanoseconds since the
// pool's epoch.
type credential struct {
	Credential
	affinity uint64
	// all counts every request, classes those of one operation and class of
	// models.
	all     meters
	classes map[class]*meters
	off     map[llm.Op]*off
}

type class struct {
	op   llm.Op
	name string
}

// mostClasses bounds the classes that are remembered of a credential: clients
// may ask for names without number.
const mostClasses = 512

// meters are the limits of one credential over some of its requests.
type meters struct {
	meter    [kinds]meter
	limited  bool // some meter has a limit
	running  int
	parallel int // most at once; 0 means no limit
	// until is when a rate limit that the provider told ends; strikes counts
	// those without a success in between that named no end.
	until   int64
	strikes int
	// made is the mean output of an answer, for reservations; 0 when none is
	// known.
	made float64
	// free is what a request without any limit is given: it has nothing of its
	// own to remember.
	free place
}

// meter is one limit.
type meter struct {
	bucket
	limit, period int64 // 0: no limit
}

// off is why and until when a credential is not used for an operation.
type off struct {
	until   int64
	again   time.Duration // how long the next time
	class   llm.Class
	message string
	probing bool
}

// NewPool makes a Pool. An unknown Headers is like none.
func NewPool(o PoolOptions) *Pool {
	p := &Pool{o: o, seed: maphash.MakeSeed(), epoch: time.Now()}
	if f, ok := families[o.Headers]; ok {
		p.family = &f
	}
	for i, c := range o.Credentials {
		k := &credential{Credential: c, affinity: maphash.String(p.seed, c.Name), classes: map[class]*meters{}}
		k.all.free = place{pool: p, index: i, credential: k}
		k.all.parallel = c.Rates.Parallel
		for kind := range kinds {
			limit, period := c.Rates.of(kind)
			k.all.set(kind, limit, int64(period))
		}
		p.credentials = append(p.credentials, k)
	}
	return p
}

// set gives a meter its limit. A limit that only changes keeps its level, as a
// share of it.
func (m *meters) set(k Kind, limit, period int64) {
	if limit <= 0 {
		return
	}
	g := &m.meter[k]
	if g.period != period {
		for _, c := range g.open { // charged in another unit
			c.at, c.settled = -1, true
		}
		g.bucket = bucket{}
	}
	g.limit, g.period, m.limited = limit, period, true
}

// Ask is what an attempt needs of a credential.
type Ask struct {
	Op llm.Op
	// Class is the model, or the name that models with one limit share.
	Class string
	// Parallel is how many requests of the class a provider takes at once, where
	// its catalogue row says so; a credential's own Rates win.
	Parallel int
	// Input is an estimate of the prompt, MaxOutput the output cap (0 when there
	// is none).
	Input, MaxOutput int64
	// Affinity is the same for requests that share a prompt cache; 0 for none.
	Affinity uint64
	// Tried has a bit for each credential that this request shall not be given.
	Tried uint64
	// Most is how long the request may wait for its turn. Below 0 it does not
	// wait, and only the operator's own limits can refuse it.
	Most time.Duration
}

// place is what one attempt holds of a credential.
type place struct {
	pool       *Pool
	index      int
	credential *credential
	class      *meters
	op         llm.Op
	// metered is set where there is something to settle.
	metered, probe, done bool
	input                int64
	charges              [2][kinds]charge // of all, and of the class
}

// Place is what Reserve granted. Whoever has one calls Done once, on every way
// out.
type Place struct{ p *place }

// Credential is the index of the credential that the attempt is to use.
func (p Place) Credential() int { return p.p.index }

// Name is the name of that credential; empty where it is the only one.
func (p Place) Name() string {
	if len(p.p.pool.credentials) == 1 {
		return ""
	}
	return p.p.credential.Name
}

// Counts reports whether tokens are reserved for a class at any credential, so
// that Ask.Input matters.
func (p *Pool) Counts(op llm.Op, name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.credentials {
		m := c.classes[class{op, name}]
		if c.all.counts() || m != nil && m.counts() {
			return true
		}
	}
	return false
}

func (m *meters) counts() bool {
	return m.limited && (m.meter[Tokens].limit|m.meter[TokensPerDay].limit|m.meter[Input].limit|m.meter[Output].limit) != 0
}

// Len is how many credentials there are.
func (p *Pool) Len() int { return len(p.credentials) }

// Reserve takes room for one attempt at one of the credentials: the one that
// the request's prompt cache is at if it is not much busier than the others,
// else the one with the fewest requests under way, then the most room. wait is
// how long to wait before sending, at most a.Most; the place is held from now
// on.
//
// A refusal says how long the soonest credential needs (RetryAfter); its class
// is RateLimited, or what set all of them aside. When all parallel places are
// taken nobody knows how long, and RetryAfter is when to ask again.
func (p *Pool) Reserve(a *Ask, now time.Time) (_ Place, wait time.Duration, _ *llm.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.time(now)
	var best *llm.Error
	soonest, when := -1, int64(math.MaxInt64)
	visited := a.Tried
	for range p.credentials {
		i := p.next(visited, a.Affinity, at)
		if i < 0 {
			break
		}
		visited |= 1 << i
		c := p.credentials[i]
		m := c.meters(p, i, a, at)
		delay, err := p.fits(c, m, a, at)
		if err == nil && delay <= 0 {
			return p.take(c, m, i, a, at), 0, nil
		}
		if err == nil && delay < when {
			soonest, when = i, delay
		}
		if err != nil && (best == nil || err.RetryAfter < best.RetryAfter) {
			best = err
		}
	}
	if soonest >= 0 && when <= int64(a.Most) {
		c := p.credentials[soonest]
		return p.take(c, c.meters(p, soonest, a, at), soonest, a, at), time.Duration(when), nil
	}
	if soonest >= 0 && (best == nil || best.RetryAfter > time.Duration(when)) {
		best = llm.Errorf(llm.RateLimited, "the limits of %s have no room for this request now", p.o.Provider)
		best.RetryAfter = time.Duration(when)
	}
	if best == nil {
		best = llm.Errorf(llm.RateLimited, "%s has no other credential for this request", p.o.Provider)
	}
	return Place{}, 0, best
}

// next picks the best credential that was not visited, or -1.
func (p *Pool) next(visited, affinity uint64, at int64) int {
	if len(p.credentials) == 1 {
		if visited&1 != 0 {
			return -1
		}
		return 0
	}
	best, home := -1, -1
	var highest uint64
	total := 0
	for i, c := range p.credentials {
		total += c.all.running
		if visited&(1<<i) != 0 {
			continue
		}
		if best < 0 || p.credentials[best].busier(c, at) {
			best = i
		}
		if h := mix(affinity ^ c.affinity); affinity != 0 && (home < 0 || h > highest) {
			home, highest = i, h
		}
	}
	// The home of a conversation takes up to a quarter more than its share, and
	// four; beyond that its prompt cache is not worth the queue.
	if home >= 0 && p.credentials[home].all.running <= 4+total*5/(4*len(p.credentials)) {
		return home
	}
	return best
}

// busier reports whether another credential is the better choice.
func (c *credential) busier(than *credential, at int64) bool {
	if c.all.running != than.all.running {
		return c.all.running > than.all.running
	}
	return c.fullness(at) > than.fullness(at)
}

// fullness is how full the fullest bucket is, in thousandths.
func (c *credential) fullness(at int64) int64 {
	most := c.all.fullness(at)
	for _, m := range c.classes {
		most = max(most, m.fullness(at))
	}
	return most
}

func (m *meters) fullness(at int64) (most int64) {
	if !m.limited {
		return 0
	}
	for k := range m.meter {
		if g := &m.meter[k]; g.limit > 0 {
			most = max(most, g.level(at)/(g.period/1000))
		}
	}
	return most
}

// mix spreads a hash over all its bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// meters gives those of an attempt's class.
func (c *credential) meters(p *Pool, index int, a *Ask, at int64) *meters {
	m := c.classes[class{a.Op, a.Class}]
	if m == nil {
		m = c.open(p, index, class{a.Op, a.Class}, at)
	}
	m.parallel = a.Parallel
	if c.Rates.Parallel > 0 {
		m.parallel = 0 // the operator's figure counts
	}
	return m
}

// open adds a class.
func (c *credential) open(p *Pool, index int, name class, at int64) *meters {
	if len(c.classes) >= mostClasses {
		for n, m := range c.classes {
			if m.idle(at) {
				delete(c.classes, n)
			}
		}
		if len(c.classes) >= mostClasses {
			name.name = "" // shared by all that do not fit
			if m := c.classes[name]; m != nil {
				return m
			}
		}
	}
	m := &meters{}
	m.free = place{pool: p, index: index, credential: c, class: m, op: name.op}
	c.classes[name] = m
	return m
}

// idle reports whether meters are as new but for what was learned.
func (m *meters) idle(at int64) bool { return m.running == 0 && m.until <= at && m.fullness(at) == 0 }

// pollEvery is when to ask again for a parallel place, or after a probe.
const pollEvery = 50 * time.Millisecond

// fits says how long an attempt must wait at a credential; the error is one
// that no known wait ends.
func (p *Pool) fits(c *credential, m *meters, a *Ask, at int64) (wait int64, _ *llm.Error) {
	if o := c.off[a.Op]; o != nil && (o.probing || o.until > at) && a.Most >= 0 {
		err := llm.Errorf(o.class, "the credential %s of %s is set aside: %s", c.Name, p.o.Provider, o.message)
		err.RetryAfter = max(time.Duration(o.until-at), pollEvery)
		return 0, err
	}
	for _, g := range [2]*meters{&c.all, m} {
		if a.Most < 0 && g != &c.all {
			break // what the provider said, or is said of it
		}
		if g.parallel > 0 && g.running >= g.parallel {
			err := llm.Errorf(llm.RateLimited, "%d requests run at %s at once, which is its limit", g.parallel, p.o.Provider)
			err.RetryAfter = pollEvery
			return 0, err
		}
		if a.Most >= 0 {
			wait = max(wait, g.until-at)
		}
		if !g.limited {
			continue
		}
		for k := range kinds {
			if b := &g.meter[k]; b.limit > 0 && !p.passed(c, g, k) && (a.Most >= 0 || p.own(c, k)) {
				wait = max(wait, b.wouldWait(b.cost(p.amount(k, m, a)), b.period, at))
			}
		}
	}
	return wait, nil
}

// own reports whether the operator named a limit of a kind.
func (p *Pool) own(c *credential, k Kind) bool {
	limit, _ := c.Rates.of(k)
	return limit > 0
}

// passed reports whether a learned limit is passed over because the operator
// named one of its kind.
func (p *Pool) passed(c *credential, g *meters, k Kind) bool {
	if g == &c.all {
		return false
	}
	return p.own(c, k)
}

// cost is what an amount takes of a bucket: at most all of it, since whether
// more is too much is for the provider to say.
func (g *meter) cost(n int64) int64 { return min(share(n, g.limit, g.period), g.period) }

// typical is the output that is reserved while none of the class was seen.
const typical = 1024

// amount is how much of a kind an attempt is reserved at.
func (p *Pool) amount(k Kind, m *meters, a *Ask) int64 {
	if k == Requests || k == RequestsPerDay {
		return 1
	}
	if k == Input {
		return a.Input
	}
	out := int64(typical)
	if m.made > 0 {
		out = int64(m.made) + 1
	}
	if a.MaxOutput > 0 && (a.MaxOutput < out || k != Output && p.family != nil && p.family.asks) {
		out = a.MaxOutput
	}
	if k == Output {
		return out
	}
	return add(max(a.Input, 0), out)
}

// take holds a place that fits, now or after a wait.
func (p *Pool) take(c *credential, m *meters, index int, a *Ask, at int64) Place {
	c.all.running++
	m.running++
	o := c.off[a.Op]
	if o == nil && !c.all.limited && !m.limited {
		return Place{&m.free}
	}
	h := &place{pool: p, index: index, credential: c, class: m, op: a.Op, metered: true, input: a.Input}
	if o != nil && !o.probing {
		o.probing, h.probe = true, true
	}
	for n, g := range [2]*meters{&c.all, m} {
		for k := range kinds {
			h.charges[n][k].at = -1
			if b := &g.meter[k]; b.limit > 0 && !p.passed(c, g, k) {
				h.charges[n][k].limit = b.limit
				b.take(&h.charges[n][k], b.cost(p.amount(k, m, a)), at)
			}
		}
	}
	return Place{h}
}

// time gives now in the pool's nanoseconds; it does not run backwards.
func (p *Pool) time(now time.Time) int64 {
	p.last = max(p.last, int64(now.Sub(p.epoch)))
	return p.last
}

// Hear takes what the headers of an answer say of the limits of a credential.
// Only they make limits, beside the operator; they raise what is counted as
// used, never lower it: what we have under way, the provider may not have
// counted yet.
func (p *Pool) Hear(index int, op llm.Op, name string, h http.Header, now time.Time) {
	if p.family == nil || index < 0 || index >= len(p.credentials) || op == llm.OpRaw || op == llm.OpModels {
		return
	}
	var room [kinds]reading
	readings := p.family.read(h, now, room[:0])
	if len(readings) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.time(now)
	c := p.credentials[index]
	m := &c.all
	if !p.family.account {
		if m = c.classes[class{op, name}]; m == nil {
			m = c.open(p, index, class{op, name}, at)
		}
	}
	for i := range readings {
		r := &readings[i]
		if r.empty > 0 {
			m.until = max(m.until, add(at, int64(r.empty)))
		}
		if own, _ := c.Rates.of(r.kind); own > 0 || r.limit == 0 {
			continue
		}
		m.set(r.kind, r.limit, int64(r.period))
		b := &m.meter[r.kind]
		b.tat = max(b.tat, at+b.cost(r.used))
	}
}

// Result is how an attempt went.
type Result struct {
	// Sent says that the provider was asked.
	Sent bool
	// Usage is what it took; without a Source it is not known.
	Usage llm.Usage
	// Output is about how many tokens came where Usage is not known.
	Output int64
	// Err is why it failed; nil when it did not.
	Err *llm.Error
}

// firstOff and longestOff are how long a credential is set aside that the
// provider refuses; each refusal of the probe after it doubles the time.
// firstPause and longestPause are the same for a rate limit that names no end.
const (
	firstOff, longestOff     = 5 * time.Second, 5 * time.Minute
	firstPause, longestPause = time.Second, 30 * time.Second
)

// Done gives a place back and settles it on what was really used.
func (p Place) Done(r Result, now time.Time) {
	if p.p == nil {
		return
	}
	if tell := p.p.end(&r, now); tell != nil {
		tell()
	}
}

// end gives the place back, and what to tell once the lock is free. Whatever
// goes wrong, the lock is: without it no request reaches the provider.
func (h *place) end(r *Result, now time.Time) (tell func()) {
	pool, c := h.pool, h.credential
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if h.done {
		return nil
	}
	h.done = h.metered // the one of a class without limits is shared
	at := pool.time(now)
	c.all.running--
	h.class.running--
	if h.metered {
		h.settle(r, at)
	}
	if out := r.Usage.Output; r.Err == nil && r.Usage.Source != "" && out > 0 {
		if h.class.made == 0 {
			h.class.made = float64(out)
		}
		h.class.made += (float64(out) - h.class.made) / 16
	}
	return h.judge(r, at)
}

// settle replaces what was reserved by what it came to.
func (h *place) settle(r *Result, at int64) {
	in, out := r.Usage.Input+r.Usage.CacheWrite5m+r.Usage.CacheWrite1h, r.Usage.Output
	if !h.pool.o.CacheFree {
		in += r.Usage.CacheRead
	}
	known := r.Usage.Source != ""
	requests := int64(1)
	switch {
	case !r.Sent:
		requests, in, out, known = 0, 0, 0, true
	case !known && r.Err != nil && r.Err.Status >= 400:
		in, out, known = 0, 0, true // refused, not worked on
	case !known && r.Output > 0:
		in, out, known = h.input, r.Output, true
	}
	for n, g := range [2]*meters{&h.credential.all, h.class} {
		for k := range kinds {
			c := &h.charges[n][k]
			if c.limit == 0 || c.settled {
				continue
			}
			b := &g.meter[k]
			cost := c.cost // what is not known stays as it was reserved
			switch {
			case k == Requests || k == RequestsPerDay:
				cost = share(requests, c.limit, b.period)
			case !known:
			case k == Input:
				cost = share(in, c.limit, b.period)
			case k == Output:
				cost = share(out, c.limit, b.period)
			default:
				cost = share(add(max(in, 0), max(out, 0)), c.limit, b.period)
			}
			b.settle(c, cost, at)
		}
	}
}

// judge sets aside what the provider refused, and takes back what it did not.
// It returns what to tell once the lock is free.
func (h *place) judge(r *Result, at int64) (tell func()) {
	c, p := h.credential, h.pool
	e := r.Err
	o := c.off[h.op]
	if !r.Sent || e != nil && (e.Class == llm.ClientGone || e.Status == 0 && e.Class != llm.RateLimited && e.Class != llm.QuotaExhausted) {
		if h.probe && o != nil { // it says nothing; the next one asks
			o.probing = false
		}
		return nil
	}
	if e != nil && !e.NoRepeat && e.Class == llm.RateLimited {
		h.pause(e, at)
	} else if e == nil {
		h.class.strikes, c.all.strikes = 0, 0
	}
	aside := e != nil && h.op != llm.OpRaw && (e.Class == llm.QuotaExhausted || e.Class == llm.Auth && e.Status == 401)
	switch {
	case aside && o != nil && !h.probe:
		return nil // it was under way when another found out
	case aside:
		if o == nil {
			o = &off{again: firstOff}
			if c.off == nil {
				c.off = map[llm.Op]*off{}
			}
			c.off[h.op] = o
		}
		long := o.again
		if e.Class == llm.QuotaExhausted && e.RetryAfter > 0 {
			long = e.RetryAfter
		}
		o.class, o.message, o.probing = e.Class, e.Message, false
		o.until, o.again = add(at, int64(long)), min(2*o.again, longestOff)
		if p.o.Off != nil {
			return func() { p.o.Off(c.Name, e, long) }
		}
	case h.probe, o != nil && e == nil:
		delete(c.off, h.op)
		if p.o.On != nil {
			return func() { p.o.On(c.Name) }
		}
	}
	return nil
}

// pause keeps a class of requests, or the whole credential where the provider
// says that all of its traffic rose too fast, away until a rate limit ends.
func (h *place) pause(e *llm.Error, at int64) {
	m := h.class
	if e.Code == "ramp_limit_exceeded" && h.op != llm.OpRaw {
		m = &h.credential.all
	}
	long := e.RetryAfter
	if long <= 0 {
		long = min(firstPause<<min(m.strikes, 10), longestPause)
	}
	m.strikes++
	m.until = max(m.until, add(at, int64(long)))
}
