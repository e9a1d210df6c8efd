package study_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/study"
	"headrace/internal/variant"
)

// memory is a store that can fail; what it keeps is what was saved last.
type memory struct {
	entries []ledger.Entry
	runs    map[int64]study.Run
	units   map[[2]int64]study.Unit
	orders  []study.Order
	scores  map[ledger.ID]float64
	read    int64
	fail    bool
}

func newMemory() *memory {
	return &memory{runs: map[int64]study.Run{}, units: map[[2]int64]study.Unit{}, scores: map[ledger.ID]float64{}}
}

func (m *memory) Trials(_ context.Context, after int64, most int) ([]ledger.Entry, error) {
	var out []ledger.Entry
	for _, e := range m.entries {
		if e.Seq > after && e.Trial != nil && len(out) < most {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) Said(_ context.Context, since time.Time, after, until int64, most int) (out []ledger.Entry, err error) {
	for _, e := range m.entries {
		if e.Trial != nil && e.Seq > after && e.Seq <= until && len(out) < most && slices.ContainsFunc(e.Feedback, func(f ledger.Feedback) bool { return !f.At.Before(since) }) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) Verdict(_ context.Context, id ledger.ID) (float64, bool, error) {
	score, ok := m.scores[id]
	return score, ok, nil
}

func (m *memory) Request(_ context.Context, id ledger.ID) (ledger.Entry, bool, error) {
	for _, e := range m.entries {
		if e.ID == id {
			return e, true, nil
		}
	}
	return ledger.Entry{}, false, nil
}

func (m *memory) StudyRuns(context.Context) (runs []study.Run, read int64, err error) {
	for _, r := range m.runs {
		runs = append(runs, r)
	}
	return runs, m.read, nil
}

func (m *memory) StudyUnit(_ context.Context, run, unit int64) (study.Unit, bool, error) {
	u, ok := m.units[[2]int64{run, unit}]
	return u, ok, nil
}

func (m *memory) StudyPins(_ context.Context, run int64, most int) (units []study.Unit, err error) {
	for k, u := range m.units {
		if k[0] == run {
			units = append(units, u)
		}
	}
	return units[:min(len(units), most)], nil
}

func (m *memory) SaveStudy(_ context.Context, s study.Saved) error {
	if m.fail {
		return errors.New("the disk is full")
	}
	for _, u := range s.Units {
		m.units[[2]int64{u.Run, u.ID}] = u
	}
	for _, r := range s.Runs {
		m.runs[r.ID] = r
	}
	for id, score := range s.Verdicts {
		m.scores[id] = score
	}
	m.read = s.Read
	return nil
}

func (m *memory) AddOrder(_ context.Context, o study.Order) error {
	o.ID = int64(len(m.orders) + 1)
	m.orders = append(m.orders, o)
	return nil
}

func (m *memory) Orders(_ context.Context, after int64) (list []study.Order, err error) {
	for _, o := range m.orders {
		if o.ID > after {
			list = append(list, o)
		}
	}
	return list, nil
}

// world is an engine over a memory, and users that ask by its desk.
type world struct {
	*testing.T
	m      *memory
	desk   *variant.Desk
	engine *study.Engine
	design *study.Design
	now    time.Time
	ids    ledger.IDs
	r      *rand.Rand
	n      int
}

func newWorld(t *testing.T, change func(d *study.Design)) *world {
	t.Helper()
	d := &study.Design{Experiment: variant.Experiment{Name: "x", On: "support", Unit: variant.User,
		Arms: []variant.Arm{{Name: "now", Weight: 1}, {Name: "new", Weight: 1, Model: "a/b"}}}, Metric: study.Success}
	if change != nil {
		change(d)
	}
	if err := d.Identify(); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, m: newMemory(), design: d, now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), r: rand.New(rand.NewPCG(7, 7))}
	w.restart()
	return w
}

// restart is another process over the same store.
func (w *world) restart() {
	w.desk = &variant.Desk{}
	w.engine = study.New(study.Options{Store: w.m, Desk: w.desk})
	w.engine.Declare([]*study.Design{w.design})
	w.look()
}

func (w *world) look() {
	w.Helper()
	if err := w.engine.Look(w.Context(), w.now); err != nil {
		w.Fatal(err)
	}
}

func (w *world) view() study.View {
	w.Helper()
	views, err := w.engine.Views(w.Context())
	if err != nil || len(views) != 1 {
		w.Fatalf("%d views: %v", len(views), err)
	}
	return views[0]
}

// ask has a user ask once. went says how it goes with an arm.
func (w *world) ask(user string, went func(e *ledger.Entry, arm string)) (arm string) {
	g := w.desk.Assign(&variant.Ask{On: "support", Owner: "team", User: user, Now: w.now})
	if g == nil {
		return ""
	}
	e := ledger.Entry{ID: w.ids.New(w.now), Seq: int64(len(w.m.entries) + 1), At: w.now, Total: time.Second, Status: 200, Cost: 1_000_000, Priced: true,
		Attempts: []ledger.Attempt{{N: 1, Provider: "a", Model: "b", Status: 200, Finish: llm.FinishStop}}}
	if g.Counts {
		e.Trial = &ledger.Trial{Experiment: "x", Run: g.Experiment.Run, Arm: g.The().Name, Unit: g.Unit, Shares: g.Shares}
	}
	went(&e, g.The().Name)
	w.m.entries = append(w.m.entries, e)
	return g.The().Name
}

// users brings n users who ask once each, and looks now and again.
func (w *world) users(n int, went func(e *ledger.Entry, arm string)) {
	w.Helper()
	for i := range n {
		w.n++
		w.ask("u"+time.Duration(w.n).String(), went)
		if i%97 == 96 {
			w.now = w.now.Add(time.Minute)
			w.look()
		}
	}
	w.now = w.now.Add(time.Minute)
	w.look()
}

// succeeds has requests succeed with a chance by arm.
func (w *world) succeeds(chance map[string]float64) func(e *ledger.Entry, arm string) {
	return func(e *ledger.Entry, arm string) {
		if w.r.Float64() >= chance[arm] {
			e.Attempts[0].Finish = llm.FinishRefusal
		}
	}
}

// TestWinner: a better arm is named and, where that is wanted, put in force for
// whoever comes.
func TestWinner(t *testing.T) {
	t.Parallel()
	for _, auto := range []bool{false, true} {
		w := newWorld(t, func(d *study.Design) { d.Auto = auto })
		w.users(6000, w.succeeds(map[string]float64{"now": 0.8, "new": 0.9}))
		v := w.view()
		if !auto {
			if v.State.Phase != variant.Running || v.Reading.Winner != 1 || !strings.Contains(v.Words, "new beats every other arm") || !strings.Contains(v.Words, "0.05") {
				t.Fatalf("%s, winner %d: %s", v.State.Phase, v.Reading.Winner, v.Words)
			}
			if err := w.engine.Give(t.Context(), "x", study.Decide, "", "me"); err != nil {
				t.Fatal(err)
			}
			w.look()
			v = w.view()
		}
		if v.State.Phase != variant.Decided || v.State.Winner != "new" {
			t.Fatalf("%s for %q: %s", v.State.Phase, v.State.Winner, v.Words)
		}
		before := len(w.m.entries)
		w.users(50, func(e *ledger.Entry, arm string) {
			if arm != "new" || e.Trial != nil {
				t.Errorf("after the decision a user gets %s, in the experiment: %v", arm, e.Trial != nil)
			}
		})
		if len(w.m.entries) != before+50 {
			t.Error("nobody gets the winner")
		}
		for i, p := range v.State.History {
			if i > 0 && !p.At.After(v.State.History[i-1].At) {
				t.Error("the history is not in order")
			}
		}
		if len(v.State.History) < 3 {
			t.Errorf("%d points of history", len(v.State.History))
		}
	}
}

// TestNoWinner: arms that are alike are left alike.
func TestNoWinner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(d *study.Design) { d.Auto = true })
	w.users(4000, w.succeeds(map[string]float64{"now": 0.8, "new": 0.8}))
	if v := w.view(); v.State.Phase != variant.Running || v.Reading.Winner >= 0 || !strings.Contains(v.Words, "No winner yet") {
		t.Errorf("%s: %s", v.State.Phase, v.Words)
	}
}

// TestGuardrails: each of them stops an arm that spoils what it guards, and its
// users get the control.
func TestGuardrails(t *testing.T) {
	t.Parallel()
	share := func(v float64) *float64 { return &v }
	for name, c := range map[string]struct {
		guards study.Guards
		spoil  func(e *ledger.Entry, r *rand.Rand)
	}{
		"errors": {study.Guards{Errors: share(0.02)}, func(e *ledger.Entry, r *rand.Rand) {
			if r.Float64() < 0.2 {
				e.Class = llm.ServerError
			}
		}},
		"refusals": {study.Guards{Refusals: share(0.02)}, func(e *ledger.Entry, r *rand.Rand) {
			if r.Float64() < 0.2 {
				e.Attempts[0].Finish = llm.FinishRefusal
			}
		}},
		"cost": {study.Guards{Cost: share(0.5)}, func(e *ledger.Entry, r *rand.Rand) {
			e.Cost = llm.Nanodollars(3_000_000 + r.IntN(1_000_000))
		}},
		"p95": {study.Guards{P95: 2 * time.Second}, func(e *ledger.Entry, r *rand.Rand) {
			if r.Float64() < 0.3 {
				e.Total = 3 * time.Second
			}
		}},
	} {
		w := newWorld(t, func(d *study.Design) { d.Guards = c.guards })
		var units []string
		w.users(3000, func(e *ledger.Entry, arm string) {
			e.Cost += llm.Nanodollars(w.r.IntN(500_000))
			if arm == "new" {
				units = append(units, arm)
				c.spoil(e, w.r)
			}
		})
		v := w.view()
		if v.State.Arms[1].Halted != name || v.State.Phase != variant.Stopped || !strings.Contains(v.Words, "stopped by the guard on "+name) {
			t.Errorf("%s: halted %q, %s: %s", name, v.State.Arms[1].Halted, v.State.Phase, v.Words)
		}
		if len(units) > 1450 {
			t.Errorf("%s: %d units had the arm", name, len(units))
		}
		sound := newWorld(t, func(d *study.Design) { d.Guards = c.guards })
		sound.users(2000, func(e *ledger.Entry, _ string) { e.Cost += llm.Nanodollars(sound.r.IntN(500_000)) })
		if v := sound.view(); v.State.Arms[1].Halted != "" {
			t.Errorf("%s: a sound arm was stopped: %+v", name, v.State.Arms)
		}
	}
}

// TestThreeArmsOneHalted: the arms that are left go on without the one that was
// stopped, whose users get the control and are not counted there.
func TestThreeArmsOneHalted(t *testing.T) {
	t.Parallel()
	few := 0.02
	w := newWorld(t, func(d *study.Design) {
		d.Arms = append(d.Arms, variant.Arm{Name: "bad", Weight: 1, Model: "a/c"})
		d.Guards.Errors = &few
		d.Auto = true
	})
	bad := ""
	went := func(e *ledger.Entry, arm string) {
		if arm == "bad" && w.r.Float64() < 0.3 {
			e.Class = llm.ServerError
		}
		if w.r.Float64() < map[string]float64{"now": 0.2, "new": 0.05}[arm] {
			e.Attempts[0].Finish = llm.FinishLength
		}
	}
	for i := 0; bad == ""; i++ {
		if user := "early" + time.Duration(i).String(); w.ask(user, went) == "bad" {
			bad = user
		}
	}
	w.users(2500, went)
	v := w.view()
	if v.State.Arms[2].Halted != "errors" || v.State.Arms[1].Halted != "" {
		t.Fatalf("%+v: %s", v.State.Arms, v.Words)
	}
	w.users(6000, went)
	if v = w.view(); v.State.Winner != "new" {
		t.Errorf("winner %q: %s", v.State.Winner, v.Words)
	}
	if v.Reading.Broken {
		t.Error("the change of shares is taken for a broken assignment")
	}
}

// TestHaltedUnits: a unit of a stopped arm gets the control.
func TestHaltedUnits(t *testing.T) {
	t.Parallel()
	few := 0.02
	w := newWorld(t, func(d *study.Design) {
		d.Arms = append(d.Arms, variant.Arm{Name: "bad", Weight: 1, Model: "a/c"})
		d.Guards.Errors = &few
	})
	went := func(e *ledger.Entry, arm string) {
		if arm == "bad" && w.r.Float64() < 0.4 {
			e.Class = llm.ServerError
		}
	}
	w.users(1500, went)
	if v := w.view(); v.State.Arms[2].Halted == "" {
		t.Fatal("the bad arm goes on")
	}
	control := w.view().State.Arms[0].Sum.N
	moved := 0
	for i := range w.n {
		user := "u" + time.Duration(i+1).String()
		if slices.Contains([]string{"bad", ""}, w.ask(user, went)) {
			t.Fatalf("%s has the bad arm still", user)
		}
		moved++
	}
	w.now = w.now.Add(time.Minute)
	w.look()
	v := w.view()
	if v.State.Strays == 0 || v.State.Arms[0].Sum.N >= control+int64(moved)-v.State.Strays+1 && v.State.Strays < 100 {
		t.Errorf("%d strays, control %d before and %d after", v.State.Strays, control, v.State.Arms[0].Sum.N)
	}
}

// TestBroken: when the rows of one arm get lost, nothing is said.
func TestBroken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(d *study.Design) { d.Auto = true })
	w.users(4000, func(e *ledger.Entry, arm string) {
		if arm == "new" && w.r.Float64() < 0.3 {
			e.Trial = nil // its row is lost
			return
		}
		w.succeeds(map[string]float64{"now": 0.8, "new": 0.82})(e, arm)
	})
	v := w.view()
	if !v.Reading.Broken || v.Reading.Winner >= 0 || !strings.Contains(v.Words, "nothing that was measured can be believed") {
		t.Errorf("broken %v, winner %d: %s", v.Reading.Broken, v.Reading.Winner, v.Words)
	}
}

// TestRestart: another process finds what the first one knew, and the same users
// get the same arms; no row counts twice.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	went := w.succeeds(map[string]float64{"now": 0.7, "new": 0.75})
	arms := map[string]string{}
	ask := func(user string) {
		arm := w.ask(user, went)
		if arms[user] != "" && arms[user] != arm {
			w.Errorf("%s had %s and gets %s", user, arms[user], arm)
		}
		arms[user] = arm
	}
	for i := range 600 {
		ask("v" + time.Duration(i%300).String())
		if i%50 == 0 {
			w.now = w.now.Add(time.Minute)
			w.look()
		}
	}
	// A store that fails for a while loses nothing and counts nothing twice.
	w.m.fail = true
	for i := range 100 {
		ask("v" + time.Duration(i).String())
	}
	if err := w.engine.Look(t.Context(), w.now); err == nil {
		t.Error("a store that fails is no error")
	}
	w.m.fail = false
	w.look()
	before := w.view()
	w.restart()
	after := w.view()
	for i := range before.State.Arms {
		if a, b := before.State.Arms[i].Sum, after.State.Arms[i].Sum; a != b {
			t.Errorf("arm %d: %+v, then %+v", i, a, b)
		}
	}
	for i := range 300 {
		ask("v" + time.Duration(i).String())
	}
	w.look()
	v := w.view()
	n, units := v.State.Arms[0].Sum.N+v.State.Arms[1].Sum.N, v.State.Arms[0].Units+v.State.Arms[1].Units
	if n != 1000 || units != 300 || v.State.Strays != 0 {
		t.Errorf("%d requests of %d units, %d strays", n, units, v.State.Strays)
	}
	// The sums are those of the units as they are.
	var good, all float64
	for _, u := range w.m.units {
		if u.Arm == "now" {
			good += float64(u.Sums.Good) / float64(u.Sums.Judged)
			all++
		}
	}
	if got := v.State.Arms[0].Value; math.Abs(got.Y-good/all) > 1e-9 || got.N != int64(all) {
		t.Errorf("mean of the control %v of %d units, want %v of %v", got.Y, got.N, good/all, all)
	}
}

// TestBandit: shares move to the better arm, users keep their arms, and what is
// said rests on chances: the estimates are near the truth.
func TestBandit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(d *study.Design) { d.Bandit = true })
	arms := map[string]string{}
	w.users(8000, w.succeeds(map[string]float64{"now": 0.70, "new": 0.78}))
	v := w.view()
	if len(v.State.Shares) != 2 || v.State.Shares[1] < 0.7 {
		t.Errorf("shares %v", v.State.Shares)
	}
	for i, want := range []float64{0.70, 0.78} {
		e := v.Reading.Arms[i].Value
		if math.Abs(e.Value-want) > 4*math.Sqrt(e.Variance) {
			t.Errorf("arm %d: %v +- %v, want %v", i, e.Value, math.Sqrt(e.Variance), want)
		}
	}
	if v.Reading.Broken {
		t.Error("moving shares are taken for a broken assignment")
	}
	for i := range 200 {
		user := "u" + time.Duration(i+1).String()
		arms[user] = w.ask(user, w.succeeds(map[string]float64{}))
	}
	w.look()
	if w.view().State.Strays > 0 {
		t.Errorf("%d requests of users that had another arm before", w.view().State.Strays)
	}
}

// TestPredicted: a prediction that was made before narrows the interval.
func TestPredicted(t *testing.T) {
	t.Parallel()
	width := func(known bool) float64 {
		w := newWorld(t, nil)
		w.users(2000, func(e *ledger.Entry, arm string) {
			p := 0.1
			if w.r.Float64() < 0.5 {
				p = 0.9
			}
			if known && e.Trial != nil {
				e.Trial.Predicted = p
			}
			if w.r.Float64() >= p {
				e.Attempts[0].Finish = llm.FinishRefusal
			}
		})
		in := w.view().Reading.Arms[1].Within
		return in.High - in.Low
	}
	if with, without := width(true), width(false); with > 0.8*without {
		t.Errorf("width %v with the prediction, %v without", with, without)
	}
}

// TestShadowPairs: copies are compared with their requests and counted nowhere
// else.
func TestShadowPairs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for i := range 200 {
		arm := w.ask("u"+time.Duration(i).String(), func(e *ledger.Entry, arm string) {})
		of := w.m.entries[len(w.m.entries)-1]
		c := of
		other := map[string]string{"now": "new", "new": "now"}[arm]
		c.ID, c.Seq, c.Attempts = w.ids.New(w.now), of.Seq+1, slices.Clone(of.Attempts)
		c.Trial = &ledger.Trial{Experiment: "x", Run: of.Trial.Run, Arm: other, Unit: of.Trial.Unit, Shadows: of.ID}
		worse := &c
		if other == "now" {
			worse = &w.m.entries[len(w.m.entries)-1]
		}
		if i%4 == 0 {
			worse.Attempts[0].Finish = llm.FinishLength
		}
		c.Cost = 2_000_000
		w.m.entries = append(w.m.entries, c)
	}
	w.look()
	v := w.view()
	if n := v.State.Arms[0].Sum.N + v.State.Arms[1].Sum.N; n != 200 || v.State.Copies != 200 || v.State.Spent != 400_000_000 {
		t.Errorf("%d requests, %d copies for %d", n, v.State.Copies, v.State.Spent)
	}
	if len(v.State.Pairs) != 1 || v.State.Pairs[0].A != "now" || v.State.Pairs[0].B != "new" {
		t.Fatalf("%+v", v.State.Pairs)
	}
	e, in := v.PairSuccess(&v.State.Pairs[0])
	if e.Value >= 0 || in.High >= 0 {
		t.Errorf("new less now: %v within %v", e.Value, in)
	}
}

// TestFeedback: what somebody says of an answer wins over how it looked, also when
// it comes late, twice, or before a restart; a sign of failure counts too.
func TestFeedback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	at := func(user string) *ledger.Entry {
		w.ask(user, func(*ledger.Entry, string) {})
		return &w.m.entries[len(w.m.entries)-1]
	}
	for i := range 20 {
		at("u" + time.Duration(i).String())
	}
	say := func(i int, f ledger.Feedback) {
		w.now = w.now.Add(time.Minute)
		f.At = w.now
		w.m.entries[i].Feedback = append(w.m.entries[i].Feedback, f)
	}
	good := func() float64 {
		w.look()
		s := w.view().State
		return s.Arms[0].Sum.Good + s.Arms[1].Sum.Good
	}
	if got := good(); got != 20 {
		t.Fatalf("%v of 20", got)
	}
	say(3, ledger.Feedback{Explicit: true, Score: 0.25})
	say(4, ledger.Feedback{Signal: "asked again", Score: 0})
	for range 3 { // hearing it again changes nothing
		if got := good(); math.Abs(got-18.25) > 1e-9 {
			t.Errorf("%v, want 18.25", got)
		}
	}
	w.restart()
	say(4, ledger.Feedback{Explicit: true, Score: 1})
	if got := good(); math.Abs(got-19.25) > 1e-9 {
		t.Errorf("%v, want 19.25", got)
	}
	// It was the caller's own fault, but somebody says that it was well.
	e := at("another")
	e.Class = llm.InvalidRequest
	before := good()
	say(20, ledger.Feedback{Explicit: true, Score: 1})
	if got := good(); math.Abs(got-before-1) > 1e-9 {
		t.Errorf("%v after %v", got, before)
	}
	// The means of the units are those of the requests: each asked once.
	s, sum := w.view().State, 0.0
	for i := range s.Arms {
		sum += s.Arms[i].Value.Y * float64(s.Arms[i].Value.N)
	}
	if math.Abs(sum-good()) > 1e-9 {
		t.Errorf("the units add up to %v, the requests to %v", sum, good())
	}
}

// TestOrders: what operators say goes before what the configuration says.
func TestOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(d *study.Design) { d.Start = time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC) })
	give := func(act study.Act, arm, wrong string) {
		t.Helper()
		err := w.engine.Give(t.Context(), "x", act, arm, "me")
		if (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s %s: %v, want %q", act, arm, err, wrong)
		}
		w.look()
	}
	phase := func(want variant.Phase) {
		t.Helper()
		if got := w.view().State.Phase; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	phase(variant.Waiting)
	give(study.Decide, "", "no winner yet")
	give(study.Decide, "newest", "no arm")
	if err := w.engine.Give(t.Context(), "y", study.Stop, "", "me"); err == nil {
		t.Error("there is no experiment y")
	}
	give(study.Start, "", "")
	phase(variant.Running)
	give(study.Stop, "", "")
	phase(variant.Stopped)
	if w.ask("u", func(*ledger.Entry, string) {}) != "" {
		t.Error("a stopped experiment gives arms")
	}
	give(study.Decide, "new", "")
	phase(variant.Decided)
	if got := w.ask("u", func(*ledger.Entry, string) {}); got != "new" {
		t.Errorf("decided for new, got %s", got)
	}
	w.restart()
	phase(variant.Decided)
	give(study.Start, "", "")
	w.now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	w.design.Stop = time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	w.look()
	phase(variant.Stopped)
}

// TestIdentity: another question is another run; other weights are not.
func TestIdentity(t *testing.T) {
	t.Parallel()
	run := func(change func(*study.Design)) int64 { return newWorld(t, change).design.Run }
	base := run(nil)
	if run(func(d *study.Design) { d.Arms[1].Weight = 9; d.Auto = true; d.Stop = time.Now() }) != base {
		t.Error("a weight makes another run")
	}
	for name, change := range map[string]func(*study.Design){
		"model": func(d *study.Design) { d.Arms[1].Model = "a/c" }, "unit": func(d *study.Design) { d.Unit = variant.Key },
		"setting": func(d *study.Design) { d.Arms[1].Set = []variant.Setting{{Name: "top_p", Value: "1"}} }, "metric": func(d *study.Design) { d.Metric = study.Latency },
	} {
		if run(change) == base {
			t.Errorf("another %s is the same run", name)
		}
	}
}
