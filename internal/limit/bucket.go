package limit

import (
	"math/bits"
	"time"
)

// bucket is one GCRA bucket. Its level is kept in nanoseconds of its period:
// full is one period. Its owner's lock guards it.
type bucket struct {
	// tat is the theoretical arrival time: when the bucket will be empty. Before
	// now means that it is.
	tat int64
	// open are the charges that are not settled; charges counts all there were.
	open    []*charge
	charges uint64
}

// charge is what one reservation took from a bucket.
type charge struct {
	// at is its place in bucket.open, or -1 when it is settled.
	at int
	// order is its number among the bucket's charges.
	order uint64
	// cost is what was charged under limit.
	cost, limit int64
	// low is the least level that the bucket had since this was charged. What
	// drained away cannot be given back: it would have drained anyway.
	low     int64
	settled bool
}

func (b *bucket) level(at int64) int64 { return max(b.tat-at, 0) }

// take charges a cost that fits, or that is waited for.
func (b *bucket) take(c *charge, cost, at int64) {
	b.lower(at)
	b.tat = max(b.tat, at) + cost
	b.charges++
	c.at, c.order, c.cost, c.low = len(b.open), b.charges, cost, b.tat-at
	b.open = append(b.open, c)
}

// lower notes the present level with all open charges. The level only falls
// between charges, so noting it before each charge and at each settlement sees
// every low.
func (b *bucket) lower(at int64) {
	level := b.level(at)
	for _, c := range b.open {
		c.low = min(c.low, level)
	}
}

// settle replaces what was charged by what it came to; the first time only.
func (b *bucket) settle(c *charge, cost, at int64) {
	if c.settled {
		return
	}
	c.settled = true
	b.lower(at)
	if more := cost - c.cost; more >= 0 {
		b.tat = add(max(b.tat, at), more)
		b.drop(c)
		return
	}
	if c.at < 0 {
		return
	}
	// Had the charge been smaller by less from the start, the level would now
	// be lower by less, but never lower than empty at any time since: that is
	// the least level seen.
	less := c.cost - cost
	b.tat -= min(less, c.low)
	b.drop(c)
	floor := max(c.low-less, 0)
	for _, o := range b.open {
		if o.order < c.order {
			o.low = min(o.low, floor)
		} else {
			// At most this much lower; too low only gives back less.
			o.low = max(o.low-less, 0)
		}
	}
}

// drop takes a charge out of the open ones.
func (b *bucket) drop(c *charge) {
	if c.at < 0 {
		return
	}
	last := len(b.open) - 1
	b.open[c.at] = b.open[last]
	b.open[c.at].at = c.at
	b.open[last] = nil
	b.open = b.open[:last]
	c.at = -1
}

// wouldWait is how long until cost fits; nothing or less means now.
func (b *bucket) wouldWait(cost, period, at int64) int64 {
	return add(b.level(at), cost) - period
}

// share is what n of a limit per period costs in nanoseconds of the period,
// rounded up; more than any wait can be is cut to about 146 years.
func share(n, limit, period int64) int64 {
	if limit <= 0 || n <= 0 {
		return 0
	}
	const most = 1 << 62
	hi, lo := bits.Mul64(uint64(n), uint64(period))
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

// minute is the period of a caller's buckets.
const minute = int64(time.Minute)
