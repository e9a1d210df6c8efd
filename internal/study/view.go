package study

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
	"headrace/internal/trial"
	"headrace/internal/variant"
)

// View is an experiment as it can be shown.
type View struct {
	*Design
	State   *State
	Reading trial.Reading
	// Guards are those of the reading, in its order.
	Guards []trial.Guard
	// Words say where it stands in a few sentences.
	Words string
}

// Views shows the experiments that are declared, as they were when the process
// that serves last looked. Any process may ask.
func (e *Engine) Views(ctx context.Context) ([]View, error) {
	designs := e.declared()
	if len(designs) == 0 {
		return nil, nil
	}
	runs, _, err := e.o.Store.StudyRuns(ctx)
	if err != nil {
		return nil, err
	}
	var views []View
	for _, d := range designs {
		s := fresh(d)
		if at := slices.IndexFunc(runs, func(r Run) bool { return r.ID == d.Run }); at >= 0 {
			s = &State{}
			if err := json.Unmarshal(runs[at].State, s); err != nil {
				return nil, fmt.Errorf("experiment %s: what was kept of it cannot be read: %w", d.Name, err)
			}
		}
		v := View{Design: d, State: s, Reading: d.Read(s), Guards: d.guards(s)}
		v.Words = v.words()
		views = append(views, v)
	}
	return views, nil
}

// Give notes an order for an experiment. The errors are for whoever gives it.
func (e *Engine) Give(ctx context.Context, name string, act Act, arm, who string) error {
	views, err := e.Views(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(views, func(v View) bool { return v.Name == name })
	if at < 0 {
		return llm.Errorf(llm.NotFound, "there is no experiment %q", name)
	}
	v := &views[at]
	if act == Decide {
		switch {
		case arm != "" && v.At(arm) < 0:
			return llm.Errorf(llm.InvalidRequest, "the experiment %s has no arm %q", name, arm)
		case arm == "" && v.Reading.Winner < 0:
			return llm.Errorf(llm.InvalidRequest, "the experiment %s has no winner yet: name the arm to decide for", name)
		}
	}
	if err := e.o.Store.AddOrder(ctx, Order{Run: v.Run, Act: act, Arm: arm, At: time.Now(), Who: who}); err != nil {
		return err
	}
	e.Nudge()
	return nil
}

// words say where it stands.
func (v *View) words() string {
	var b strings.Builder
	say := func(format string, args ...any) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, format, args...)
	}
	s, r := v.State, &v.Reading
	switch s.Phase {
	case variant.Waiting:
		say("It has not begun.")
	case variant.Stopped:
		say("It is stopped: %s. Everybody gets what they ask for.", s.Why)
	case variant.Decided:
		say("It is decided for %s: %s.", s.Winner, s.Why)
	}
	for i := range s.Arms {
		if a := &s.Arms[i]; a.Halted != "" {
			say("%s was stopped by the guard on %s; its traffic goes to %s.", a.Name, a.Halted, s.Arms[0].Name)
		}
	}
	if r.Broken {
		say("The units did not come to the arms as planned (evidence %.3g to 1 against it), so nothing that was measured can be believed. Look for requests that are lost, or repeated, in one arm only.", r.Shares)
		return b.String()
	}
	if s.Phase != variant.Running {
		return b.String()
	}
	least := v.plan(s).Least
	for i := range s.Arms {
		if n := s.Arms[i].Value.N; n < least && s.Arms[i].Halted == "" {
			say("Too early: %s has %d of the %d units that are needed before anything is said.", s.Arms[i].Name, n, least)
			return b.String()
		}
	}
	if r.Winner >= 0 {
		say("%s beats every other arm; the chance that it is not the best is at most %.3g.", s.Arms[r.Winner].Name, r.Error)
		if !v.Auto {
			say("Nothing changes before it is decided.")
		}
		return b.String()
	}
	for i := 1; i < len(s.Arms); i++ {
		if in := r.Arms[i].Within; s.Arms[i].Halted == "" && !math.IsInf(in.Low, 0) {
			say("%s is between %s and %s than %s in %s.", s.Arms[i].Name, v.by(in.Low), v.by(in.High), s.Arms[0].Name, v.of())
		}
	}
	say("No winner yet.")
	return b.String()
}

// by writes a difference in the unit of the metric.
func (v *View) by(d float64) string {
	word := "more"
	if v.Metric == Success {
		d = min(max(d, -1), 1)
	}
	if d < 0 {
		word, d = "less", -d
	}
	switch v.Metric {
	case CostPerSuccess:
		return fmt.Sprintf("$%.6f %s", d, word)
	case Latency:
		return fmt.Sprintf("%.3f s %s", d, word)
	}
	return fmt.Sprintf("%.1f points %s", 100*d, word)
}

func (v *View) of() string {
	return map[Metric]string{Success: "success", CostPerSuccess: "cost per success", Latency: "latency"}[v.Metric]
}

// leastPairs is how many pairs there are before anything is said of them.
const leastPairs = 20

// PairSuccess estimates how much more often arm B of a pair succeeds, with its
// always-valid interval.
func (v *View) PairSuccess(p *Pair) (trial.Estimate, trial.Interval) {
	return v.paired(p.Success, 0.03)
}

// PairCost estimates how much more a request costs with arm B of a pair, in
// dollars.
func (v *View) PairCost(p *Pair) (trial.Estimate, trial.Interval) {
	return v.paired(p.Cost, max(0.1*v.State.CostScale, 1e-9))
}

func (v *View) paired(s trial.Sums, effect float64) (trial.Estimate, trial.Interval) {
	s.Binary = false
	e := s.Mean()
	if s.N < leastPairs {
		e.Variance = math.Inf(1)
	}
	return e, trial.Sequence{Alpha: v.Error, Effect: effect}.Interval(e)
}
