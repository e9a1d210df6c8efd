package storetest

import (
	"time"

	"headrace/internal/budget"
	"headrace/internal/ledger"
)

func prune(f *fixture) {
	f.begin()
	var ids ledger.IDs
	slot := slotOf("x")
	size := func(want int64) {
		f.Helper()
		s, err := f.store.Size(f.ctx)
		f.must(err)
		f.same("rows", want, s.Rows)
		if s.Bytes <= 0 {
			f.Errorf("the store has %d bytes", s.Bytes)
		}
	}
	size(0)
	var all []ledger.Entry
	for i := range 10 {
		e := charged(&ids, slot, 5)
		e.At = noon.Add(time.Duration(i) * time.Hour)
		f.write(e)
		all = append(all, e)
	}
	size(10)
	before := f.total()
	drop := func(rows int, at time.Time, want int) {
		f.Helper()
		n, err := f.store.Prune(f.ctx, rows, at)
		f.must(err)
		f.same("dropped", want, n)
	}
	drop(100, noon, 0)
	drop(100, noon.Add(2*time.Hour), 2)
	drop(3, time.Time{}, 3)
	size(5)
	f.same("left", 5, len(f.recent(ledger.Filter{After: -1})))
	_, ok, err := f.store.Request(f.ctx, all[4].ID)
	f.must(err)
	f.same("the fifth is there", false, ok)
	got, ok, err := f.store.Request(f.ctx, all[5].ID)
	f.must(err)
	if !ok || len(got.Attempts) != len(all[5].Attempts) || len(got.Charges) != 1 {
		f.Errorf("the sixth: %v, %+v", ok, got)
	}
	drop(100, time.Time{}, 4)
	drop(100, time.Time{}, 0)
	size(1)
	f.same("the roll-up", before, f.total())
	accounts, err := f.store.Accounts(f.ctx, []budget.Slot{slot})
	f.must(err)
	f.same("spent", int64(50), int64(accounts[0].Spent))
	f.write(sample(&ids, noon))
	last := f.recent(ledger.Filter{After: -1})
	f.same("places go on", int64(11), last[len(last)-1].Seq)
	f.must(ledger.PruneTo(f.ctx, f.store, ledger.Retention{Rows: 1}, noon))
	size(1)
}
