// Package study knows what experiments have shown so far: it follows the rows of
// the ledger, adds them up by unit and arm, and says what may be said.
package study

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
	"headrace/internal/trial"
	"headrace/internal/variant"
)

// Metric is what decides.
type Metric string

// The metrics. Each is of a unit, which counts once however much it asks.
const (
	// Success is the share of a unit's requests that went well.
	Success Metric = "success"
	// CostPerSuccess is what all attempts of all units cost for each success.
	CostPerSuccess Metric = "cost_per_success"
	// Latency is the mean time of a unit's requests, to the first byte where the
	// answer is streamed.
	Latency Metric = "latency"
)

// Less reports whether less of the metric is better.
func (m Metric) Less() bool { return m != Success }

// Design is an experiment with what was decided before it began about how it is
// read.
type Design struct {
	variant.Experiment
	Metric Metric
	// Effect is the difference worth having: of Success as it is, of the others as
	// a share of the control's value. 0: 0.03, or 0.1.
	Effect float64
	// Error bounds the chance of a wrong winner; 0: 0.05.
	Error float64
	// Least is how many units each arm has before anything is said; 0: 100.
	Least int64
	// Bandit moves the shares towards the arms that do better.
	Bandit bool
	// Auto puts the winner in force once there is one.
	Auto   bool
	Guards Guards
}

// Guards are what an arm must not spoil; nil and 0 guard nothing.
type Guards struct {
	// Errors and Refusals are by how much the share of such requests may be above
	// the control's.
	Errors, Refusals *float64
	// Cost is by which share a request may cost more than the control's.
	Cost *float64
	// P95 is what 95 of 100 requests must be quicker than.
	P95 time.Duration
}

// Identify gives the design the number of its run: the same for the same
// question, another one when anything changes that results hang on. Weights,
// times, shadows and what is done about a winner may change on the way.
func (d *Design) Identify() error {
	arms := make([]variant.Arm, len(d.Arms))
	for i := range d.Arms {
		arms[i] = d.Arms[i]
		arms[i].Weight = 0
	}
	text, err := json.Marshal([]any{d.Name, d.On, d.Unit, arms, d.Metric, d.Effect, d.Error, d.Least, d.Bandit, d.Guards.Errors, d.Guards.Refusals, d.Guards.Cost, d.Guards.P95.String()}, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("experiment %s: %w", d.Name, err)
	}
	sum := sha256.Sum256(text)
	d.Run = int64(binary.BigEndian.Uint64(sum[:]) >> 1)
	return nil
}

// State is what is kept of a run between looks. It is changed by one goroutine.
type State struct {
	Phase variant.Phase `json:"phase"`
	// Why says what brought it there, for people.
	Why   string    `json:"why"`
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// Shares are those in force; empty means the planned ones. Moved is when they
	// last changed.
	Shares []float64 `json:"shares,omitzero"`
	Moved  time.Time `json:"moved,omitzero"`
	// Winner is the arm that was decided for; empty for none.
	Winner string `json:"winner,omitzero"`
	Arms   []Arm  `json:"arms"`
	// Epochs count the units that were given under each of the last shares;
	// Shared is the evidence of all earlier ones.
	Epochs []Epoch `json:"epochs,omitzero"`
	Shared float64 `json:"shared,omitzero"`
	// Weighted is kept for bandits only.
	Weighted *trial.Weighted `json:"weighted,omitzero"`
	// Scale and CostScale are the control's value and its cost of a request, as
	// they were when there was first enough to say; 0 before.
	Scale     float64 `json:"scale,omitzero"`
	CostScale float64 `json:"cost_scale,omitzero"`
	// Pairs are those arms that copies have compared on the same requests.
	Pairs []Pair `json:"pairs,omitzero"`
	// Copies counts them, Spent is what they cost.
	Copies int64           `json:"copies,omitzero"`
	Spent  llm.Nanodollars `json:"spent,omitzero"`
	// Strays counts requests of units that were given another arm before: they
	// are left out.
	Strays int64 `json:"strays,omitzero"`
	// History is how the estimates went, oldest first.
	History []Point `json:"history,omitzero"`
	// Order is the last order that was carried out.
	Order int64 `json:"order,omitzero"`
}

// Arm is what is known of an arm.
type Arm struct {
	Name string `json:"name"`
	// Halted says why it was stopped; empty when it was not.
	Halted string `json:"halted,omitzero"`
	Units  int64  `json:"units"`
	// Sum adds up its units.
	Sum Sum `json:"sum"`
	// Value and Guards are of units; see trial.Counts.
	Value  trial.Sums   `json:"value"`
	Guards []trial.Sums `json:"guards"`
}

// Sum is what some requests came to.
type Sum struct {
	N int64 `json:"n"`
	// Judged are those of which it is known how well they went, Good is the sum of
	// that, from 0 to 1 each.
	Judged int64   `json:"judged"`
	Good   float64 `json:"good"`
	// Failed got no answer through no fault of the caller, Refused were refused
	// by the model.
	Failed  int64 `json:"failed"`
	Refused int64 `json:"refused"`
	// Timed are those whose time counts, Slow those that were slower than the
	// guard allows 5 of 100 to be.
	Timed   int64           `json:"timed"`
	Slow    int64           `json:"slow"`
	Millis  float64         `json:"millis"`
	Cost    llm.Nanodollars `json:"cost"`
	Unknown int64           `json:"unknown"` // whose cost is not known
}

func (s *Sum) add(o *Sum) {
	s.N += o.N
	s.Judged += o.Judged
	s.Good += o.Good
	s.Failed += o.Failed
	s.Refused += o.Refused
	s.Timed += o.Timed
	s.Slow += o.Slow
	s.Millis += o.Millis
	s.Cost += o.Cost
	s.Unknown += o.Unknown
}

// Epoch counts the units given under some shares, by arm.
type Epoch struct {
	Shares []float64 `json:"shares"`
	Counts []int64   `json:"counts"`
}

// Pair compares two arms on the same requests: Success and Cost (in dollars) are
// arm B's less arm A's.
type Pair struct {
	A       string     `json:"a"`
	B       string     `json:"b"`
	Success trial.Sums `json:"success"`
	Cost    trial.Sums `json:"cost"`
}

// Point is what could be said at a time.
type Point struct {
	At   time.Time `json:"at"`
	Arms []ArmAt   `json:"arms"`
}

// ArmAt is an arm at a time: its units, its value, and the bounds of its
// difference to the control where there are any.
type ArmAt struct {
	N     int64    `json:"n"`
	Value float64  `json:"value"`
	Low   *float64 `json:"low,omitzero"`
	High  *float64 `json:"high,omitzero"`
}

// Unit is what one session, user or key has come to.
type Unit struct {
	Run, ID int64
	Arm     string
	// Seen is when its last request began.
	Seen time.Time
	Sums UnitSums
}

// UnitSums are a Unit's requests with what was known before the first.
type UnitSums struct {
	Sum
	Predicted float64   `json:"predicted,omitzero"`
	Shares    []float64 `json:"shares,omitzero"`
}

// plan is how the run is read now.
func (d *Design) plan(s *State) trial.Plan {
	p := trial.Plan{Shares: d.Experiment.Shares(), Alpha: d.Error, Effect: d.Effect, Least: d.Least, Less: d.Metric.Less(),
		Ratio: d.Metric == CostPerSuccess, Shared: s.Shared}
	if len(s.Shares) > 0 {
		p.Shares = s.Shares
	}
	if p.Least == 0 {
		p.Least = 100
	}
	if p.Effect == 0 {
		p.Effect = map[bool]float64{true: 0.03, false: 0.1}[d.Metric == Success]
	}
	if d.Metric != Success {
		p.Effect = max(p.Effect*s.Scale, 1e-9) // a value of 0 is never told from another
	}
	if d.Bandit {
		p.Weighted = s.Weighted
	}
	p.Guards = d.guards(s)
	p.Out = make([]bool, len(s.Arms))
	for i := range s.Arms {
		p.Out[i] = s.Arms[i].Halted != ""
	}
	return p
}

// guards are those of the design, in the order of UnitSums.guards.
func (d *Design) guards(s *State) (list []trial.Guard) {
	if g := d.Guards.Errors; g != nil {
		list = append(list, trial.Guard{Name: "errors", Margin: *g})
	}
	if g := d.Guards.Refusals; g != nil {
		list = append(list, trial.Guard{Name: "refusals", Margin: *g})
	}
	if g := d.Guards.Cost; g != nil {
		list = append(list, trial.Guard{Name: "cost", Margin: *g, Relative: true, Effect: max(0.1*s.CostScale, 1e-12)})
	}
	if d.Guards.P95 > 0 {
		list = append(list, trial.Guard{Name: "p95", Margin: 0.05, Absolute: true})
	}
	return list
}

// guarded are the values of a unit that guards look at; ok says of each whether
// it has one.
func (d *Design) guarded(u *Sum) (values []float64, ok []bool) {
	add := func(of, all float64) {
		values, ok = append(values, of/max(all, 1)), append(ok, all > 0)
	}
	if d.Guards.Errors != nil {
		add(float64(u.Failed), float64(u.N))
	}
	if d.Guards.Refusals != nil {
		add(float64(u.Refused), float64(u.N))
	}
	if d.Guards.Cost != nil {
		add(dollars(u.Cost), float64(u.N-u.Unknown))
	}
	if d.Guards.P95 > 0 {
		add(float64(u.Slow), float64(u.Timed))
	}
	return values, ok
}

// value is what decides of a unit.
func (d *Design) value(u *UnitSums) (y, x float64, ok bool) {
	switch d.Metric {
	case CostPerSuccess:
		return dollars(u.Cost), u.Good, u.N > u.Unknown
	case Latency:
		return u.Millis / 1000 / float64(max(u.Timed, 1)), 0, u.Timed > 0
	}
	return u.Good / float64(max(u.Judged, 1)), u.Predicted, u.Judged > 0
}

func dollars(n llm.Nanodollars) float64 { return float64(n) / 1e9 }

// Read says what may be said of a run now.
func (d *Design) Read(s *State) trial.Reading {
	counts := make([]trial.Counts, len(s.Arms))
	for i := range s.Arms {
		a := &s.Arms[i]
		counts[i] = trial.Counts{Value: a.Value, Guards: a.Guards}
	}
	p := d.plan(s)
	if n := len(s.Epochs); n > 0 {
		// The last shares are the plan's; the earlier ones are told as evidence.
		if p.Shared == 0 {
			p.Shared = 1
		}
		for _, e := range s.Epochs[:n-1] {
			p.Shared *= trial.ShareEvidence(e.Counts, e.Shares)
		}
		p.Shares = s.Epochs[n-1].Shares
		for i := range counts {
			counts[i].Assigned = s.Epochs[n-1].Counts[i]
		}
	}
	return trial.Read(p, counts)
}
