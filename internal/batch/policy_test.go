package batch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"headrace/internal/batch"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// The diagram is what state.go's prose says; a change of the table shows here.
func TestDiagram(t *testing.T) {
	t.Parallel()
	const want = `
queued -> coalescing realtime failed canceled expired
coalescing -> submitted realtime failed canceled expired
submitted -> coalescing running retrying realtime failed canceled expired
running -> ended retrying realtime succeeded failed canceled expired
ended -> retrying realtime succeeded failed canceled expired
retrying -> coalescing realtime failed canceled expired
realtime -> retrying succeeded failed canceled expired
succeeded ->
failed ->
canceled ->
expired ->
`
	var b strings.Builder
	b.WriteByte('\n')
	all := batch.States()
	for _, from := range all {
		b.WriteString(string(from) + " ->")
		n := 0
		for _, to := range all {
			if from.May(to) {
				b.WriteString(" " + string(to))
				n++
			}
		}
		if from.Final() != (n == 0) {
			t.Errorf("%s: final is %t and %d states follow", from, from.Final(), n)
		}
		b.WriteByte('\n')
	}
	if b.String() != want {
		t.Errorf("the table is\n%s\nwant\n%s", b.String(), want)
	}
	reached := map[batch.State]bool{batch.Queued: true}
	for range all {
		for _, from := range all {
			for _, to := range all {
				if reached[from] && from.May(to) {
					reached[to] = true
				}
			}
		}
	}
	if len(reached) != len(all) {
		t.Errorf("only %d of %d states can be reached", len(reached), len(all))
	}
}

func TestLeave(t *testing.T) {
	t.Parallel()
	// 3 * 2000 / 200 a minute is 30 min, the rest is 2 min 30 s.
	var r batch.Rule
	at := noon.Add(time.Hour - 32*time.Minute - 30*time.Second)
	for _, c := range []struct {
		name string
		now  time.Time
		left int64
		rate batch.Rate
		want bool
	}{
		{"a moment before", at.Add(-time.Second), 2000, 200, false},
		{"the last safe moment", at, 2000, 200, true},
		{"fewer are left", at, 1900, 200, false},
		{"the quota fell", noon, 2000, 80, true},
		{"no quota at all", noon, 1, 0, true},
		{"nothing left", noon.Add(2 * time.Hour), 0, 0, false},
	} {
		if got := r.Leave(c.now, noon.Add(time.Hour), c.left, c.rate); got != c.want {
			t.Errorf("%s: leave is %t", c.name, got)
		}
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	var r batch.Rule
	job := func(id batch.JobID, in time.Duration, left int64) batch.Demand {
		return batch.Demand{Job: id, Deadline: noon.Add(in), Left: left}
	}
	for _, c := range []struct {
		name string
		jobs []batch.Demand
		want []batch.JobID
	}{
		{"time enough", []batch.Demand{job(1, 2*time.Hour, 2000), job(2, 3*time.Hour, 2000)}, nil},
		{"each fits alone, not both", []batch.Demand{job(2, 61*time.Minute, 2000), job(1, time.Hour, 2000)}, []batch.JobID{1}},
		{"later work breaks nothing earlier", []batch.Demand{job(1, time.Hour, 100), job(2, 10*time.Hour, 2000)}, nil},
		{"both are late", []batch.Demand{job(1, time.Minute, 10), job(2, 2*time.Minute, 10)}, []batch.JobID{1, 2}},
	} {
		if got := r.Switch(noon, c.jobs, 200); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v leave, want %v", c.name, got, c.want)
		}
	}
	one := []batch.Demand{job(1, time.Hour, 2000)}
	rapid.Check(t, func(t *rapid.T) {
		now := noon.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "s")) * time.Second)
		one[0].Left = rapid.Int64Range(0, 4000).Draw(t, "left")
		if got, want := len(r.Switch(now, one, 200)) == 1, r.Leave(now, one[0].Deadline, one[0].Left, 200); got != want {
			t.Fatalf("with one job the two rules differ: %t and %t", got, want)
		}
	})
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	var r batch.Rule
	if a := r.Admit(noon, noon.Add(time.Hour), 2000, nil, 200); !a.Possible || !a.Batch || !a.Until.Equal(noon.Add(27*time.Minute+30*time.Second)) {
		t.Errorf("an hour: %+v", a)
	}
	if a := r.Admit(noon, noon.Add(20*time.Minute), 2000, nil, 200); !a.Possible || a.Batch {
		t.Errorf("20 minutes must begin in real time: %+v", a)
	}
	a := r.Admit(noon, noon.Add(10*time.Minute), 2000, nil, 200)
	if a.Possible || !a.Earliest.Equal(noon.Add(10*time.Minute+30*time.Second)) {
		t.Errorf("10 minutes is too short: %+v", a)
	}
	busy := []batch.Demand{{Deadline: noon.Add(time.Minute), Left: 4000}}
	if a := r.Admit(noon, noon.Add(20*time.Minute), 2000, busy, 200); a.Possible {
		t.Errorf("others are before it: %+v", a)
	}
}

func TestCurve(t *testing.T) {
	t.Parallel()
	var c batch.Curve
	if p := c.Within(time.Hour); p < .69 || p > .71 {
		t.Errorf("knowing nothing: %v", p)
	}
	for range 300 {
		c.Add(20 * time.Hour)
	}
	if p := c.Within(time.Hour); p > .02 {
		t.Errorf("after 300 slow ones: %v", p)
	}
	a := batch.Admission{Possible: true, Batch: true, Until: noon.Add(time.Hour)}
	if got := batch.Choose(a, noon, true, .5, &c); got.Path != batch.PathRealTime || got.Why == "" {
		t.Errorf("an outage: %+v", got)
	}
	if got := batch.Choose(a, noon, true, .5, &batch.Curve{}); got.Path != batch.PathBatch || got.Share > .66 {
		t.Errorf("knowing nothing: %+v", got)
	}
}
