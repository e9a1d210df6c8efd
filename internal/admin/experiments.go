package admin

import (
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"headrace/internal/llm"
	"headrace/internal/study"
	"headrace/internal/trial"
)

// Experiments are what is tried out. Errors are *llm.Error of class NotFound or
// InvalidRequest where the caller is to blame.
type Experiments interface {
	// Views lists all, by name.
	Views(ctx context.Context) ([]study.View, error)
	// Give orders something of one. It is carried out within a few seconds, by the
	// process that serves.
	Give(ctx context.Context, name string, act study.Act, arm, who string) error
}

// Experiment is an experiment and how it stands.
type Experiment struct {
	Name string `json:"name"`
	// On is the route or model that it stands on, Unit what an arm is given to.
	On     string `json:"on"`
	Unit   string `json:"unit" enum:"session,user,key"`
	Metric string `json:"metric" enum:"success,cost_per_success,latency"`
	// Allocation says whether shares move to the arms that do better.
	Allocation string `json:"allocation" enum:"fixed,bandit"`
	// Phase is waiting (to begin), running, stopped (everybody gets what they ask
	// for) or decided (everybody new gets the winner).
	Phase string    `json:"phase" enum:"waiting,running,stopped,decided"`
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// Decision says in words where it stands.
	Decision string `json:"decision"`
	// Winner is the arm that was decided for, or else that beats every other one
	// now; empty for none. Error bounds the chance that it is not the best.
	Winner string  `json:"winner,omitzero"`
	Error  float64 `json:"error_bound"`
	// SampleRatio says whether units came to the arms as planned. When it is
	// broken nothing that was measured is shown.
	SampleRatio SampleRatio `json:"sample_ratio"`
	// Arms are in order, the control first.
	Arms []ExperimentArm `json:"arms"`
	// Strays are requests of units that had another arm before; they are left out.
	Strays int64 `json:"strays"`
	// Shadow is left out where no requests are copied.
	Shadow *ShadowState `json:"shadow,omitzero"`
	// History is left out of lists.
	History []ExperimentPoint `json:"history,omitzero"`
}

// SampleRatio is the state of the sample-ratio check.
type SampleRatio struct {
	Broken bool `json:"broken"`
	// Evidence is the likelihood of other shares over that of the planned ones;
	// Alarm is from where on it is broken.
	Evidence float64 `json:"evidence"`
	Alarm    float64 `json:"alarm"`
}

// ExperimentArm is an arm and what is known of it.
type ExperimentArm struct {
	Name string `json:"name"`
	// Model, Thinking and Set are what it changes.
	Model    string              `json:"model,omitzero"`
	Thinking string              `json:"thinking,omitzero"`
	Set      []ExperimentSetting `json:"set,omitzero"`
	// Planned is its share as configured, Share the one in force.
	Planned float64 `json:"planned_share"`
	Share   float64 `json:"share"`
	// Stopped names the guard that stopped it; left out otherwise.
	Stopped string `json:"stopped,omitzero"`
	// Units were given the arm, Counted have a value.
	Units   int64 `json:"units"`
	Counted int64 `json:"counted"`
	// The plain sums of its requests. Judged are those of which it is known how
	// well they went, Succeeded is the sum of that, from 0 to 1 each.
	Requests  int64           `json:"requests"`
	Judged    int64           `json:"judged"`
	Succeeded float64         `json:"succeeded"`
	Failed    int64           `json:"failed"`
	Refused   int64           `json:"refused"`
	Cost      llm.Nanodollars `json:"cost_nanodollars"`
	Unpriced  int64           `json:"unpriced"`
	// Value is the estimate of the metric, in shares, US dollars or seconds; left
	// out before there is one.
	Value *Bounded `json:"value,omitzero"`
	// Difference is that to the control with its always-valid interval.
	Difference *Bounded         `json:"difference,omitzero"`
	Guardrails []GuardrailState `json:"guardrails"`
}

// ExperimentSetting is a member of the request that an arm sets; Value is JSON.
type ExperimentSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Bounded is an estimate with an interval.
type Bounded struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// GuardrailState says what a guardrail says of an arm.
type GuardrailState struct {
	Name string `json:"name"`
	// Verdict is unsure, harmful (the arm is stopped) or harmless.
	Verdict string `json:"verdict" enum:"unsure,harmful,harmless"`
	// Value is the arm's, Control the control's.
	Value   float64 `json:"value"`
	Control float64 `json:"control"`
	// Margin is how much worse is borne.
	Margin float64 `json:"margin"`
}

// ShadowState says how the copies stand.
type ShadowState struct {
	Share  float64         `json:"share"`
	Budget llm.Nanodollars `json:"budget_nanodollars"`
	Spent  llm.Nanodollars `json:"spent_nanodollars"`
	Copies int64           `json:"copies"`
	// Pairs compare two arms on the same requests.
	Pairs []ShadowPair `json:"pairs"`
}

// ShadowPair is what arm B did more than arm A on the same requests.
type ShadowPair struct {
	A string `json:"a"`
	B string `json:"b"`
	N int64  `json:"n"`
	// Success is a difference of shares, Cost one of US dollars a request; both
	// with always-valid intervals, left out before there are any.
	Success *Bounded `json:"success,omitzero"`
	Cost    *Bounded `json:"cost,omitzero"`
}

// ExperimentPoint is what could be said at a time.
type ExperimentPoint struct {
	At   time.Time      `json:"at"`
	Arms []ArmPointView `json:"arms"`
}

// ArmPointView is an arm at a time. Low and High bound its difference to the
// control, where anything could be said.
type ArmPointView struct {
	N     int64    `json:"n"`
	Value float64  `json:"value"`
	Low   *float64 `json:"low,omitzero"`
	High  *float64 `json:"high,omitzero"`
}

// ExperimentList is all experiments.
type ExperimentList struct {
	Experiments []Experiment `json:"experiments"`
}

// ExperimentAnswer is one experiment.
type ExperimentAnswer struct {
	Experiment Experiment `json:"experiment"`
}

// ExperimentDecision says what to decide for.
type ExperimentDecision struct {
	// Arm is an arm's name; left out, the winner.
	Arm string `json:"arm,omitzero"`
}

// ExperimentOrder says that an order was taken.
type ExperimentOrder struct {
	Name  string `json:"name"`
	Order string `json:"order" enum:"start,stop,decide"`
}

var experimentRoutes = []route{
	{method: "GET", path: prefix + "experiments", name: "listExperiments", may: "experiments.read", summary: "List experiments and how they stand.", out: ExperimentList{}, status: 200, serve: (*server).listExperiments},
	{method: "GET", path: prefix + "experiments/{name}", name: "experiment", may: "experiments.read", summary: "Show one experiment, with how its estimates went.", out: ExperimentAnswer{}, status: 200, serve: (*server).experiment},
	{method: "POST", path: prefix + "experiments/{name}/start", name: "startExperiment", may: "experiments.write", summary: "Begin an experiment now, or let it go on.", out: ExperimentOrder{}, status: 202, serve: (*server).startExperiment},
	{method: "POST", path: prefix + "experiments/{name}/stop", name: "stopExperiment", may: "experiments.write", summary: "Stop an experiment: everybody gets what they ask for.", out: ExperimentOrder{}, status: 202, serve: (*server).stopExperiment},
	{method: "POST", path: prefix + "experiments/{name}/decide", name: "decideExperiment", may: "experiments.write", summary: "Give everybody new one arm; the winner when none is named.", in: ExperimentDecision{}, out: ExperimentOrder{}, status: 202, serve: (*server).decideExperiment},
}

func (s *server) listExperiments(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	views, err := s.views(q.Context())
	if err != nil {
		return 0, nil, err
	}
	list := ExperimentList{Experiments: []Experiment{}}
	for i := range views {
		e := showExperiment(&views[i])
		e.History = nil
		list.Experiments = append(list.Experiments, e)
	}
	return http.StatusOK, list, nil
}

func (s *server) views(ctx context.Context) ([]study.View, error) {
	if s.Experiments == nil {
		return nil, nil
	}
	return s.Experiments.Views(ctx)
}

func (s *server) experiment(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	views, err := s.views(q.Context())
	if err != nil {
		return 0, nil, err
	}
	name := q.PathValue("name")
	at := slices.IndexFunc(views, func(v study.View) bool { return v.Name == name })
	if at < 0 {
		return 0, nil, llm.Errorf(llm.NotFound, "there is no experiment %q", name)
	}
	return http.StatusOK, ExperimentAnswer{showExperiment(&views[at])}, nil
}

func (s *server) startExperiment(q *http.Request) (int, any, error) {
	return s.order(q, study.Start, "")
}

func (s *server) stopExperiment(q *http.Request) (int, any, error) {
	return s.order(q, study.Stop, "")
}

func (s *server) decideExperiment(q *http.Request) (int, any, error) {
	var d ExperimentDecision
	if err := read(q, &d); err != nil {
		return 0, nil, err
	}
	return s.order(q, study.Decide, d.Arm)
}

func (s *server) order(q *http.Request, act study.Act, arm string) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	name := q.PathValue("name")
	if s.Experiments == nil {
		return 0, nil, llm.Errorf(llm.NotFound, "there is no experiment %q", name)
	}
	if err := s.Experiments.Give(q.Context(), name, act, arm, s.caller(q.Context()).ID); err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "experiments."+string(act), name)
	return http.StatusAccepted, ExperimentOrder{Name: name, Order: string(act)}, nil
}

func showExperiment(v *study.View) Experiment {
	s, r := v.State, &v.Reading
	e := Experiment{Name: v.Name, On: v.On, Unit: string(v.Unit), Metric: string(v.Metric), Allocation: "fixed", Phase: string(s.Phase), Began: utc(s.Began), Ended: utc(s.Ended),
		Decision: v.Words, Winner: s.Winner, Error: r.Error, Strays: s.Strays, SampleRatio: SampleRatio{Broken: r.Broken, Evidence: min(r.Shares, 1e300), Alarm: trial.ShareAlarm}}
	if v.Bandit {
		e.Allocation = "bandit"
	}
	if e.Winner == "" && r.Winner >= 0 && !r.Broken {
		e.Winner = s.Arms[r.Winner].Name
	}
	planned := v.Experiment.Shares()
	for i := range v.Arms {
		d, a := &v.Arms[i], &s.Arms[i]
		arm := ExperimentArm{Name: d.Name, Model: d.Model, Thinking: d.Thinking, Planned: planned[i], Share: planned[i], Stopped: a.Halted, Units: a.Units, Counted: a.Value.N, Guardrails: []GuardrailState{}}
		if len(s.Shares) == len(planned) {
			arm.Share = s.Shares[i]
		}
		for _, set := range d.Set {
			arm.Set = append(arm.Set, ExperimentSetting(set))
		}
		if !r.Broken {
			showArm(&arm, v, i)
		}
		e.Arms = append(e.Arms, arm)
	}
	if sh := v.Shadow; sh != nil {
		e.Shadow = &ShadowState{Share: sh.Share, Budget: sh.Budget, Spent: s.Spent, Copies: s.Copies, Pairs: []ShadowPair{}}
		for i := range s.Pairs {
			p := &s.Pairs[i]
			pair := ShadowPair{A: p.A, B: p.B, N: p.Success.N}
			pair.Success, pair.Cost = within(v.PairSuccess(p)), within(v.PairCost(p))
			e.Shadow.Pairs = append(e.Shadow.Pairs, pair)
		}
	}
	if !r.Broken {
		for _, p := range s.History {
			point := ExperimentPoint{At: p.At}
			for _, a := range p.Arms {
				point.Arms = append(point.Arms, ArmPointView(a))
			}
			e.History = append(e.History, point)
		}
	}
	return e
}

// showArm adds what was measured.
func showArm(arm *ExperimentArm, v *study.View, i int) {
	a, r := &v.State.Arms[i], &v.Reading.Arms[i]
	sum := &a.Sum
	arm.Requests, arm.Judged, arm.Succeeded, arm.Failed, arm.Refused = sum.N, sum.Judged, sum.Good, sum.Failed, sum.Refused
	arm.Cost, arm.Unpriced = sum.Cost, sum.Unknown
	if e := r.Value; !math.IsInf(e.Variance, 1) {
		half := 1.96 * math.Sqrt(e.Variance)
		arm.Value = &Bounded{e.Value, e.Value - half, e.Value + half}
	}
	if i > 0 {
		arm.Difference = within(r.Against, r.Within)
	}
	if v.Metric == study.Success { // a share
		arm.Value.clip(0)
		arm.Difference.clip(-1)
	}
	for g, guard := range v.Guards {
		state := GuardrailState{Name: guard.Name, Verdict: string(trial.Unsure), Margin: guard.Margin}
		if g < len(r.Guards) {
			state.Verdict = string(r.Guards[g])
		}
		if g < len(a.Guards) {
			state.Value, state.Control = a.Guards[g].Y, v.State.Arms[0].Guards[g].Y
		}
		arm.Guardrails = append(arm.Guardrails, state)
	}
}

// clip keeps an interval between least and 1.
func (b *Bounded) clip(least float64) {
	if b != nil {
		b.Low, b.High = max(b.Low, least), min(b.High, 1)
	}
}

// within is an estimate with its interval; nil where nothing can be said.
func within(e trial.Estimate, in trial.Interval) *Bounded {
	if math.IsInf(in.Low, 0) || math.IsInf(in.High, 0) {
		return nil
	}
	return &Bounded{e.Value, in.Low, in.High}
}
