package storetest

import (
	"math"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/study"
)

func experiments(f *fixture) {
	f.begin()
	var ids ledger.IDs
	in := sample(&ids, noon)
	in.Needs = llm.Tools | llm.Vision
	in.Trial = &ledger.Trial{Experiment: "an 'experiment'", Run: math.MaxInt64, Arm: "ärm", Unit: 7, Shares: []float64{0.25, 0.75}, Predicted: 0.875}
	out := sample(&ids, noon)
	copied := sample(&ids, noon)
	copied.Trial = &ledger.Trial{Experiment: "an 'experiment'", Run: math.MaxInt64, Arm: "other", Unit: 7, Shadows: in.ID}
	f.write(out, in)
	f.write(copied)
	got, ok, err := f.store.Request(f.ctx, in.ID)
	f.must(err)
	f.same("the request is there", true, ok)
	f.same("its experiment", in.Trial, got.Trial)
	f.same("what it needed", in.Needs, got.Needs)
	got, _, err = f.store.Request(f.ctx, out.ID)
	f.must(err)
	f.same("a request without an experiment", (*ledger.Trial)(nil), got.Trial)
	f.same("what one needs that needs nothing", llm.Feature(0), got.Needs)

	all, err := f.store.Trials(f.ctx, 0, 10)
	f.must(err)
	if len(all) != 2 || all[0].ID != in.ID || all[1].ID != copied.ID || all[1].Trial.Shadows != in.ID || len(all[0].Attempts) != 2 {
		f.Fatalf("the requests of experiments: %+v", all)
	}
	next, err := f.store.Trials(f.ctx, all[0].Seq, 10)
	f.must(err)
	if len(next) != 1 || next[0].ID != copied.ID {
		f.Errorf("after the first one: %+v", next)
	}
	one, err := f.store.Trials(f.ctx, 0, 1)
	f.must(err)
	f.same("bounded", 1, len(one))

	runs, read, err := f.store.StudyRuns(f.ctx)
	f.must(err)
	f.same("runs of an empty store", 0, len(runs))
	f.same("read of it", int64(0), read)
	unit := study.Unit{Run: 1, ID: math.MaxInt64, Arm: "a", Seen: noon, Sums: study.UnitSums{Sum: study.Sum{N: 3, Judged: 2, Good: 1, Cost: 99, Millis: 1.5}, Predicted: 0.5, Shares: []float64{0.5, 0.5}}}
	late := study.Unit{Run: 1, ID: 2, Arm: "b", Seen: noon.Add(time.Hour)}
	run := study.Run{ID: 1, Name: "x", State: []byte(`{"phase":"running"}`), Written: noon}
	f.must(f.store.SaveStudy(f.ctx, study.Saved{Runs: []study.Run{run}, Units: []study.Unit{unit, late}, Read: 2}))
	other := f.again()
	runs, read, err = other.StudyRuns(f.ctx)
	f.must(err)
	f.same("a run", []study.Run{run}, runs)
	f.same("the place", int64(2), read)
	back, ok, err := other.StudyUnit(f.ctx, 1, unit.ID)
	f.must(err)
	f.same("the unit is there", true, ok)
	f.same("a unit", unit, back)
	_, ok, err = other.StudyUnit(f.ctx, 2, unit.ID)
	f.must(err)
	f.same("the unit of another run is there", false, ok)
	pins, err := other.StudyPins(f.ctx, 1, 1)
	f.must(err)
	if len(pins) != 1 || pins[0].ID != late.ID || pins[0].Arm != "b" {
		f.Errorf("the unit that was seen last: %+v", pins)
	}
	unit.Sums.N, unit.Seen = 4, noon.Add(2*time.Hour)
	run.State = []byte(`{}`)
	f.must(f.store.SaveStudy(f.ctx, study.Saved{Runs: []study.Run{run}, Units: []study.Unit{unit}, Read: 3}))
	back, _, err = other.StudyUnit(f.ctx, 1, unit.ID)
	f.must(err)
	f.same("the unit as it is now", unit, back)

	f.must(f.store.AddOrder(f.ctx, study.Order{Run: 1, Act: study.Stop, At: noon, Who: "me"}))
	f.must(other.AddOrder(f.ctx, study.Order{Run: 1, Act: study.Decide, Arm: "b", At: noon, Who: "you"}))
	orders, err := f.store.Orders(f.ctx, 0)
	f.must(err)
	if len(orders) != 2 || orders[0].Act != study.Stop || orders[1].Arm != "b" || orders[1].ID <= orders[0].ID || !orders[1].At.Equal(noon) {
		f.Fatalf("orders: %+v", orders)
	}
	orders, err = f.store.Orders(f.ctx, orders[0].ID)
	f.must(err)
	f.same("orders after the first", 1, len(orders))

	said, err := f.store.Said(f.ctx, noon, 0, 10, 10)
	f.must(err)
	f.same("requests of which something was said", 0, len(said))
	feedback := ledger.Feedback{Request: in.ID, At: noon.Add(time.Hour), Explicit: true, Signal: "feedback", Score: 0.5}
	b := f.batch(nil)
	b.Feedback = []ledger.Feedback{feedback}
	f.must(f.store.WriteBatch(f.ctx, b))
	said, err = f.store.Said(f.ctx, noon.Add(time.Hour), 0, 10, 10)
	f.must(err)
	if len(said) != 1 || said[0].ID != in.ID || len(said[0].Feedback) != 1 || said[0].Feedback[0].Score != 0.5 {
		f.Fatalf("said: %+v", said)
	}
	for _, none := range []struct {
		since        time.Time
		after, until int64
	}{{noon.Add(2 * time.Hour), 0, 10}, {noon, said[0].Seq, 10}, {noon, 0, said[0].Seq - 1}} {
		got, err := f.store.Said(f.ctx, none.since, none.after, none.until, 10)
		f.must(err)
		f.same("said outside of the bounds", 0, len(got))
	}
	f.must(f.store.SaveStudy(f.ctx, study.Saved{Verdicts: map[ledger.ID]float64{in.ID: 0.5}, Read: 3}))
	score, ok, err := f.store.Verdict(f.ctx, in.ID)
	f.must(err)
	if !ok || score != 0.5 {
		f.Errorf("the verdict: %v %v", score, ok)
	}
	_, ok, err = f.store.Verdict(f.ctx, out.ID)
	f.must(err)
	f.same("the verdict on another request is there", false, ok)

	n, err := f.store.Prune(f.ctx, 2, time.Time{})
	f.must(err)
	f.same("dropped", 2, n)
	all, err = f.store.Trials(f.ctx, 0, 10)
	f.must(err)
	f.same("left of experiments", 1, len(all))
}
