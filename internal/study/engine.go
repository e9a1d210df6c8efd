package study

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/ledger"
	"headrace/internal/trial"
	"headrace/internal/variant"
)

// Options set up an Engine. Store and Desk are required.
type Options struct {
	Store Store
	// Desk is told how the experiments stand.
	Desk *variant.Desk
	// Log is told of decisions and failures; nil is silent.
	Log *slog.Logger
	// Every is how often the ledger is looked at; 0: 2 s.
	Every time.Duration
}

// Engine reads the ledger for the experiments that are declared. Run, Load and
// Look are for one goroutine; all else is safe for concurrent use.
type Engine struct {
	o     Options
	nudge chan struct{}

	mu      sync.Mutex // guards designs
	designs []*Design

	// What follows belongs to who looks.
	loaded bool
	states map[int64]*State
	kept   map[int64]string // as it is in the store
	read   int64
	heard  time.Time // until when what was said is known; zero after a start
}

// The bounds of what is done at once and kept.
const (
	rowsAtOnce  = 500
	mostEpochs  = 4
	mostPoints  = 240
	pointEvery  = time.Minute
	shiftEvery  = 10 * time.Minute
	banditFloor = 0.05
	pinsLoaded  = 1 << 16
)

// New makes an Engine. Nothing is read before Load or Run.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = 2 * time.Second
	}
	return &Engine{o: o, nudge: make(chan struct{}, 1), states: map[int64]*State{}, kept: map[int64]string{}}
}

// Declare says which experiments there are; it replaces those declared before.
func (e *Engine) Declare(designs []*Design) {
	list := make([]*variant.Experiment, len(designs))
	for i, d := range designs {
		list[i] = &d.Experiment
	}
	e.mu.Lock()
	e.designs = designs
	e.mu.Unlock()
	e.o.Desk.Set(list)
	e.Nudge()
}

// Nudge makes Run look at once.
func (e *Engine) Nudge() {
	select {
	case e.nudge <- struct{}{}:
	default:
	}
}

func (e *Engine) declared() []*Design {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.designs
}

// Run looks at the ledger until ctx ends. The caller owns its goroutine.
func (e *Engine) Run(ctx context.Context) {
	tick := time.NewTicker(e.o.Every)
	defer tick.Stop()
	failing := false
	for {
		err := e.Look(ctx, time.Now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			e.o.Log.Error("experiments cannot be read; they go on as they stand", "error", err)
		case err == nil && failing:
			e.o.Log.Info("experiments are read again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-e.nudge:
		}
	}
}

// Look brings what is known up to date and acts on it.
func (e *Engine) Look(ctx context.Context, now time.Time) (err error) {
	designs := e.declared()
	if len(designs) == 0 {
		return nil
	}
	defer func() {
		if err != nil {
			e.loaded, e.heard = false, time.Time{} // what is in memory may not be what was saved
		}
	}()
	if !e.loaded {
		if err := e.load(ctx); err != nil {
			return err
		}
	}
	for _, d := range designs {
		if e.states[d.Run] == nil {
			e.states[d.Run] = fresh(d)
			if err := e.pin(ctx, d); err != nil {
				return err
			}
		}
	}
	if err := e.obey(ctx, designs, now); err != nil {
		return err
	}
	for {
		entries, err := e.o.Store.Trials(ctx, e.read, rowsAtOnce)
		if err != nil {
			return err
		}
		if err := e.take(ctx, designs, entries); err != nil {
			return err
		}
		if len(entries) < rowsAtOnce {
			break
		}
	}
	if err := e.hear(ctx, designs, now); err != nil {
		return err
	}
	for _, d := range designs {
		s := e.states[d.Run]
		e.clock(d, s, now)
		e.judge(d, s, now)
		d.remember(s, now)
		e.o.Desk.Steer(d.Run, d.stand(s))
	}
	return e.save(ctx, designs, nil, nil, now)
}

// late is how long after it was said a word may come to the store: what was heard
// already is heard again within that time, and changes nothing.
const late = 30 * time.Second

// hear brings requests up to date of which something was said since the last look;
// after a start, in the last days.
func (e *Engine) hear(ctx context.Context, designs []*Design, now time.Time) error {
	since := e.heard.Add(-late)
	if e.heard.IsZero() {
		since = now.Add(-heardAtStart)
	}
	for after := int64(0); ; {
		entries, err := e.o.Store.Said(ctx, since, after, e.read, rowsAtOnce)
		if err != nil {
			return err
		}
		units, verdicts := map[unitKey]*Unit{}, map[ledger.ID]float64{}
		for i := range entries {
			row := &entries[i]
			after = row.Seq
			if err := e.revise(ctx, designs, row, units, verdicts); err != nil {
				return err
			}
		}
		if len(verdicts) > 0 {
			if err := e.save(ctx, designs, listed(units), verdicts, now); err != nil {
				return err
			}
		}
		if len(entries) < rowsAtOnce {
			break
		}
	}
	e.heard = now
	return nil
}

// heardAtStart is how far back a start looks for what was said.
const heardAtStart = 7 * 24 * time.Hour

// revise has a request count as well as it now does.
func (e *Engine) revise(ctx context.Context, designs []*Design, row *ledger.Entry, units map[unitKey]*Unit, verdicts map[ledger.ID]float64) error {
	at := slices.IndexFunc(designs, func(d *Design) bool { return d.Run == row.Trial.Run })
	if at < 0 || row.Trial.Shadows != 0 {
		return nil
	}
	d := designs[at]
	is, judged := Good(row)
	if !judged {
		return nil
	}
	was, counted := scored(row, nil)
	told, known, err := e.o.Store.Verdict(ctx, row.ID)
	if err != nil {
		return err
	}
	if known {
		was, counted = told, true
	}
	if counted && math.Abs(was-is) < 1e-6 {
		return nil
	}
	u, err := e.unit(ctx, units, d, row)
	if err != nil || u == nil || u.Arm != row.Trial.Arm || d.At(u.Arm) < 0 {
		return err
	}
	change := Sum{Good: is}
	if counted {
		change.Good -= was
	} else {
		change.Judged = 1
	}
	d.add(e.states[d.Run], u, &change)
	verdicts[row.ID] = is
	return nil
}

// fresh is the state of a run that was never looked at.
func fresh(d *Design) *State {
	s := &State{Phase: variant.Waiting}
	guards, _ := d.guarded(&Sum{})
	for i := range d.Arms {
		s.Arms = append(s.Arms, Arm{Name: d.Arms[i].Name, Guards: make([]trial.Sums, len(guards))})
	}
	if d.Bandit {
		s.Weighted = trial.NewWeighted(len(d.Arms))
	}
	return s
}

// load reads what the store has.
func (e *Engine) load(ctx context.Context) error {
	runs, read, err := e.o.Store.StudyRuns(ctx)
	if err != nil {
		return err
	}
	clear(e.states)
	clear(e.kept)
	for _, r := range runs {
		s := &State{}
		if err := json.Unmarshal(r.State, s); err != nil {
			return fmt.Errorf("experiment %s: what was kept of it cannot be read: %w", r.Name, err)
		}
		e.states[r.ID], e.kept[r.ID] = s, string(r.State)
	}
	e.read, e.loaded = read, true
	for _, d := range e.declared() {
		if s := e.states[d.Run]; s != nil {
			if err := e.pin(ctx, d); err != nil {
				return err
			}
			e.o.Desk.Steer(d.Run, d.stand(s))
		}
	}
	return nil
}

// pin tells the desk the arms of the units that were seen last.
func (e *Engine) pin(ctx context.Context, d *Design) error {
	units, err := e.o.Store.StudyPins(ctx, d.Run, pinsLoaded)
	if err != nil {
		return err
	}
	for _, u := range units {
		if arm := d.At(u.Arm); arm >= 0 {
			e.o.Desk.Pin(d.Run, u.ID, arm)
		}
	}
	return nil
}

// stand is what the desk must know of a state.
func (d *Design) stand(s *State) *variant.Stand {
	st := &variant.Stand{Phase: s.Phase, Winner: max(d.At(s.Winner), 0), Spent: int64(s.Spent)}
	if len(s.Shares) == len(d.Arms) {
		st.Shares = slices.Clone(s.Shares)
	}
	for i := range s.Arms {
		if s.Arms[i].Halted != "" {
			if st.Halted == nil {
				st.Halted = make([]bool, len(d.Arms))
			}
			st.Halted[i] = true
		}
	}
	return st
}

// obey carries out what operators have ordered since.
func (e *Engine) obey(ctx context.Context, designs []*Design, now time.Time) error {
	for _, d := range designs {
		s := e.states[d.Run]
		orders, err := e.o.Store.Orders(ctx, s.Order)
		if err != nil {
			return err
		}
		for _, o := range orders {
			s.Order = o.ID
			if o.Run == d.Run {
				e.carryOut(d, s, o, now)
			}
		}
	}
	return nil
}

func (e *Engine) carryOut(d *Design, s *State, o Order, now time.Time) {
	switch o.Act {
	case Start:
		if s.Phase == variant.Running {
			return
		}
		s.Phase, s.Why, s.Winner, s.Ended = variant.Running, "started by "+o.Who, "", time.Time{}
		if s.Began.IsZero() {
			s.Began = now
		}
	case Stop:
		s.Phase, s.Why, s.Winner, s.Ended = variant.Stopped, "stopped by "+o.Who, "", now
	case Decide:
		arm := o.Arm
		if arm == "" {
			if r := d.Read(s); r.Winner >= 0 {
				arm = s.Arms[r.Winner].Name
			}
		}
		if d.At(arm) < 0 {
			return // the winner is none any more
		}
		s.Phase, s.Why, s.Winner, s.Ended = variant.Decided, "decided by "+o.Who, arm, now
	}
	e.o.Log.Info("experiment", "name", d.Name, "phase", s.Phase, "why", s.Why, "winner", s.Winner)
}

// clock begins and ends what the configuration has given a time.
func (e *Engine) clock(d *Design, s *State, now time.Time) {
	switch {
	case s.Phase == variant.Waiting && !now.Before(d.Start) && !d.over(now):
		s.Phase, s.Why, s.Began = variant.Running, "it is in the configuration", now
		e.o.Log.Info("experiment", "name", d.Name, "phase", s.Phase)
	case s.Phase == variant.Running && d.over(now):
		s.Phase, s.Why, s.Ended = variant.Stopped, "its time is over", now
		e.o.Log.Info("experiment", "name", d.Name, "phase", s.Phase, "why", s.Why)
	}
}

func (d *Design) over(now time.Time) bool { return !d.Stop.IsZero() && !now.Before(d.Stop) }

// take adds rows up and saves what they change.
func (e *Engine) take(ctx context.Context, designs []*Design, entries []ledger.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	units := map[unitKey]*Unit{}
	for i := range entries {
		row := &entries[i]
		e.read = row.Seq
		at := slices.IndexFunc(designs, func(d *Design) bool { return d.Run == row.Trial.Run })
		if at < 0 {
			continue // of a definition that is there no more
		}
		d := designs[at]
		s := e.states[d.Run]
		arm := d.At(row.Trial.Arm)
		if arm < 0 {
			continue
		}
		if row.Trial.Shadows != 0 {
			if err := e.pair(ctx, d, s, row); err != nil {
				return err
			}
			continue
		}
		u, err := e.unit(ctx, units, d, row)
		if err != nil {
			return err
		}
		if u == nil {
			u = d.first(s, row, arm)
			units[unitKey{d.Run, row.Trial.Unit}] = u
		}
		d.count(s, u, row)
	}
	return e.save(ctx, designs, listed(units), nil, time.Now())
}

type unitKey struct{ run, unit int64 }

func listed(units map[unitKey]*Unit) (list []Unit) {
	for _, u := range units {
		list = append(list, *u)
	}
	return list
}

// unit is the unit of a row, as it is by now; nil when there is none yet.
func (e *Engine) unit(ctx context.Context, units map[unitKey]*Unit, d *Design, row *ledger.Entry) (*Unit, error) {
	k := unitKey{d.Run, row.Trial.Unit}
	if u := units[k]; u != nil {
		return u, nil
	}
	found, ok, err := e.o.Store.StudyUnit(ctx, k.run, k.unit)
	if err != nil || !ok {
		return nil, err
	}
	units[k] = &found
	return &found, nil
}

// first makes the unit of a row that is its first one.
func (d *Design) first(s *State, row *ledger.Entry, arm int) *Unit {
	t := row.Trial
	u := &Unit{Run: d.Run, ID: t.Unit, Arm: t.Arm, Sums: UnitSums{Predicted: t.Predicted, Shares: t.Shares}}
	s.Arms[arm].Units++
	if len(t.Shares) != len(s.Arms) {
		return u
	}
	at := slices.IndexFunc(s.Epochs, func(e Epoch) bool { return slices.Equal(e.Shares, t.Shares) })
	if at < 0 {
		s.Epochs = append(s.Epochs, Epoch{Shares: t.Shares, Counts: make([]int64, len(s.Arms))})
		at = len(s.Epochs) - 1
	}
	s.Epochs[at].Counts[arm]++
	if len(s.Epochs) > mostEpochs {
		old := s.Epochs[0]
		if s.Shared == 0 {
			s.Shared = 1
		}
		s.Shared = min(max(s.Shared*trial.ShareEvidence(old.Counts, old.Shares), 1e-300), 1e300)
		s.Epochs = s.Epochs[1:]
	}
	return u
}

// count adds a row to its unit, which belongs to the arm that it was given first.
func (d *Design) count(s *State, u *Unit, row *ledger.Entry) {
	if row.Trial.Arm != u.Arm {
		s.Strays++
		return
	}
	sum := sumOf(row, d.Guards.P95)
	if row.At.After(u.Seen) {
		u.Seen = row.At
	}
	d.add(s, u, &sum)
}

// add adds to a unit, and puts it as it is now in place of as it was.
func (d *Design) add(s *State, u *Unit, sum *Sum) {
	i := d.At(u.Arm)
	a := &s.Arms[i]
	before := u.Sums
	u.Sums.add(sum)
	a.Sum.add(sum)
	if y, x, ok := d.value(&before); ok {
		a.Value.Remove(y, x)
		d.weigh(s, i, &before, y, (*trial.Weighted).Remove)
	}
	if y, x, ok := d.value(&u.Sums); ok {
		a.Value.Add(y, x)
		d.weigh(s, i, &u.Sums, y, (*trial.Weighted).Add)
	}
	was, had := d.guarded(&before.Sum)
	is, has := d.guarded(&u.Sums.Sum)
	for g := range is {
		if had[g] {
			a.Guards[g].Remove(was[g], 0)
		}
		if has[g] {
			a.Guards[g].Add(is[g], 0)
		}
	}
}

func (d *Design) weigh(s *State, arm int, u *UnitSums, y float64, do func(w *trial.Weighted, arm int, chances, predicted []float64, y float64)) {
	if s.Weighted == nil || len(u.Shares) != len(s.Arms) {
		return
	}
	predicted := make([]float64, len(s.Arms))
	if d.Metric == Success {
		for i := range predicted {
			predicted[i] = u.Predicted
		}
	}
	do(s.Weighted, arm, u.Shares, predicted, y)
}

// pair compares a copy with the request that it is of.
func (e *Engine) pair(ctx context.Context, d *Design, s *State, row *ledger.Entry) error {
	s.Copies++
	s.Spent += row.Cost
	of, ok, err := e.o.Store.Request(ctx, row.Trial.Shadows)
	if err != nil || !ok || of.Trial == nil {
		return err
	}
	a, b, first, second := of.Trial.Arm, row.Trial.Arm, &of, row
	if d.At(a) > d.At(b) {
		a, b, first, second = b, a, second, first
	}
	at := slices.IndexFunc(s.Pairs, func(p Pair) bool { return p.A == a && p.B == b })
	if at < 0 {
		s.Pairs = append(s.Pairs, Pair{A: a, B: b})
		at = len(s.Pairs) - 1
	}
	p := &s.Pairs[at]
	// Of copies nobody says anything, so what is said of the others is left out.
	x, judgedX := scored(first, nil)
	y, judgedY := scored(second, nil)
	if judgedX && judgedY {
		p.Success.Add(y-x, 0)
	}
	if first.Priced && second.Priced {
		p.Cost.Add(dollars(second.Cost)-dollars(first.Cost), 0)
	}
	return nil
}

// judge acts on what can be said: halts arms, names a winner, moves shares.
func (e *Engine) judge(d *Design, s *State, now time.Time) {
	if s.Phase != variant.Running {
		return
	}
	d.freeze(s)
	r := d.Read(s)
	if r.Broken {
		return
	}
	guards := d.guards(s)
	left := 0
	for i := range s.Arms {
		a := &s.Arms[i]
		if at := slices.Index(r.Arms[i].Guards, trial.Harmful); i > 0 && a.Halted == "" && at >= 0 {
			a.Halted = guards[at].Name
			e.o.Log.Warn("experiment: an arm is stopped", "name", d.Name, "arm", a.Name, "guard", a.Halted)
			s.Shares, s.Moved = d.without(s), now
		}
		if a.Halted == "" {
			left++
		}
	}
	if left == 1 {
		s.Phase, s.Why, s.Ended = variant.Stopped, "guards have stopped every arm but the control", now
		return
	}
	if r.Winner >= 0 && d.Auto {
		s.Phase, s.Winner, s.Ended = variant.Decided, s.Arms[r.Winner].Name, now
		s.Why = fmt.Sprintf("%s beats every other arm; the chance that it is not the best is at most %.3g", s.Winner, r.Error)
		e.o.Log.Info("experiment", "name", d.Name, "phase", s.Phase, "winner", s.Winner)
		return
	}
	if d.Bandit && now.Sub(s.Moved) >= shiftEvery {
		d.shift(s, now)
	}
}

// freeze notes the control's values once there is enough of them.
func (d *Design) freeze(s *State) {
	least := d.plan(s).Least
	c := &s.Arms[0]
	if s.Scale == 0 && c.Value.N >= least {
		v := c.Value.Mean()
		if d.Metric == CostPerSuccess {
			v = c.Value.Ratio()
		}
		if !math.IsInf(v.Variance, 1) {
			s.Scale = v.Value
		}
	}
	if n := c.Sum.N - c.Sum.Unknown; s.CostScale == 0 && c.Units >= least && n > 0 {
		s.CostScale = dollars(c.Sum.Cost) / float64(n)
	}
}

// without are the shares in force with those of halted arms given to the control.
func (d *Design) without(s *State) []float64 {
	shares := d.Experiment.Shares()
	if len(s.Shares) == len(shares) {
		shares = slices.Clone(s.Shares)
	}
	for i := range s.Arms {
		if s.Arms[i].Halted != "" {
			shares[0] += shares[i]
			shares[i] = 0
		}
	}
	return shares
}

// shift moves the shares of a bandit towards what is best, among the arms that
// are in.
func (d *Design) shift(s *State, now time.Time) {
	var in []int
	var estimates []trial.Estimate
	least := d.plan(s).Least
	for i := range s.Arms {
		if s.Arms[i].Halted != "" {
			continue
		}
		if s.Arms[i].Value.N < least {
			return
		}
		in = append(in, i)
		estimates = append(estimates, s.Weighted.Mean(i))
	}
	shares := make([]float64, len(s.Arms))
	for k, share := range trial.Allocate(estimates, d.Metric.Less(), banditFloor) {
		shares[in[k]] = math.Round(share*1000) / 1000
	}
	sum := 0.0
	for _, v := range shares {
		sum += v
	}
	for i := range shares {
		shares[i] /= sum
	}
	s.Shares, s.Moved = shares, now
}

// remember adds a point to the history. When there are too many every second of
// the older half goes.
func (d *Design) remember(s *State, now time.Time) {
	if s.Phase != variant.Running {
		return
	}
	if n := len(s.History); n > 0 && now.Sub(s.History[n-1].At) < pointEvery {
		return
	}
	r := d.Read(s)
	if r.Broken {
		return
	}
	units := func(p Point) (n int64) {
		for _, a := range p.Arms {
			n += a.N
		}
		return n
	}
	p := Point{At: now.UTC()}
	for i := range s.Arms {
		at := ArmAt{N: s.Arms[i].Value.N, Value: r.Arms[i].Value.Value}
		if in := r.Arms[i].Within; !math.IsInf(in.Low, 0) {
			at.Low, at.High = &in.Low, &in.High
		}
		p.Arms = append(p.Arms, at)
	}
	if n := len(s.History); n > 0 && units(s.History[n-1]) == units(p) || units(p) == 0 {
		return // nothing was seen since
	}
	if s.History = append(s.History, p); len(s.History) > mostPoints {
		kept := s.History[:0]
		for i, p := range s.History {
			if i%2 == 0 || i >= mostPoints/2 {
				kept = append(kept, p)
			}
		}
		s.History = kept
	}
}

// save writes the states that have changed, units, verdicts, and the place in the
// ledger.
func (e *Engine) save(ctx context.Context, designs []*Design, units []Unit, verdicts map[ledger.ID]float64, now time.Time) error {
	out := Saved{Units: units, Verdicts: verdicts, Read: e.read}
	text := map[int64]string{}
	for _, d := range designs {
		raw, err := json.Marshal(e.states[d.Run], json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("experiment %s: %w", d.Name, err)
		}
		if text[d.Run] = string(raw); text[d.Run] != e.kept[d.Run] {
			out.Runs = append(out.Runs, Run{ID: d.Run, Name: d.Name, State: raw, Written: now})
		}
	}
	if len(out.Runs)+len(out.Units) == 0 {
		return nil
	}
	if err := e.o.Store.SaveStudy(ctx, out); err != nil {
		return err
	}
	for run, raw := range text {
		e.kept[run] = raw
	}
	return nil
}

// Load reads what is known before anything is served.
func (e *Engine) Load(ctx context.Context) error {
	if len(e.declared()) == 0 {
		return nil
	}
	return e.Look(ctx, time.Now())
}
