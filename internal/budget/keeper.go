package budget

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"headrace/internal/llm"
)

// Options set up a Keeper. Store is required.
type Options struct {
	Store Store
	// Run is the ledger's run, whose rows pay for the leases; it is asked when
	// the first lease is taken.
	Run func() int64
	// Declared are the budgets of the configuration, which win over the store's.
	Declared []Budget
	// Reached is told of thresholds, too; nil is not. It must not wait.
	Reached func(id ID, percent int, spent, limit llm.Nanodollars)
	// Log is told of thresholds and of the store; nil is silent.
	Log *slog.Logger
	// Wait is how long a request waits at most for money that other requests
	// hold; 0 means 2 s.
	Wait time.Duration
	// StrictWhenDown refuses requests under a budget while the store fails; else
	// they go on with what is leased.
	StrictWhenDown bool
}

const (
	// renewEvery is how often leases are looked at. A request that finds too
	// little does not wait for it.
	renewEvery = 250 * time.Millisecond
	// refreshEvery is how often the store is asked about a budget whose lease
	// needs no change: another process may have spent of it.
	refreshEvery = 5 * time.Second
	// ahead is for how long a lease is to last at the present rate.
	ahead = 8 * time.Second
	// leaseFor bounds one conversation with the store.
	leaseFor = 10 * time.Second
	// part is the smallest lease, as a part of the limit.
	part = 64
)

// Keeper holds requests to budgets. Safe for concurrent use.
type Keeper struct {
	o Options
	// nudged has a token when a request waits for a larger lease.
	nudged chan struct{}
	// turn is held by who talks to the store.
	turn chan struct{}

	mu sync.Mutex // guards all below; never held over I/O
	// lines are the budgets in force.
	lines map[ID]*line
	// changed is closed and replaced when money becomes free or the store is
	// heard from.
	changed chan struct{}
	version int64
	read    bool
	// declared are the configuration's budgets in force.
	declared []Budget
	down     bool
	marks    *Marks // nil is none
}

// line is a budget in force with its present window and, near its end, the
// next.
type line struct {
	Budget
	now, next *purse
}

// purse is the money of one slot in this process.
type purse struct {
	Slot
	end time.Time // zero for Total
	// took is what was leased so far, less what was given back; reserved is what
	// running requests hold, charged what ended ones cost. What is free is the
	// rest.
	took, reserved, charged llm.Nanodollars
	// wanted is what waiting requests lack.
	wanted llm.Nanodollars
	// peak is the largest reservation of late, rate what is spent a second.
	peak, rate llm.Nanodollars
	// known says that the store was asked; account is what it said, base what
	// was spent before this process began.
	known   bool
	account Account
	base    llm.Nanodollars
	asked   time.Time
	// measured and then are when rate was last worked out, and charged then.
	measured time.Time
	then     llm.Nanodollars
	// told is the largest threshold that the log knows.
	told int

	marking sync.Mutex // guards cell
	cell    *cell
}

func (p *purse) free() llm.Nanodollars { return p.took - p.reserved - p.charged }

// spent is what the slot has cost as far as is known here.
func (p *purse) spent() llm.Nanodollars { return max(p.base+p.charged, p.account.Spent) }

// New makes a Keeper. Nothing is bounded before the first Reload.
func New(o Options) *Keeper {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Wait = cmp.Or(o.Wait, 2*time.Second)
	return &Keeper{o: o, nudged: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		lines: map[ID]*line{}, changed: make(chan struct{}), declared: o.Declared}
}

// Reload reads the budgets. On an error they stay what they were.
func (k *Keeper) Reload(ctx context.Context) error {
	version, err := k.o.Store.BudgetsVersion(ctx)
	if err != nil {
		return err
	}
	all, err := k.o.Store.Budgets(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.lines
	k.lines = make(map[ID]*line, len(all)+len(k.declared))
	for _, b := range append(all, k.declared...) {
		l := &line{Budget: b}
		if was := old[b.ID]; was != nil {
			l.now, l.next = was.now, was.next
			if l.now != nil && b.Limit != was.Limit {
				l.now.told, l.now.asked = 0, time.Time{}
			}
		}
		k.lines[b.ID] = l
	}
	for _, l := range k.lines {
		if l.now != nil {
			l.now.asked = time.Time{} // SettleLost may have changed it
		}
	}
	k.version, k.read = version, true
	k.announce()
	return nil
}

// Declare replaces the configuration's budgets; the next round brings them into
// force.
func (k *Keeper) Declare(all []Budget) {
	k.mu.Lock()
	k.declared, k.read = all, false
	k.mu.Unlock()
	select {
	case k.nudged <- struct{}{}:
	default:
	}
}

// announce wakes who waits. It needs mu.
func (k *Keeper) announce() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// purse gives the line's purse at a time. It needs mu.
func (l *line) purse(at time.Time) *purse {
	if p := l.now; p != nil && (p.end.IsZero() || at.Before(p.end)) {
		return p
	}
	if p := l.next; p != nil && !at.Before(p.Start) && at.Before(p.end) {
		l.now, l.next = p, nil
		return p
	}
	l.now, l.next = newPurse(l.ID, at), nil
	return l.now
}

func newPurse(id ID, at time.Time) *purse {
	start, end := id.Window.Bounds(at)
	return &purse{Slot: Slot{id, start}, end: end, measured: at}
}

// Run renews leases and follows the store until ctx ends; then it gives back
// what is free. The caller owns its goroutine.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		k.round(ctx)
		select {
		case <-ctx.Done():
			k.giveBack(context.WithoutCancel(ctx)) // what is not given back counts as spent
			return
		case <-tick.C:
		case <-k.nudged:
		}
	}
}

// round reads budgets that have changed and renews leases.
func (k *Keeper) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaseFor)
	defer cancel()
	version, err := k.o.Store.BudgetsVersion(ctx)
	if err == nil && k.stale(version) {
		err = k.Reload(ctx)
	}
	if err == nil {
		err = k.renew(ctx)
	}
	if ctx.Err() == nil || err == nil {
		k.heard(err)
	}
}

// stale reports whether the budgets must be read again.
func (k *Keeper) stale(version int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.read || k.version != version
}

// heard notes how the store answered, and tells when that changes.
func (k *Keeper) heard(err error) {
	k.mu.Lock()
	was := k.down
	k.down = err != nil
	if was != k.down {
		k.announce()
	}
	k.mu.Unlock()
	switch {
	case err != nil && !was:
		k.o.Log.Error("budgets cannot be leased: requests under a budget go on with what is leased", "strict", k.o.StrictWhenDown, "error", err)
	case err == nil && was:
		k.o.Log.Info("budgets can be leased again")
	}
}

// asked is an Ask and whose it is.
type asked struct {
	Ask
	purse *purse
}

// renew takes what will be needed and gives back what is not.
func (k *Keeper) renew(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	now := time.Now()
	k.mu.Lock()
	var asks []asked
	for _, l := range k.lines {
		p := l.purse(now)
		p.measure(now)
		if a := l.ask(p, now, k.down); a != nil {
			asks = append(asks, *a)
		}
		if !p.end.IsZero() && l.next == nil && p.end.Sub(now) < ahead {
			// The next window must not begin with a wait.
			l.next = newPurse(l.ID, p.end)
			l.next.peak, l.next.rate = p.peak, p.rate
			if a := l.ask(l.next, now, k.down); a != nil {
				asks = append(asks, *a)
			}
		}
	}
	k.mu.Unlock()
	if len(asks) == 0 {
		return nil
	}
	return k.lease(ctx, asks, now)
}

// measure works out the rate of spending, once a second. It needs the
// keeper's mu.
func (p *purse) measure(now time.Time) {
	gone := now.Sub(p.measured)
	if gone < time.Second {
		return
	}
	rate := llm.Nanodollars(float64(p.charged-p.then) / gone.Seconds())
	p.rate += (rate - p.rate) / 4
	p.peak -= p.peak / 32
	p.measured, p.then = now, p.charged
}

// ask says what the lease of a purse needs, or nil. It needs the keeper's mu.
func (l *line) ask(p *purse, now time.Time, down bool) *asked {
	target := min(max(2*p.peak, p.rate*llm.Nanodollars(ahead/time.Second), l.Limit/part), l.Limit)
	free, take := p.free(), llm.Nanodollars(0)
	switch over := p.account.Spent + p.account.Leased - l.Limit; {
	case p.wanted > 0:
		take = target + p.wanted - max(free, 0)
		if free < 0 { // a request cost more than it held
			take -= free
		}
		take = max(take, p.wanted)
	case free < target/2:
		take = target - free
	case down:
		// Whether it was given back would not be known.
	case over > 0 && free > 0 && p.known:
		take = -min(over, free) // the limit was lowered
	case free > 4*target:
		take = 2*target - free
	}
	if take > 0 && p.known && l.Limit-p.account.Spent-p.account.Leased <= 0 && now.Sub(p.asked) < renewEvery {
		take = 0 // just asked, and there was nothing
	}
	if take == 0 && now.Sub(p.asked) < refreshEvery {
		return nil
	}
	if take < 0 {
		p.took += take // nobody may use it from now on
	}
	p.asked = now
	return &asked{Ask{p.Slot, l.Limit, take}, p}
}

// lease asks the store. What was to be given back stays taken off when its
// fate is not known; what was to be taken is not counted then.
func (k *Keeper) lease(ctx context.Context, asks []asked, now time.Time) error {
	list, purses := make([]Ask, len(asks)), make([]*purse, len(asks))
	for i := range asks {
		list[i], purses[i] = asks[i].Ask, asks[i].purse
	}
	k.mark(purses) // what is given back is not free any more
	defer k.mark(purses)
	accounts, err := k.o.Store.Lease(ctx, k.o.Run(), list)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		for i := range asks {
			asks[i].purse.asked = time.Time{}
		}
		return fmt.Errorf("lease of budgets: %w", err)
	}
	for i, a := range accounts {
		p := asks[i].purse
		if a.Took > 0 {
			p.took += a.Took
		}
		if !p.known {
			p.known, p.base = true, a.Spent
		}
		p.account = a
	}
	k.announce()
	return nil
}

// giveBack ends all leases, as far as nothing is reserved.
func (k *Keeper) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaseFor/2)
	defer cancel()
	k.mu.Lock()
	var asks []asked
	for _, l := range k.lines {
		for _, p := range []*purse{l.now, l.next} {
			if p == nil {
				continue
			}
			if free := p.free(); free > 0 {
				p.took -= free
				asks = append(asks, asked{Ask{p.Slot, l.Limit, -free}, p})
			}
		}
	}
	k.mu.Unlock()
	if len(asks) == 0 {
		return
	}
	if err := k.lease(ctx, asks, time.Now()); err != nil {
		k.o.Log.Error("leases of budgets could not be given back: they count as spent until they are settled (headrace budgets settle)", "error", err)
	}
}

// State is how a budget stands, for people.
type State struct {
	Budget
	// Start is when its window began and Resets when the next one does; zero for
	// Total.
	Start, Resets time.Time
	// Spent is what ended requests cost, Reserved what running ones hold, Lease
	// what is taken out of the store and free, Lost what runs that are over had
	// leased and never accounted for. What may still be spent is Left.
	Spent, Reserved, Lease, Lost, Left llm.Nanodollars
	// Reached is the largest threshold of Alerts that is reached, in percent; 0
	// is none.
	Reached int
}

// States lists all budgets by name with what this process knows. A process
// that serves nothing reads the store: ask gives the accounts for it.
func (k *Keeper) States(now time.Time) []State {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []State
	for _, l := range k.lines {
		p := l.purse(now)
		list = append(list, l.state(p))
	}
	slices.SortFunc(list, func(a, b State) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	return list
}

func (l *line) state(p *purse) State {
	s := State{Budget: l.Budget, Start: p.Start, Resets: p.end, Spent: p.spent(), Reserved: p.reserved,
		Lease: max(p.free(), 0), Lost: p.account.Lost}
	s.Left = max(l.Limit-s.Spent-s.Reserved-s.Lost, 0)
	s.Reached = reached(l.Alerts, s.Spent, l.Limit)
	return s
}

// Refresh asks the store how all budgets stand, for a process that leases
// nothing itself.
func (k *Keeper) Refresh(ctx context.Context) error {
	if err := k.Reload(ctx); err != nil {
		return err
	}
	now := time.Now()
	k.mu.Lock()
	var slots []Slot
	var purses []*purse
	for _, l := range k.lines {
		p := l.purse(now)
		slots, purses = append(slots, p.Slot), append(purses, p)
	}
	k.mu.Unlock()
	accounts, err := k.o.Store.Accounts(ctx, slots)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, a := range accounts {
		if p := purses[i]; !p.known {
			p.known, p.base = true, a.Spent
		}
		purses[i].account = a
	}
	return nil
}

// reached gives the largest threshold that is reached, or 0.
func reached(alerts []int, spent, limit llm.Nanodollars) int {
	top := 0
	if limit == 0 {
		return 0 // it is a switch, not a sum
	}
	for _, a := range alerts {
		// Divided first: spent may be large.
		if float64(spent) >= float64(limit)*float64(a)/100 {
			top = a
		}
	}
	return top
}
