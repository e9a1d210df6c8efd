package storetest

import (
	"context"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// Learned keeps snapshots of what was learned.
type Learned interface {
	SaveLearned(ctx context.Context, name string, data []byte, at time.Time) error
	Learned(ctx context.Context) (map[string][]byte, error)
}

// chosen is an entry of a route that chose.
func chosen(ids *ledger.IDs, at time.Time) ledger.Entry {
	e := sample(ids, at)
	e.Label.Task = "triage"
	e.Choice = &ledger.Choice{Route: "smart", Key: 1<<63 + 5, Rule: ledger.RuleExplored, Why: "drawn evenly", Rung: 2, Chance: 0.025,
		Labels: 31.5, Delta: 0.02, Answered: 2, Held: 1,
		Candidates: []ledger.Candidate{
			{Rung: 1, Target: "a/b", Think: "off", Left: "it does not take tools"},
			{Rung: 2, Target: "openai/gpt-x", Cost: 1234, Priced: true, FirstTokenMS: 1500, Success: 0.75, Chance: 0.025, Closed: true},
		}}
	return e
}

func choices(f *fixture) {
	f.begin()
	var ids ledger.IDs
	e := chosen(&ids, noon)
	named := sample(&ids, noon)
	named.Label.Task = "named"
	f.write(e, named)
	for _, want := range []ledger.Entry{e, named} {
		want.Sum()
		got, ok, err := f.store.Request(f.ctx, want.ID)
		f.must(err)
		if diff := cmp.Diff(want, got, seqless, cmpopts.EquateEmpty()); !ok || diff != "" {
			f.Errorf("found %v (- want, + got):\n%s", ok, diff)
		}
	}
	if diff := cmp.Diff(e.Choice, f.recent(ledger.Filter{Asked: "smart"})[1].Choice); diff != "" {
		f.Errorf("in the list (- want, + got):\n%s", diff)
	}
}

// successes: what requests came to is moved by what is said of them later, and
// saying it twice counts once.
func successes(f *fixture) {
	f.begin()
	var ids ledger.IDs
	well, cut, held := sample(&ids, noon), sample(&ids, noon.Add(time.Hour)), chosen(&ids, noon.Add(26*time.Hour))
	cut.Attempts[1].Finish = llm.FinishLength
	held.Choice.Fault = "it was empty"
	write := func(say []ledger.Feedback, entries ...ledger.Entry) {
		f.Helper()
		b := f.batch(entries)
		b.Successes, b.Feedback = ledger.Successes(entries), say
		f.must(f.store.WriteBatch(f.ctx, b))
	}
	check := func(since, until time.Time, want ...ledger.Success) {
		f.Helper()
		got, err := f.store.Success(f.ctx, since, until)
		f.must(err)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateApprox(0, 1e-6)); diff != "" {
			f.Errorf("(- want, + got):\n%s", diff)
		}
	}
	write(nil, well, cut, held)
	plain := ledger.Success{Asked: "smart", Target: "openai/gpt-x", Requests: 2, Attempts: 4, EndedWell: 1, Successes: 1, Cost: 24_690}
	task := ledger.Success{Asked: "smart", Task: "triage", Target: "openai/gpt-x", Requests: 1, Attempts: 2, Escalated: 1, Cost: 12_345}
	check(time.Time{}, time.Time{}, plain, task)
	check(noon, noon.Add(time.Hour), plain)
	check(noon.Add(24*time.Hour), time.Time{}, task)

	one := func(id ledger.ID, explicit bool, signal string, score float64) ledger.Feedback {
		return ledger.Feedback{Request: id, At: noon.Add(48 * time.Hour), Explicit: explicit, Signal: signal, Score: score}
	}
	retry := one(well.ID, false, "same_prompt", 0)
	write([]ledger.Feedback{retry, one(ids.New(noon), true, "feedback", 1)})
	plain.Implicit, plain.Successes = 1, 0
	check(time.Time{}, time.Time{}, plain, task)
	good := one(well.ID, true, "feedback", 0.75)
	good.Value, good.HasValue = 5000, true
	write([]ledger.Feedback{retry, good, good, one(held.ID, true, "feedback", 1)})
	plain.Explicit, plain.ExplicitScore, plain.Successes, plain.Value = 1, 0.75, 0.75, 5000
	task.Explicit, task.ExplicitScore, task.Successes = 1, 1, 1
	check(time.Time{}, time.Time{}, plain, task)

	got, _, err := f.store.Request(f.ctx, well.ID)
	f.must(err)
	if diff := cmp.Diff([]ledger.Feedback{retry, good}, got.Feedback); diff != "" {
		f.Errorf("(- want, + got):\n%s", diff)
	}
	_, err = f.store.Prune(f.ctx, 100, time.Time{})
	f.must(err)
	check(time.Time{}, time.Time{}, plain, task)
}

func learned(f *fixture) {
	none, err := f.store.Learned(f.ctx)
	f.must(err)
	f.same("at first", 0, len(none))
	for _, data := range []string{"old", "new\x00"} {
		f.must(f.store.SaveLearned(f.ctx, "auto", []byte(data), noon))
	}
	f.must(f.store.SaveLearned(f.ctx, "smart", []byte{1}, noon))
	all, err := f.again().Learned(f.ctx)
	f.must(err)
	if diff := cmp.Diff(map[string][]byte{"auto": []byte("new\x00"), "smart": {1}}, all); diff != "" {
		f.Errorf("(- want, + got):\n%s", diff)
	}
}
