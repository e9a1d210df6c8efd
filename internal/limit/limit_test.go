package limit

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"headrace/internal/llm"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func mustReserve(t *testing.T, tab *Table, l Limits, tokens int64, now time.Time) Reservation {
	t.Helper()
	r, err := tab.Reserve("k", l, tokens, now)
	if err != nil {
		t.Fatalf("refused: %v, again in %s", err, err.RetryAfter)
	}
	return r
}

func TestRequests(t *testing.T) {
	t.Parallel()
	var tab Table
	l := Limits{RequestsPerMinute: 60}
	for range 60 {
		mustReserve(t, &tab, l, 0, start).Release()
	}
	_, err := tab.Reserve("k", l, 0, start)
	if err == nil || err.Class != llm.RateLimited || err.RetryAfter != time.Second {
		t.Fatalf("request 61 of 60: %v, %+v", err, err)
	}
	if _, err := tab.Reserve("k", l, 0, start.Add(time.Second-1)); err == nil || err.RetryAfter != 1 {
		t.Errorf("a nanosecond early: %+v", err)
	}
	mustReserve(t, &tab, l, 0, start.Add(time.Second))
	if _, err := tab.Reserve("other", l, 0, start); err != nil {
		t.Errorf("another key: %v", err)
	}
}

func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	var tab Table
	l := Limits{RequestsPerMinute: 2, TokensPerMinute: 100, Parallel: 2}
	a := mustReserve(t, &tab, l, 90, start)
	for range 10 { // refused for tokens: must not eat the second request
		if _, err := tab.Reserve("k", l, 20, start); err == nil || err.RetryAfter != 6*time.Second {
			t.Fatalf("%+v", err)
		}
	}
	b := mustReserve(t, &tab, l, 10, start)
	if _, err := tab.Reserve("k", l, 0, start); err == nil || err.RetryAfter != 0 {
		t.Errorf("a third at once: %+v", err)
	}
	if got := tab.Parallel("k"); got != 2 {
		t.Errorf("gauge %d", got)
	}
	for range 3 { // each works once
		a.Release()
		b.Release()
		Reservation{}.Release()
	}
	if got := tab.Parallel("k"); got != 0 {
		t.Errorf("gauge %d at the end", got)
	}
	// The longer of both waits is told: 30 s for a request, 60 s for tokens.
	if _, err := tab.Reserve("k", l, 100, start); err == nil || err.RetryAfter != time.Minute {
		t.Errorf("%+v", err)
	}
}

func TestTooLargeForEver(t *testing.T) {
	t.Parallel()
	var tab Table
	if _, err := tab.Reserve("k", Limits{TokensPerMinute: 100}, 101, start); err == nil || err.RetryAfter != 0 {
		t.Errorf("%+v", err)
	}
	for _, n := range []int64{math.MaxInt64, math.MaxInt64 - 1, 1 << 40} {
		if _, err := tab.Reserve("k", Limits{TokensPerMinute: 1}, n, start); err == nil {
			t.Errorf("%d tokens of 1 a minute are granted", n)
		}
	}
	r, err := tab.Reserve("k", Limits{TokensPerMinute: math.MaxInt64, RequestsPerMinute: math.MaxInt64}, math.MaxInt64, start)
	if err != nil {
		t.Fatal(err)
	}
	r.Settle(math.MinInt64, start)
	if _, err := tab.Reserve("neg", Limits{TokensPerMinute: 10}, -5, start); err != nil {
		t.Errorf("a negative estimate is nothing: %v", err)
	}
	big := mustReserve(t, &tab, Limits{TokensPerMinute: 1}, 1, start)
	big.Settle(math.MaxInt64, start)
	if _, err := tab.Reserve("k", Limits{TokensPerMinute: 1}, 1, start.Add(time.Hour)); err == nil {
		t.Error("an enormous settlement gives credit")
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	l := Limits{TokensPerMinute: 6000} // 100 a second
	left := func(tab *Table, now time.Time) int64 {
		// The largest reservation that fits, without taking it.
		lo, hi := int64(0), int64(6000)
		for lo < hi {
			mid := (lo + hi + 1) / 2
			if r, err := tab.Reserve("k", l, mid, now); err == nil {
				r.Settle(0, now)
				r.Release()
				lo = mid
			} else {
				hi = mid - 1
			}
		}
		return lo
	}
	for _, c := range []struct {
		name             string
		estimate, actual int64
		after            time.Duration
		want             int64
	}{
		{"at once, less", 5000, 1000, 0, 5000},
		{"at once, all", 5000, 5000, 0, 1000},
		{"at once, more", 5000, 5900, 0, 100},
		{"at once, far more", 5000, 9000, 0, 0},
		{"later, less", 5000, 1000, 10 * time.Second, 6000},
		{"later, half drained", 5000, 4500, 10 * time.Second, 2500},
		{"later, more", 5000, 5500, 10 * time.Second, 1500},
	} {
		var tab Table
		r := mustReserve(t, &tab, l, c.estimate, start)
		now := start.Add(c.after)
		r.Settle(c.actual, now)
		r.Settle(0, now) // works once
		if got := left(&tab, now); got != c.want {
			t.Errorf("%s: %d tokens left, want %d", c.name, got, c.want)
		}
		r.Release()
		if got := left(&tab, now); got != c.want {
			t.Errorf("%s: %d tokens left after the release, want %d", c.name, got, c.want)
		}
	}

	// What drained away in between cannot come back: 3000 reserved, gone after
	// 30 s; then 6000 used by another; the first settles to 0.
	var tab Table
	a := mustReserve(t, &tab, l, 3000, start)
	later := start.Add(30 * time.Second)
	b := mustReserve(t, &tab, l, 6000, later)
	a.Settle(0, later)
	if got := left(&tab, later); got != 0 {
		t.Errorf("%d tokens out of nothing", got)
	}
	b.Settle(6000, later)

	// A busy key that always estimates far too much still gets its full rate:
	// 10 a second of 10 tokens each, all estimated at 500 and 1 s long.
	var busy Table
	now, granted := start, 0
	var running []Reservation
	for range 600 {
		now = now.Add(100 * time.Millisecond)
		if len(running) >= 10 {
			running[0].Settle(10, now)
			running[0].Release()
			running = running[1:]
		}
		if r, err := busy.Reserve("k", l, 500, now); err == nil {
			granted++
			running = append(running, r)
		}
	}
	if granted != 600 {
		t.Errorf("%d of 600 granted although a sixth of the rate is used", granted)
	}
}

// oracle is the same bucket told with hindsight: every charge at its time with
// what it came to in the end, replayed from the start.
type told struct {
	at, cost int64
}

func replay(charges []told, now int64) int64 {
	var tat int64
	for _, c := range charges {
		tat = max(tat, c.at) + c.cost
	}
	return max(tat-now, 0)
}

// After any interleaving: the level is never below what hindsight says (nothing
// is granted twice), the gauge is what is running and 0 at the end, and no
// more ran at once than allowed. RetryAfter is exact.
func TestAnyInterleaving(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var tab Table
		l := Limits{
			RequestsPerMinute: rapid.Int64Range(0, 100).Draw(t, "rpm"),
			TokensPerMinute:   rapid.Int64Range(1, 5000).Draw(t, "tpm"),
			Parallel:          rapid.IntRange(0, 5).Draw(t, "parallel"),
		}
		// The table's time begins with its first reservation.
		if _, err := tab.Reserve("first", Limits{Parallel: 1}, 0, start); err != nil {
			t.Fatal(err)
		}
		type open struct {
			r        Reservation
			charge   int
			estimate int64
			settled  bool
		}
		var (
			running []open
			charges []told
			passed  time.Duration
			grants  []time.Duration
		)
		pick := func() int { return rapid.IntRange(0, len(running)-1).Draw(t, "which") }
		check := func() {
			c := tab.caller("k")
			if c == nil {
				return
			}
			at := int64(passed)
			if got, want := c.tokens.level(at), replay(charges, at); got < want {
				t.Fatalf("level %d, but with hindsight %d: %d ns were granted twice", got, want, want-got)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				passed += time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "for"))
			},
			"reserve": func(t *rapid.T) {
				n := rapid.Int64Range(0, l.TokensPerMinute+l.TokensPerMinute/10).Draw(t, "tokens")
				r, err := tab.Reserve("k", l, n, start.Add(passed))
				if err != nil {
					if err.RetryAfter > 0 {
						if _, early := tab.Reserve("k", l, n, start.Add(passed+err.RetryAfter-1)); early == nil {
							t.Fatalf("granted 1 ns before RetryAfter %s", err.RetryAfter)
						}
						// Nothing else takes: now it must fit. This moves time on.
						passed += err.RetryAfter
						if r, err = tab.Reserve("k", l, n, start.Add(passed)); err != nil {
							t.Fatalf("still refused after RetryAfter: %v in %s", err, err.RetryAfter)
						}
					} else {
						return
					}
				}
				charges = append(charges, told{int64(passed), share(n, l.TokensPerMinute, minute)})
				grants = append(grants, passed)
				running = append(running, open{r: r, charge: len(charges) - 1, estimate: n})
			},
			"settle": func(t *rapid.T) {
				if len(running) == 0 {
					return
				}
				o := &running[pick()]
				n := rapid.Int64Range(0, 2*o.estimate+5).Draw(t, "actual")
				o.r.Settle(n, start.Add(passed))
				if o.settled {
					return
				}
				o.settled = true
				cost, was := share(n, l.TokensPerMinute, minute), charges[o.charge].cost
				if cost <= was {
					charges[o.charge].cost = cost
				} else {
					charges = append(charges, told{int64(passed), cost - was})
				}
			},
			"release": func(t *rapid.T) {
				if len(running) == 0 {
					return
				}
				i := pick()
				running[i].r.Release()
				running[i].r.Release()
				running = append(running[:i:i], running[i+1:]...)
			},
			"": func(t *rapid.T) {
				check()
				if got := tab.Parallel("k"); got != len(running) || l.Parallel > 0 && got > l.Parallel {
					t.Fatalf("gauge %d, running %d, limit %d", got, len(running), l.Parallel)
				}
			},
		})
		for _, o := range running {
			o.r.Settle(1, start.Add(passed))
			o.r.Release()
		}
		if got := tab.Parallel("k"); got != 0 {
			t.Fatalf("gauge %d at the end", got)
		}
		if l.RequestsPerMinute > 0 {
			for i, from := range grants {
				for j := i; j < len(grants); j++ {
					span := grants[j] - from
					most := float64(l.RequestsPerMinute) * (1 + span.Minutes())
					if float64(j-i+1) > most+1e-6 {
						t.Fatalf("%d requests in %s at %d a minute", j-i+1, span, l.RequestsPerMinute)
					}
				}
			}
		}
	})
}

func (t *Table) caller(id string) *caller {
	for i := range t.shards {
		if c := t.shards[i].callers[id]; c != nil {
			return c
		}
	}
	return nil
}

// Against golang.org/x/time/rate where an estimate is never corrected.
func TestLikeTokenBucket(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		perMinute := int64(rapid.SampledFrom([]int{1, 6, 60, 600, 6000}).Draw(t, "limit"))
		var tab Table
		other := rate.NewLimiter(rate.Limit(float64(perMinute)/60), int(perMinute))
		now := start
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			// Steps that are no multiple of the interval keep clear of ties, where
			// the other's floating point may fall on either side.
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "wait"))*time.Millisecond + 333*time.Microsecond)
			n := rapid.Int64Range(1, perMinute).Draw(t, "n")
			_, err := tab.Reserve("k", Limits{TokensPerMinute: perMinute}, n, now)
			if want := other.AllowN(now, int(n)); want != (err == nil) {
				t.Fatalf("%d of %d a minute at %s: %v, the other says %v", n, perMinute, now.Sub(start), err, want)
			}
		}
	})
}

func TestParallelGoroutines(t *testing.T) {
	t.Parallel()
	var tab Table
	l := Limits{Parallel: 7, TokensPerMinute: 1e9, RequestsPerMinute: 1e9}
	var running, most, done atomic.Int64
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := range 500 {
				key := "k" + fmt.Sprint((g+i)%2)
				r, err := tab.Reserve(key, l, 100, time.Now())
				if err != nil {
					continue
				}
				if key == "k0" {
					n := running.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
				}
				r.Settle(int64(i), time.Now())
				if key == "k0" {
					running.Add(-1)
				}
				r.Release()
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if most.Load() > 7 || done.Load() == 0 {
		t.Errorf("%d at once of 7 allowed, %d done", most.Load(), done.Load())
	}
	if a, b := tab.Parallel("k0"), tab.Parallel("k1"); a != 0 || b != 0 {
		t.Errorf("gauges %d and %d at the end", a, b)
	}
}

func TestIdleCallersAreForgotten(t *testing.T) {
	t.Parallel()
	var tab Table
	l := Limits{RequestsPerMinute: 10}
	for i := range 10_000 {
		r, err := tab.Reserve(fmt.Sprint("key", i), l, 0, start)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			r.Release()
		}
	}
	now := start.Add(3 * time.Minute)
	for i := range 1000 { // touches every shard
		r, err := tab.Reserve(fmt.Sprint("other", i), l, 0, now)
		if err != nil {
			t.Fatal(err)
		}
		r.Release()
	}
	if got := tab.Len(); got > 1001 {
		t.Errorf("%d callers are remembered", got)
	}
	if tab.Parallel("key0") != 1 {
		t.Error("a running request was forgotten")
	}
}

func TestTimeRunsBackwards(t *testing.T) {
	t.Parallel()
	var tab Table
	l := Limits{RequestsPerMinute: 5, TokensPerMinute: 100}
	granted := 0
	for i := range 100 {
		r, err := tab.Reserve("k", l, 1, start.Add(-time.Duration(i)*time.Second))
		if err == nil {
			granted++
			r.Settle(0, start.Add(-time.Hour))
		}
	}
	if granted != 5 {
		t.Errorf("%d of 5 granted by a clock that runs backwards", granted)
	}
}

func BenchmarkReserve(b *testing.B) {
	for _, parallel := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("open=", parallel), func(b *testing.B) {
			var tab Table
			l := Limits{RequestsPerMinute: 1e9, TokensPerMinute: 1e12, Parallel: 1e6}
			now := time.Now()
			for range parallel - 1 {
				if _, err := tab.Reserve("k", l, 100, now); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				r, err := tab.Reserve("k", l, 100, now)
				if err != nil {
					b.Fatal(err)
				}
				r.Settle(50, now)
				r.Release()
			}
		})
	}
}
