package storetest

import (
	"sync"
	"time"

	"headrace/internal/budget"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

func budgetOf(team string, limit llm.Nanodollars) budget.Budget {
	return budget.Budget{ID: budget.ID{Scope: budget.Team, Subject: team, Window: budget.Monthly}, Limit: limit}
}

func slotOf(team string) budget.Slot {
	start, _ := budget.Monthly.Bounds(noon)
	return budget.Slot{ID: budgetOf(team, 0).ID, Start: start}
}

func budgets(f *fixture) {
	v0, err := f.store.BudgetsVersion(f.ctx)
	f.must(err)
	a, b := budgetOf("a/b \u20ac", 25e9), budgetOf("a/b \u20ac", 0)
	a.Alerts = []int{50, 80, 100}
	b.Window = budget.Total
	f.must(f.store.PutBudget(f.ctx, b))
	f.must(f.store.PutBudget(f.ctx, a))
	other := f.again()
	all, err := other.Budgets(f.ctx)
	f.must(err)
	f.same("budgets", []budget.Budget{a, b}, all)
	a.Limit, a.Alerts = budget.MaxLimit, nil
	f.must(other.PutBudget(f.ctx, a))
	was, err := other.DropBudget(f.ctx, b.ID)
	f.must(err)
	f.same("dropped", true, was)
	was, err = other.DropBudget(f.ctx, b.ID)
	f.must(err)
	f.same("dropped twice", false, was)
	all, err = f.store.Budgets(f.ctx)
	f.must(err)
	f.same("budgets", []budget.Budget{a}, all)
	v1, err := f.store.BudgetsVersion(f.ctx)
	f.must(err)
	if v1 < v0+4 {
		f.Errorf("the version went from %d to %d with four changes", v0, v1)
	}
}

// lease asks for one slot.
func (f *fixture) lease(s Store, run ledger.ID, slot budget.Slot, limit, take llm.Nanodollars) budget.Account {
	f.Helper()
	all, err := s.Lease(f.ctx, int64(run), []budget.Ask{{Slot: slot, Limit: limit, Take: take}})
	f.must(err)
	return all[0]
}

func leases(f *fixture) {
	f.begin()
	slot, total := slotOf("x"), budget.Slot{ID: budget.ID{Scope: budget.Key, Subject: "k", Window: budget.Total}}
	account := func(slot budget.Slot, spent, leased, took llm.Nanodollars) budget.Account {
		return budget.Account{Slot: slot, Spent: spent, Leased: leased, Took: took}
	}
	f.same("nothing asked", account(slot, 0, 0, 0), f.lease(f.store, f.run, slot, 100, 0))
	f.same("a part", account(slot, 0, 30, 30), f.lease(f.store, f.run, slot, 100, 30))
	f.same("more than there is", account(slot, 0, 100, 70), f.lease(f.store, f.run, slot, 100, 500))
	f.same("nothing left", account(slot, 0, 100, 0), f.lease(f.store, f.run, slot, 100, 1))
	f.same("given back", account(slot, 0, 40, -60), f.lease(f.store, f.run, slot, 100, -60))
	f.same("a lower limit", account(slot, 0, 40, 0), f.lease(f.store, f.run, slot, 10, 5))
	f.same("more than is leased given back", account(slot, 0, 0, -40), f.lease(f.store, f.run, slot, 100, -60))
	next := slot
	next.Start = slot.Start.AddDate(0, 1, 0)
	all, err := f.store.Lease(f.ctx, int64(f.run), []budget.Ask{{Slot: total, Limit: 0, Take: 9}, {Slot: next, Limit: 9, Take: 9}})
	f.must(err)
	f.same("several", []budget.Account{account(total, 0, 0, 0), account(next, 0, 9, 9)}, all)
	seen, err := f.again().Accounts(f.ctx, []budget.Slot{next, slot, {ID: budgetOf("never", 0).ID}})
	f.must(err)
	f.same("accounts", []budget.Account{account(next, 0, 9, 0), account(slot, 0, 0, 0), {Slot: budget.Slot{ID: budgetOf("never", 0).ID}}}, seen)
}

func leasesAtOnce(f *fixture) {
	f.begin()
	slot := slotOf("x")
	stores := []Store{f.store, f.again()}
	var mu sync.Mutex
	took := llm.Nanodollars(0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				all, err := stores[i%2].Lease(f.ctx, int64(f.run)+int64(i%2), []budget.Ask{{Slot: slot, Limit: 1000, Take: 31}})
				if err != nil {
					f.Error(err)
					return
				}
				mu.Lock()
				took += all[0].Took
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	f.same("taken by all", llm.Nanodollars(1000), took)
}

// charged is an entry that a slot pays for.
func charged(ids *ledger.IDs, slot budget.Slot, amount llm.Nanodollars) ledger.Entry {
	e := sample(ids, noon)
	e.Charges = []ledger.Charge{{Budget: slot.ID.String(), Start: slot.Start, Amount: amount}}
	return e
}

func charges(f *fixture) {
	f.begin()
	var ids ledger.IDs
	slot := slotOf("x")
	f.lease(f.store, f.run, slot, 1000, 100)
	batch := f.batch([]ledger.Entry{charged(&ids, slot, 30), charged(&ids, slot, 12), sample(&ids, noon)})
	f.must(f.store.WriteBatch(f.ctx, batch))
	f.must(f.store.WriteBatch(f.ctx, batch))
	stands := func(spent, leased llm.Nanodollars) {
		f.Helper()
		all, err := f.store.Accounts(f.ctx, []budget.Slot{slot})
		f.must(err)
		f.same("account", budget.Account{Slot: slot, Spent: spent, Leased: leased}, all[0])
	}
	stands(42, 58)
	got, ok, err := f.store.Request(f.ctx, batch.Entries[0].ID)
	f.must(err)
	f.same("the row's charges", batch.Entries[0].Charges, got.Charges)
	f.same("there", true, ok)
	// A request that cost more than was held counts in full, and filling the
	// lease up again takes what it overdrew as well.
	f.write(charged(&ids, slot, 158))
	stands(200, 0)
	f.same("filled up", budget.Account{Slot: slot, Spent: 200, Leased: 10, Took: 110}, f.lease(f.store, f.run, slot, 1000, 110))
	f.same("to the limit", budget.Account{Slot: slot, Spent: 200, Leased: 800, Took: 790}, f.lease(f.store, f.run, slot, 1000, 5000))
	// Without any lease, such as of a run that began after the budget ended.
	other := slotOf("y")
	f.write(charged(&ids, other, 7))
	f.same("no lease", budget.Account{Slot: other, Spent: 7, Leased: 93, Took: 100}, f.lease(f.store, f.run, other, 100, 500))
}

func lostLeases(f *fixture) {
	f.begin()
	var ids ledger.IDs
	slot := slotOf("x")
	f.lease(f.store, f.run, slot, 100, 60)
	f.write(charged(&ids, slot, 10))
	next := ids.New(noon.Add(time.Hour))
	_, err := f.store.Begin(f.ctx, ledger.Run{ID: next, Written: noon})
	f.must(err)
	f.same("after a kill", budget.Account{Slot: slot, Spent: 10, Leased: 90, Lost: 50, Took: 40}, f.lease(f.store, next, slot, 100, 500))
	before, err := f.store.BudgetsVersion(f.ctx)
	f.must(err)
	lost, err := f.again().SettleLost(f.ctx, slot)
	f.must(err)
	f.same("settled", llm.Nanodollars(50), lost)
	after, err := f.store.BudgetsVersion(f.ctx)
	f.must(err)
	if after <= before {
		f.Error("settling is not seen by other processes")
	}
	f.same("after settling", budget.Account{Slot: slot, Spent: 10, Leased: 90, Took: 50}, f.lease(f.store, next, slot, 100, 500))
	lost, err = f.store.SettleLost(f.ctx, slot)
	f.must(err)
	f.same("nothing more is lost", llm.Nanodollars(0), lost)
}
