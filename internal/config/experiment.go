package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MostArms is how many arms an experiment has at most.
const MostArms = 8

// checkExperiments checks what the rules of single fields cannot say.
func (c *Config) checkExperiments(bad func(path, format string, args ...any)) {
	names := slices.Sorted(maps.Keys(c.Experiments))
	for _, name := range names {
		e, at := c.Experiments[name], join("experiments", name)
		if !routeName.MatchString(name) {
			bad(at, "an experiment's name is letters, digits, dots, dashes and underscores")
		}
		_, onRoute := c.Routes[e.On]
		ready := e.On == "auto" || e.On == "claude"
		switch {
		case e.On == "":
			bad(at, "on is missing: the route or the model that clients ask for")
		case !onRoute && !ready && !strings.Contains(e.On, "/") && !bareModel(e.On):
			bad(join(at, "on"), "%q is neither a route nor a model", clip(e.On))
		}
		c.checkArms(&e, at, onRoute || ready, bad)
		if e.Allocation == "bandit" && e.Metric == "cost_per_success" {
			bad(join(at, "allocation"), "a bandit is moved by success or latency, not by a ratio")
		}
		start, err := e.Starts()
		if err != nil {
			bad(join(at, "start"), "%s", err)
		}
		stop, err := e.Stops()
		switch {
		case err != nil:
			bad(join(at, "stop"), "%s", err)
		case !stop.IsZero() && !stop.After(start):
			bad(join(at, "stop"), "it stops before it starts")
		}
		if e.Shadow != nil && e.Shadow.Budget <= 0 {
			bad(join(at, "shadow"), "copies have no budget: write budget: 5.00")
		}
	}
	for i, a := range names {
		for _, b := range names[i+1:] {
			if c.Experiments[a].On == c.Experiments[b].On && overlap(c.Experiments[a], c.Experiments[b]) {
				bad(join(join("experiments", b), "on"), "the experiment %s stands on %s at the same time", a, c.Experiments[a].On)
			}
		}
	}
}

// bareModel reports whether a name may be a model's id.
func bareModel(name string) bool { return strings.ContainsAny(name, "-.0123456789") }

func (c *Config) checkArms(e *Experiment, at string, onRoute bool, bad func(path, format string, args ...any)) {
	if len(e.Arms) < 2 || len(e.Arms) > MostArms {
		bad(join(at, "arms"), "an experiment has 2 to %d arms, the control first", MostArms)
	}
	for i, arm := range e.Arms {
		under := join(join(at, "arms"), strconv.Itoa(i))
		_, toRoute := c.Routes[arm.Model]
		switch {
		case !routeName.MatchString(arm.Name):
			bad(under, "an arm has a name of letters, digits, dots, dashes and underscores")
		case slices.IndexFunc(e.Arms, func(o ExperimentArm) bool { return o.Name == arm.Name }) < i:
			bad(join(under, "name"), "there is an arm %s already", clip(arm.Name))
		}
		switch {
		case arm.Model == "":
		case !onRoute:
			bad(join(under, "model"), "%s is a model that clients ask for, and is never replaced: let the experiment stand on a route", clip(e.On))
		case arm.Model == e.On:
			bad(join(under, "model"), "that is the route itself: leave it out")
		case !toRoute && !modelRef.MatchString(arm.Model):
			bad(join(under, "model"), "%q is neither provider/model nor one of your routes", clip(arm.Model))
		}
		for k := range i {
			if o := e.Arms[k]; o.Model == arm.Model && o.Thinking == arm.Thinking && fmt.Sprint(o.Set.values()) == fmt.Sprint(arm.Set.values()) {
				bad(under, "%s is the same as %s", clip(arm.Name), clip(o.Name))
			}
		}
	}
}

// Setting is one member that an arm sets, with its value as JSON.
type Setting struct{ Name, Value string }

// values lists what is set, in the order of the struct.
func (s *ArmSet) values() []Setting {
	var list []Setting
	number := func(name string, v *float64) {
		if v != nil {
			list = append(list, Setting{name, strconv.FormatFloat(*v, 'f', -1, 64)})
		}
	}
	whole := func(name string, v *int64) {
		if v != nil {
			list = append(list, Setting{name, strconv.FormatInt(*v, 10)})
		}
	}
	word := func(name, v string) {
		if v != "" {
			list = append(list, Setting{name, strconv.Quote(v)})
		}
	}
	number("temperature", s.Temperature)
	number("top_p", s.TopP)
	whole("top_k", s.TopK)
	whole("max_tokens", s.MaxTokens)
	word("effort", s.Effort)
	word("verbosity", s.Verbosity)
	number("frequency_penalty", s.FrequencyPenalty)
	number("presence_penalty", s.PresencePenalty)
	whole("seed", s.Seed)
	word("service_tier", s.ServiceTier)
	if s.ParallelToolCalls != nil {
		list = append(list, Setting{"parallel_tool_calls", strconv.FormatBool(*s.ParallelToolCalls)})
	}
	return list
}

// Values lists what an arm sets.
func (s ArmSet) Values() []Setting { return s.values() }

// Starts is when the experiment begins; zero is at once.
func (e *Experiment) Starts() (time.Time, error) { return when(e.Start) }

// Stops is when it ends; zero is never.
func (e *Experiment) Stops() (time.Time, error) { return when(e.Stop) }

func when(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a day such as 2026-12-01 nor an RFC 3339 time", clip(s))
}

// overlap reports whether two experiments run at some time together.
func overlap(a, b Experiment) bool {
	before := func(x, y Experiment) bool { // x ends before y begins
		stop, err := x.Stops()
		start, err2 := y.Starts()
		return err == nil && err2 == nil && !stop.IsZero() && !start.Before(stop)
	}
	return !before(a, b) && !before(b, a)
}
