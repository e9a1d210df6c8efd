package app

import (
	"maps"
	"slices"

	"headrace/internal/config"
	"headrace/internal/llm"
	"headrace/internal/provider"
	"headrace/internal/study"
	"headrace/internal/variant"
)

// designs are the experiments of a configuration, by name.
func designs(cfg *config.Config) ([]*study.Design, error) {
	var list []*study.Design
	for _, name := range slices.Sorted(maps.Keys(cfg.Experiments)) {
		c := cfg.Experiments[name]
		d := &study.Design{Metric: study.Metric(c.Metric), Effect: c.Effect, Error: c.Error, Least: c.Least, Bandit: c.Allocation == "bandit", Auto: c.Winner == "auto",
			Guards: study.Guards{Errors: c.Guardrails.Errors, Refusals: c.Guardrails.Refusals, Cost: c.Guardrails.Cost, P95: c.Guardrails.P95.Std()}}
		if d.Metric == "" {
			d.Metric = study.Success
		}
		d.Experiment = variant.Experiment{Name: name, On: c.On, Unit: variant.Kind(c.Unit)}
		if d.Unit == "" {
			d.Unit = variant.Session
		}
		var err error
		if d.Start, err = c.Starts(); err != nil {
			return nil, err
		}
		if d.Stop, err = c.Stops(); err != nil {
			return nil, err
		}
		for _, arm := range c.Arms {
			a := variant.Arm{Name: arm.Name, Weight: arm.Weight, Model: arm.Model, Thinking: arm.Thinking}
			if a.Weight == 0 {
				a.Weight = 1
			}
			for _, s := range arm.Set.Values() {
				a.Set = append(a.Set, variant.Setting(s))
			}
			d.Arms = append(d.Arms, a)
		}
		if s := c.Shadow; s != nil {
			d.Shadow = &variant.Shadow{Share: s.Share, Budget: llm.Nanodollars(s.Budget)}
		}
		if err := d.Identify(); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// variants gives the gateway's requests their arms.
type variants struct{ *variant.Desk }

// Fit writes what the arm sets into a draft.
func (variants) Fit(d llm.Draft, a *variant.Arm) (out llm.Draft, lost []string) {
	for _, s := range a.Set {
		next, ok := provider.Set(d, s.Name, s.Value)
		if !ok {
			lost = append(lost, s.Name)
			continue
		}
		d = next
	}
	return d, lost
}

// declare puts the experiments of a configuration in force.
func (a *App) declare(cfg *config.Config) error {
	list, err := designs(cfg)
	if err != nil {
		return err
	}
	a.study.Declare(list)
	return nil
}
