package batch

import (
	"cmp"
	"slices"
	"time"
)

// Rule says when items leave a provider's batch so that their deadline is kept.
// Waiting costs nothing and what is finished is kept, so the best moment is the
// latest safe one. The zero Rule has the defaults.
type Rule struct {
	// Margin is how many times the time that real time should need is kept free;
	// 0 means 3, which in simulation misses nothing when the quota falls to 40 %.
	Margin float64
	// Latency is the p99 of one request with its retries, 0 means 30 s; Cancel is
	// how long the provider may take to end a cancelled batch, 0 means 1 min;
	// Poll is the longest time between two looks, 0 means 30 s.
	Latency, Cancel, Poll time.Duration
}

func (r Rule) filled() Rule {
	return Rule{cmp.Or(r.Margin, 3), cmp.Or(r.Latency, 30*time.Second), cmp.Or(r.Cancel, time.Minute), cmp.Or(r.Poll, 30*time.Second)}
}

// Rate is how many items a minute real time can take, of what more urgent
// traffic leaves.
type Rate float64

// need is how long n items take.
func (r Rate) need(n float64) time.Duration {
	if n <= 0 {
		return 0
	}
	if r <= 0 {
		return never
	}
	m := n / float64(r) * float64(time.Minute)
	return time.Duration(min(m, float64(never)))
}

// never is longer than any deadline, and twice it is no overflow.
const never = 10 * 365 * 24 * time.Hour

// slack is the time that must be left besides that of the items.
func (r Rule) slack() time.Duration { return r.Latency + r.Cancel + 2*r.Poll }

// Leave says that left items must leave their batch now to be answered by the
// deadline at this rate.
func (r Rule) Leave(now, deadline time.Time, left int64, rate Rate) bool {
	if left == 0 {
		return false
	}
	r = r.filled()
	return rate.need(r.Margin*float64(left))+r.slack() >= deadline.Sub(now)
}

// Demand is what one job still needs.
type Demand struct {
	Job      JobID
	Deadline time.Time
	// Left is how many items have no answer; RealTime says that they have left
	// their batch already.
	Left     int64
	RealTime bool
}

// Switch gives the jobs that must leave their batches now, the earliest
// deadline first. All jobs share the rate, so for every deadline the work that
// is due by then must fit before it (the demand test of EDF); where it does not,
// the jobs due by then leave one after the other until what is left in batches
// fits. A job in real time counts once: its quota is in use already.
func (r Rule) Switch(now time.Time, demands []Demand, rate Rate) []JobID {
	r = r.filled()
	ds := slices.Clone(demands)
	slices.SortStableFunc(ds, func(a, b Demand) int { return a.Deadline.Compare(b.Deadline) })
	var out []JobID
	begin := 0 // jobs before it have left
	var sum float64
	for i, d := range ds {
		weight := r.Margin
		if d.RealTime {
			weight = 1
		}
		sum += weight * float64(d.Left)
		for sum > 0 && rate.need(sum)+r.slack() >= d.Deadline.Sub(now) && begin <= i {
			if e := ds[begin]; !e.RealTime && e.Left > 0 {
				out = append(out, e.Job)
				sum -= (r.Margin - 1) * float64(e.Left)
			}
			begin++
		}
	}
	return out
}

// Admission is what can be promised for a job.
type Admission struct {
	// Possible is false when even real time from now on is too slow; then
	// Earliest is the earliest deadline that could be kept.
	Possible bool
	Earliest time.Time
	// Batch says that there is time to try the cheaper way first, until Until.
	Batch bool
	Until time.Time
}

// Admit tests a job of n items against the deadline, with the work that is due
// before it.
func (r Rule) Admit(now, deadline time.Time, n int64, others []Demand, rate Rate) Admission {
	r = r.filled()
	due := n
	for _, d := range others {
		if !d.Deadline.After(deadline) {
			due += d.Left
		}
	}
	a := Admission{Earliest: now.Add(rate.need(float64(due)) + r.Latency)}
	a.Possible = !a.Earliest.After(deadline)
	if u := deadline.Add(-rate.need(r.Margin*float64(due)) - r.slack()); u.After(now) {
		a.Batch, a.Until = true, u
	}
	return a
}

// Curve is how long the batches of one provider and model took, learned from
// those that ended. The zero Curve knows nothing. It is not safe for concurrent
// use.
type Curve struct {
	took []time.Duration // of the last batches, oldest first
}

// curveLength is how many batches a curve remembers.
const curveLength = 200

// Add notes a batch that took so long, or that had not ended after so long.
func (c *Curve) Add(took time.Duration) {
	if len(c.took) == curveLength {
		c.took = slices.Delete(c.took, 0, 1)
	}
	c.took = append(c.took, took)
}

// Within is the share of batches that end within d. Four batches that are not
// there count as the published mix: 70 % within an hour, 90 % within 4, 98.5 %
// within 24 (Anthropic's documents and reports, 2026-11).
func (c *Curve) Within(d time.Duration) float64 {
	const weight = 4
	n := weight * published(d)
	for _, t := range c.took {
		if t <= d {
			n++
		}
	}
	return n / float64(weight+len(c.took))
}

func published(d time.Duration) float64 {
	points := []struct {
		at    time.Duration
		share float64
	}{{0, 0}, {time.Hour, .70}, {4 * time.Hour, .90}, {8 * time.Hour, .90}, {24 * time.Hour, .985}}
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		if d < b.at {
			return a.share + (b.share-a.share)*float64(max(d, 0)-a.at)/float64(b.at-a.at)
		}
	}
	return .985
}

// Choice is a path and the reason for it.
type Choice struct {
	Path Path
	Why  string
	// Share is the expected cost, 1 being real time, InTime the chance that the
	// batch ends in time.
	Share, InTime float64
}

// worthwhile is the least expected saving for which a batch is tried.
const worthwhile = .02

// Choose chooses a path. discount is the batch price's (0.5 is half price);
// able is false when the provider has no batches or cannot take this item.
func Choose(a Admission, now time.Time, able bool, discount float64, c *Curve) Choice {
	switch {
	case !able:
		return Choice{PathRealTime, "the provider takes no such item in batches", 1, 0}
	case discount <= 0:
		return Choice{PathRealTime, "no lower price of batches is known there", 1, 0}
	case !a.Batch:
		return Choice{PathRealTime, "the deadline leaves no time for a batch", 1, 0}
	}
	p := c.Within(a.Until.Sub(now))
	if discount*p < worthwhile {
		return Choice{PathRealTime, "batches there do not end in time", 1, 0}
	}
	return Choice{PathBatch, "a batch is cheaper and there is time to leave it", 1 - discount*p, p}
}
