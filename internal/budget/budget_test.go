package budget_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"headrace/internal/budget"
	"headrace/internal/llm"
)

// shelf is a store in memory.
type shelf struct {
	mu      sync.Mutex
	budgets []budget.Budget
	spent   map[budget.Slot]llm.Nanodollars
	lease   map[budget.Slot]llm.Nanodollars
	lost    map[budget.Slot]llm.Nanodollars
	version int64
	broken  error
}

func newShelf(all ...budget.Budget) *shelf {
	return &shelf{budgets: all, spent: map[budget.Slot]llm.Nanodollars{}, lease: map[budget.Slot]llm.Nanodollars{}, lost: map[budget.Slot]llm.Nanodollars{}, version: 1}
}

func (s *shelf) lock() (func(), error) { s.mu.Lock(); return s.mu.Unlock, s.broken }

func (s *shelf) Budgets(context.Context) ([]budget.Budget, error) {
	end, err := s.lock()
	defer end()
	return append([]budget.Budget(nil), s.budgets...), err
}

func (s *shelf) PutBudget(_ context.Context, b budget.Budget) error {
	end, err := s.lock()
	defer end()
	for i := range s.budgets {
		if s.budgets[i].ID == b.ID {
			s.budgets[i] = b
			s.version++
			return err
		}
	}
	s.budgets = append(s.budgets, b)
	s.version++
	return err
}

func (s *shelf) DropBudget(context.Context, budget.ID) (bool, error) {
	return false, errors.New("not here")
}

func (s *shelf) BudgetsVersion(context.Context) (int64, error) {
	end, err := s.lock()
	defer end()
	return s.version, err
}

func (s *shelf) account(at budget.Slot) budget.Account {
	return budget.Account{Slot: at, Spent: s.spent[at], Leased: max(s.lease[at], 0) + s.lost[at], Lost: s.lost[at]}
}

func (s *shelf) Lease(_ context.Context, _ int64, asks []budget.Ask) ([]budget.Account, error) {
	end, err := s.lock()
	defer end()
	if err != nil {
		return nil, err
	}
	var out []budget.Account
	for _, a := range asks {
		take := a.Take
		if take > 0 {
			now := s.account(a.Slot)
			take = min(take, max(a.Limit-now.Spent-now.Leased, 0)+max(-s.lease[a.Slot], 0))
		} else {
			take = -min(-take, max(s.lease[a.Slot], 0))
		}
		s.lease[a.Slot] += take
		one := s.account(a.Slot)
		one.Took = take
		out = append(out, one)
	}
	return out, nil
}

func (s *shelf) Accounts(_ context.Context, slots []budget.Slot) ([]budget.Account, error) {
	end, err := s.lock()
	defer end()
	var out []budget.Account
	for _, at := range slots {
		out = append(out, s.account(at))
	}
	return out, err
}

func (s *shelf) SettleLost(_ context.Context, at budget.Slot) (llm.Nanodollars, error) {
	end, err := s.lock()
	defer end()
	n := s.lost[at]
	s.lost[at] = 0
	s.version++
	return n, err
}

// charge does what the ledger's writer does.
func (s *shelf) charge(slots []budget.Slot, cost llm.Nanodollars) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range slots {
		s.spent[at] += cost
		s.lease[at] -= cost
	}
}

const usd = llm.Nanodollars(1e9)

func of(scope budget.Scope, subject string, w budget.Window, limit llm.Nanodollars) budget.Budget {
	return budget.Budget{ID: budget.ID{Scope: scope, Subject: subject, Window: w}, Limit: limit, Alerts: budget.DefaultAlerts()}
}

// keep starts a keeper over the shelf; it ends with the test.
func keep(t *testing.T, s *shelf, o budget.Options) *budget.Keeper {
	t.Helper()
	o.Store, o.Run = s, func() int64 { return 1 }
	k := budget.New(o)
	if err := k.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return k
}

func TestBounds(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		window           budget.Window
		now, start, ends string
	}{
		{budget.Daily, "2026-11-25T23:59:59Z", "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"},
		{budget.Daily, "2026-11-25T00:30:00+02:00", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"},
		{budget.Weekly, "2026-11-25T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"},
		{budget.Weekly, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"},
		{budget.Weekly, "2026-11-29T23:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"},
		{budget.Monthly, "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		{budget.Monthly, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
	} {
		start, end := c.window.Bounds(at(c.now))
		if !start.Equal(at(c.start)) || !end.Equal(at(c.ends)) {
			t.Errorf("%s at %s: %s to %s, want %s to %s", c.window, c.now, start, end, c.start, c.ends)
		}
	}
	if start, end := budget.Total.Bounds(time.Now()); !start.IsZero() || !end.IsZero() {
		t.Errorf("total: %s to %s", start, end)
	}
}

func TestParseTags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""}, {" , ,", ""}, {"a", "a"}, {"a, b ,a", "a|b"}, {"team=x,env:prod", "team=x|env:prod"},
		{"a b", "!"}, {"a/b", "!"}, {strings.Repeat("x", 65), "!"}, {strings.Repeat("x", 64), strings.Repeat("x", 64)},
		{"1,2,3,4,5,6,7,8", "1|2|3|4|5|6|7|8"}, {"1,2,3,4,5,6,7,8,9", "!"}, {"\u00e4", "!"},
	} {
		got, err := budget.ParseTags(c.in)
		text := strings.Join(got, "|")
		if err != nil {
			text = "!"
		}
		if text != c.want {
			t.Errorf("%q gives %q, want %q", c.in, text, c.want)
		}
	}
}

// A thousand requests at once against a budget for ten spend ten, in every
// order of ends, and leave nothing held.
func TestRace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(of(budget.Key, "k", budget.Daily, 10*usd), of(budget.Team, "t", budget.Monthly, 12*usd))
		k := keep(t, s, budget.Options{})
		var mu sync.Mutex
		ran, refused := 0, 0
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				tab := k.Open(&budget.Caller{Key: "k", Team: "t"}, time.Now())
				got, err := tab.Hold(t.Context(), usd, usd)
				cost := llm.Nanodollars(0)
				mu.Lock()
				if err == nil {
					ran++
					cost = usd
					if got != usd {
						t.Errorf("held %d", got)
					}
				} else {
					refused++
					if err.Class != llm.QuotaExhausted || !err.NoRepeat || !strings.Contains(err.Message, "daily budget of key k") {
						t.Errorf("refused with %v", err)
					}
				}
				mu.Unlock()
				if err == nil {
					time.Sleep(time.Duration(i%7) * 10 * time.Millisecond)
				}
				s.charge(tab.Close(cost), cost)
			})
		}
		wg.Wait()
		if ran != 10 || refused != 990 {
			t.Errorf("%d ran and %d were refused", ran, refused)
		}
		for _, st := range k.States(time.Now()) {
			if st.Reserved != 0 || st.Spent != 10*usd {
				t.Errorf("%s: %+v", st.ID, st)
			}
		}
	})
}

// What a request does not use is there for those that wait.
func TestWaitForSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(of(budget.Key, "k", budget.Total, 10*usd))
		k := keep(t, s, budget.Options{})
		open := func() *budget.Tab { return k.Open(&budget.Caller{Key: "k"}, time.Now()) }
		first := open()
		if got, err := first.Hold(t.Context(), 9*usd, 9*usd); err != nil || got != 9*usd {
			t.Fatal(got, err)
		}
		time.AfterFunc(time.Second, func() { s.charge(first.Close(usd), usd) })
		began := time.Now()
		second := open()
		got, err := second.Hold(t.Context(), 5*usd, 5*usd)
		if err != nil || got != 5*usd || time.Since(began) != time.Second {
			t.Errorf("%d, %v after %s", got, err, time.Since(began))
		}
		third := open()
		began = time.Now()
		if got, err := third.Hold(t.Context(), 8*usd, 8*usd); err == nil || time.Since(began) != 2*time.Second {
			t.Errorf("%d, %v after %s", got, err, time.Since(began))
		}
		if got, err := third.Hold(t.Context(), 8*usd, usd); err != nil || got != 4*usd {
			t.Errorf("the part that is left: %d, %v", got, err)
		}
		s.charge(second.Close(0), 0)
		s.charge(third.Close(0), 0)
		if slots := third.Close(usd); slots != nil {
			t.Error("closed twice")
		}
	})
}

func TestZeroBlocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, newShelf(of(budget.Tag, "ci", budget.Weekly, 0)), budget.Options{})
		tab := k.Open(&budget.Caller{Key: "k", Tags: []string{"ci"}}, time.Now())
		if _, err := tab.Hold(t.Context(), 0, 0); err == nil || err.Class != llm.QuotaExhausted || err.RetryAfter <= 0 {
			t.Errorf("a budget of 0: %v", err)
		}
		if tab := k.Open(&budget.Caller{Key: "k"}, time.Now()); tab != nil {
			t.Error("a caller without the tag has a tab")
		}
	})
}

// Used up, what is free of charge still goes.
func TestFreeWhenUsedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(of(budget.Key, "k", budget.Daily, usd))
		k := keep(t, s, budget.Options{})
		tab := k.Open(&budget.Caller{Key: "k"}, time.Now())
		if _, err := tab.Hold(t.Context(), usd, usd); err != nil {
			t.Fatal(err)
		}
		s.charge(tab.Close(3*usd), 3*usd)
		tab = k.Open(&budget.Caller{Key: "k"}, time.Now())
		if _, err := tab.Hold(t.Context(), 1, 1); err == nil {
			t.Error("an overdrawn budget lets one through")
		}
		if _, err := tab.Hold(t.Context(), 0, 0); err != nil {
			t.Errorf("free of charge: %v", err)
		}
	})
}

// A budget below the least that a request can cost refuses the first one too,
// when nobody knows yet what was spent of it.
func TestTooSmallAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, newShelf(of(budget.Key, "k", budget.Daily, usd/2)), budget.Options{})
		for range 2 {
			tab := k.Open(&budget.Caller{Key: "k"}, time.Now())
			if _, err := tab.Hold(t.Context(), 2*usd, usd); err == nil || err.Class != llm.QuotaExhausted {
				t.Errorf("%v", err)
			}
			tab.Close(0)
		}
	})
}

// While the store fails, what is leased goes on and nothing beyond; an
// exhausted lease is no exhausted budget.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newShelf(of(budget.Key, "k", budget.Daily, 6400*usd))
			var log bytes.Buffer
			k := keep(t, s, budget.Options{StrictWhenDown: strict, Log: slog.New(slog.NewTextHandler(&log, nil))})
			time.Sleep(time.Second)
			s.mu.Lock()
			s.broken = errors.New("disk I/O error")
			s.mu.Unlock()
			time.Sleep(time.Second)
			served := llm.Nanodollars(0)
			for {
				tab := k.Open(&budget.Caller{Key: "k"}, time.Now())
				_, err := tab.Hold(t.Context(), usd, usd)
				if err != nil {
					if err.Class != llm.Unavailable || err.RetryAfter == 0 {
						t.Errorf("strict %v: %v", strict, err)
					}
					break
				}
				served += usd
				tab.Close(usd)
			}
			if want := 100 * usd; !strict && served != want || strict && served != 0 {
				t.Errorf("strict %v: %s served", strict, budget.Dollars(served))
			}
			s.mu.Lock()
			s.broken = nil
			s.mu.Unlock()
			time.Sleep(time.Second)
			tab := k.Open(&budget.Caller{Key: "k"}, time.Now())
			if _, err := tab.Hold(t.Context(), usd, usd); err != nil {
				t.Errorf("strict %v: after it came back: %v", strict, err)
			}
			if !strings.Contains(log.String(), "cannot be leased") || !strings.Contains(log.String(), "can be leased again") {
				t.Errorf("the log:\n%s", &log)
			}
		})
	}
}

// A new window begins without a wait, and with its whole limit.
func TestRollOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the clock begins at midnight
		s := newShelf(of(budget.Key, "k", budget.Daily, 10*usd))
		k := keep(t, s, budget.Options{})
		open := func() *budget.Tab { return k.Open(&budget.Caller{Key: "k"}, time.Now()) }
		old := open()
		if _, err := old.Hold(t.Context(), 10*usd, 10*usd); err != nil {
			t.Fatal(err)
		}
		_, end := budget.Daily.Bounds(time.Now())
		time.Sleep(time.Until(end) + time.Millisecond)
		began := time.Now()
		fresh := open()
		if _, err := fresh.Hold(t.Context(), usd, usd); err != nil || time.Since(began) != 0 {
			t.Errorf("at midnight: %v after %s", err, time.Since(began))
		}
		slots := old.Close(10 * usd)
		if len(slots) != 1 || slots[0].Start.Equal(end) {
			t.Errorf("yesterday's request is charged to %v", slots)
		}
		if slots := fresh.Close(0); !slots[0].Start.Equal(end) {
			t.Errorf("today's request is charged to %v", slots)
		}
	})
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newShelf(of(budget.Key, "k", budget.Daily, 10*usd))
		k := keep(t, s, budget.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		want := 0
		for i := range 10 {
			tab := k.Open(&budget.Caller{Key: "k"}, time.Now())
			if _, err := tab.Hold(t.Context(), usd, usd); err != nil {
				t.Fatal(err)
			}
			s.charge(tab.Close(usd), usd)
			if i == 7 || i == 9 {
				want++
			}
			if got := strings.Count(log.String(), "threshold"); got != want {
				t.Errorf("%d dollars: %d alerts, want %d", i+1, got, want)
			}
		}
		if st := k.States(time.Now())[0]; st.Reached != 100 || st.Left != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A crash never opens a budget, and settling what was lost gives it back.
func TestLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := of(budget.Key, "k", budget.Total, 10*usd)
		s := newShelf(b)
		at := budget.Slot{ID: b.ID}
		s.spent[at], s.lost[at] = 3*usd, 4*usd // of a run that was killed
		k := keep(t, s, budget.Options{})
		tab := k.Open(&budget.Caller{Key: "k"}, time.Now())
		if got, err := tab.Hold(t.Context(), 10*usd, 1); err != nil || got != 3*usd {
			t.Errorf("held %d, %v", got, err)
		}
		if st := k.States(time.Now())[0]; st.Lost != 4*usd || st.Left != 0 {
			t.Errorf("%+v", st)
		}
		if n, err := s.SettleLost(t.Context(), at); err != nil || n != 4*usd {
			t.Error(n, err)
		}
		time.Sleep(time.Second)
		if got, err := tab.Hold(t.Context(), 10*usd, 1); err != nil || got != 7*usd {
			t.Errorf("after settling: held %d, %v", got, err)
		}
	})
}

// TestModel: whatever requests do, what counts against a budget is never over
// its limit while requests keep to what they hold, and at rest what the keeper
// says is what the ledger's rows add up to.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		limit := llm.Nanodollars(rapid.Int64Range(1, 1000).Draw(r, "limit"))
		team := llm.Nanodollars(rapid.Int64Range(1, 1000).Draw(r, "team"))
		jobs := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) [4]int64 {
			want := rapid.Int64Range(0, 300).Draw(r, "want")
			return [4]int64{want, rapid.Int64Range(0, want).Draw(r, "least"), rapid.Int64Range(0, 100).Draw(r, "percent"), rapid.Int64Range(0, 5000).Draw(r, "ms")}
		}), 1, 40).Draw(r, "jobs")
		outage := rapid.Bool().Draw(r, "outage")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			s := newShelf(of(budget.Key, "k", budget.Total, limit), of(budget.Team, "t", budget.Total, team))
			k := keep(t, s, budget.Options{})
			var mu sync.Mutex
			paid := llm.Nanodollars(0)
			var wg sync.WaitGroup
			for i, j := range jobs {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 97 * time.Millisecond)
					tab := k.Open(&budget.Caller{Key: "k", Team: "t"}, time.Now())
					held, err := tab.Hold(t.Context(), llm.Nanodollars(j[0]), llm.Nanodollars(j[1]))
					if err != nil {
						tab.Close(0)
						return
					}
					time.Sleep(time.Duration(j[3]) * time.Millisecond)
					cost := held * llm.Nanodollars(j[2]) / 100
					slots := tab.Close(cost)
					time.Sleep(100 * time.Millisecond) // the ledger writes later
					mu.Lock()
					paid += cost
					mu.Unlock()
					s.charge(slots, cost)
				})
			}
			if outage {
				time.Sleep(700 * time.Millisecond)
				s.mu.Lock()
				s.broken = errors.New("gone")
				s.mu.Unlock()
				time.Sleep(900 * time.Millisecond)
				s.mu.Lock()
				s.broken = nil
				s.mu.Unlock()
			}
			wg.Wait()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if paid > min(limit, team) {
				problem = fmt.Sprintf("%d spent of %d and %d", paid, limit, team)
			}
			for _, st := range k.States(time.Now()) {
				s.mu.Lock()
				rows, leased := s.spent[budget.Slot{ID: st.ID}], s.lease[budget.Slot{ID: st.ID}]
				s.mu.Unlock()
				if st.Spent != rows || st.Spent != paid || st.Reserved != 0 || st.Lease != leased || leased < 0 || rows+leased > st.Limit {
					problem = fmt.Sprintf("%s at rest: %+v, rows %d, leased %d, paid %d", st.ID, st, rows, leased, paid)
				}
			}
		})
		if problem != "" {
			r.Fatal(problem)
		}
	})
}
