package budget

import (
	"context"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Caller is who spends.
type Caller struct {
	Key, Team string
	Tags      []string
}

// Tab is one request's hold on every budget that it spends of. It belongs to
// one goroutine.
type Tab struct {
	k      *Keeper
	purses []*purse
	lines  []*line
	held   llm.Nanodollars
	closed bool
}

// Open finds the budgets that the caller spends of; nil when there are none,
// and a nil Tab may be closed. It holds nothing yet.
func (k *Keeper) Open(c *Caller, now time.Time) *Tab {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.lines) == 0 {
		return nil
	}
	var t *Tab
	add := func(s Scope, subject string) {
		if subject == "" {
			return
		}
		for _, w := range [...]Window{Daily, Weekly, Monthly, Total} {
			l := k.lines[ID{s, subject, w}]
			if l == nil {
				continue
			}
			if t == nil {
				t = &Tab{k: k}
			}
			t.lines, t.purses = append(t.lines, l), append(t.purses, l.purse(now))
		}
	}
	add(Key, c.Key)
	add(Team, c.Team)
	for _, name := range c.Tags {
		add(Tag, name)
	}
	return t
}

// Hold makes the tab hold want on all of its budgets or, where they do not
// have that, as much as they have but no less than least. It returns what is
// held, which never shrinks. It waits while a lease is on its way or other
// requests hold what is lacking, for Options.Wait at most. The error is an
// *llm.Error that names the budget: QuotaExhausted when it is used up,
// Unavailable when the store would have to be asked and cannot be.
func (t *Tab) Hold(ctx context.Context, want, least llm.Nanodollars) (llm.Nanodollars, *llm.Error) {
	before := t.held
	held, err := t.hold(ctx, want, least)
	if held > before {
		t.k.mark(t.purses) // before anything is sent
	}
	return held, err
}

func (t *Tab) hold(ctx context.Context, want, least llm.Nanodollars) (llm.Nanodollars, *llm.Error) {
	k := t.k
	k.mu.Lock()
	defer k.mu.Unlock()
	// Free of charge is no reason to let a blocked caller through.
	for i, l := range t.lines {
		if l.Limit == 0 {
			return 0, exhausted(l, t.purses[i])
		}
	}
	if k.down && k.o.StrictWhenDown {
		return 0, unavailable()
	}
	if want <= t.held {
		return t.held, nil
	}
	for _, p := range t.purses {
		p.peak = max(p.peak, want)
	}
	var timer *time.Timer
	var late <-chan time.Time
	for over := false; ; {
		free, may, at, others := t.room()
		target := min(want, may)
		switch {
		case free >= want, free >= least && (free >= target || over):
			t.grow(min(want, free))
			return t.held, nil
		case over, target < least && !others:
			l, p := t.lines[at], t.purses[at]
			// Whatever was spent of it, a budget below the least is too small.
			if l.Limit >= least && (!p.known || k.down && p.account.Spent+p.account.Leased < l.Limit) {
				return 0, unavailable()
			}
			return 0, exhausted(l, p)
		}
		if timer == nil {
			timer = time.NewTimer(k.o.Wait)
			defer timer.Stop()
			late = timer.C
		}
		lack := make([]llm.Nanodollars, len(t.purses))
		if target >= least { // the store has it
			for i, p := range t.purses {
				lack[i] = max(target-t.held-p.free(), 0)
				p.wanted += lack[i]
			}
			select {
			case k.nudged <- struct{}{}:
			default:
			}
		}
		changed := k.changed
		k.mu.Unlock()
		select {
		case <-changed:
		case <-late:
			over = true
		case <-ctx.Done():
			over = true
		}
		k.mu.Lock()
		for i, p := range t.purses {
			p.wanted -= lack[i]
		}
	}
}

// room says how much the tab may hold now (free), how much with everything
// that the store still has (may), which budget bounds that, and whether other
// requests hold money of it. It needs the keeper's mu.
func (t *Tab) room() (free, may llm.Nanodollars, at int, others bool) {
	for i, p := range t.purses {
		l := t.lines[i]
		f := max(t.held+p.free(), 0)
		m := f
		switch {
		case t.k.down:
		case !p.known:
			m = max(m, l.Limit)
		default:
			m += max(l.Limit-p.account.Spent-p.account.Leased, 0)
		}
		if i == 0 || f < free {
			free = f
		}
		if i == 0 || m < may {
			may, at, others = m, i, p.reserved > t.held
		}
	}
	return free, may, at, others
}

// grow raises what is held. It needs the keeper's mu.
func (t *Tab) grow(to llm.Nanodollars) {
	if to <= t.held {
		return
	}
	for _, p := range t.purses {
		p.reserved += to - t.held
	}
	t.held = to
}

// Held is what the tab holds.
func (t *Tab) Held() llm.Nanodollars {
	if t == nil {
		return 0
	}
	return t.held
}

// Close ends the tab: cost is what the request cost, which may be more than
// was held. It returns the slots that are charged. Closing again does nothing.
func (t *Tab) Close(cost llm.Nanodollars) []Slot {
	if t == nil || t.closed {
		return nil
	}
	t.closed = true
	defer t.k.mark(t.purses) // before its row is written
	cost = max(cost, 0)
	k := t.k
	slots := make([]Slot, len(t.purses))
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, p := range t.purses {
		p.reserved -= t.held
		p.charged += cost
		slots[i] = p.Slot
		l := t.lines[i]
		if now := reached(l.Alerts, p.spent(), l.Limit); now > p.told {
			p.told = now
			k.o.Log.Warn("a budget has reached a threshold", "budget", l.ID.String(), "percent", now,
				"spent", Dollars(p.spent()), "limit", Dollars(l.Limit))
			if k.o.Reached != nil {
				k.o.Reached(l.ID, now, p.spent(), l.Limit)
			}
		}
	}
	t.held = 0
	k.announce()
	return slots
}

// exhausted is the error of a budget that is used up.
func exhausted(l *line, p *purse) *llm.Error {
	var b strings.Builder
	b.WriteString("the " + string(l.Window) + " budget of " + string(l.Scope) + " " + l.Subject + " is used up: ")
	if l.Limit == 0 {
		b.WriteString("its limit is $0.00")
	} else {
		b.WriteString(Dollars(p.spent()) + " of " + Dollars(l.Limit) + " are spent")
		if p.reserved > 0 {
			b.WriteString(", " + Dollars(p.reserved) + " are held by running requests")
		}
	}
	e := llm.Errorf(llm.QuotaExhausted, "")
	if p.end.IsZero() {
		b.WriteString("; it does not reset")
	} else {
		b.WriteString("; it resets at " + p.end.Format(time.RFC3339))
		e.RetryAfter = max(time.Until(p.end), time.Second)
	}
	e.Message, e.NoRepeat, e.Code = b.String(), true, "insufficient_quota"
	return e
}

func unavailable() *llm.Error {
	e := llm.Errorf(llm.Unavailable, "budgets cannot be checked now")
	e.RetryAfter = time.Second
	return e
}
