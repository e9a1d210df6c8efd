package ledger

import (
	"fmt"
	"slices"
	"time"

	"headrace/internal/llm"
)

// Tally is what a group of requests came to.
type Tally struct {
	// Requests counts outcomes and Failed those of them with a class. A
	// request counts where its last attempt went.
	Requests, Failed int64
	// Attempts counts tries at providers, FailedAttempts those with a class.
	Attempts, FailedAttempts int64
	// Estimated counts attempts whose usage is our own estimate, Unpriced
	// those whose cost is not known and not in Cost.
	Estimated, Unpriced                          int64
	Input, CacheRead, CacheWrite5m, CacheWrite1h int64
	Output, Reasoning                            int64
	Cost                                         llm.Nanodollars
	// Reported is what providers say of those attempts that they report a cost
	// of and the catalogue has a price for, Listed what the catalogue says.
	Reported, Listed llm.Nanodollars
}

// Add adds another tally.
func (t *Tally) Add(o *Tally) {
	t.Requests += o.Requests
	t.Failed += o.Failed
	t.Attempts += o.Attempts
	t.FailedAttempts += o.FailedAttempts
	t.Estimated += o.Estimated
	t.Unpriced += o.Unpriced
	t.Input += o.Input
	t.CacheRead += o.CacheRead
	t.CacheWrite5m += o.CacheWrite5m
	t.CacheWrite1h += o.CacheWrite1h
	t.Output += o.Output
	t.Reasoning += o.Reasoning
	t.Cost += o.Cost
	t.Reported += o.Reported
	t.Listed += o.Listed
}

// take takes another one away.
func (t *Tally) take(o *Tally) {
	t.Requests -= o.Requests
	t.Failed -= o.Failed
	t.Attempts -= o.Attempts
	t.FailedAttempts -= o.FailedAttempts
	t.Estimated -= o.Estimated
	t.Unpriced -= o.Unpriced
	t.Input -= o.Input
	t.CacheRead -= o.CacheRead
	t.CacheWrite5m -= o.CacheWrite5m
	t.CacheWrite1h -= o.CacheWrite1h
	t.Output -= o.Output
	t.Reasoning -= o.Reasoning
	t.Cost -= o.Cost
	t.Reported -= o.Reported
	t.Listed -= o.Listed
}

// Rest gives what is in sums over all labels and in none of those by label: the
// sums of what has no label.
func Rest(all, labelled []Sum) []Sum {
	type place struct {
		bucket                           int64
		key, name, team, provider, model string
	}
	at := map[place]int{}
	rest := make([]Sum, len(all))
	of := func(s *Sum) place {
		return place{s.Bucket.UnixMilli(), s.KeyID, s.KeyName, s.Team, s.Provider, s.Model}
	}
	for i := range all {
		rest[i] = all[i]
		at[of(&all[i])] = i
	}
	for i := range labelled {
		if j, ok := at[of(&labelled[i])]; ok {
			rest[j].Tally.take(&labelled[i].Tally)
		}
	}
	return slices.DeleteFunc(rest, func(s Sum) bool { return s.Tally == Tally{} })
}

// Hour is the tally of one UTC hour, key, target and label: what a store adds to its
// roll-up in the same transaction as the rows.
type Hour struct {
	// Hour is in hours since the Unix epoch, by the start of the request.
	Hour                 int64
	KeyID, KeyName, Team string
	// Provider and Model are empty for requests that asked no provider.
	Provider, Model string
	Label           Label
	Tally           Tally
}

// By is what usage is grouped by.
type By string

// The groupings.
const (
	// ByModel groups by "provider/model".
	ByModel By = "model"
	// ByKey groups by key id.
	ByKey By = "key"
	// ByDay groups by UTC day, "2026-11-23".
	ByDay By = "day"
	// ByProvider groups by provider id.
	ByProvider By = "provider"
	// ByDayModel groups by UTC day and model, "2026-11-23 provider/model"; of
	// requests that asked no provider it is the day alone.
	ByDayModel By = "day_model"
)

// ParseBy reads a grouping.
func ParseBy(s string) (By, error) {
	switch b := By(s); b {
	case ByModel, ByKey, ByDay, ByProvider, ByDayModel:
		return b, nil
	}
	return "", fmt.Errorf("usage is grouped by model, key, day, provider or day_model, not by %q", s)
}

// UsageRow is the tally of one group. Group is as the grouping says; it is
// empty for requests that asked no provider (ByModel, ByProvider). Label is
// the key's latest name when grouped ByKey, else empty.
type UsageRow struct {
	Group, Label string
	Tally        Tally
}

// hourOf gives a time's hour since the epoch.
func hourOf(t time.Time) int64 {
	const hour = int64(time.Hour / time.Second)
	s := t.Unix()
	if s < 0 {
		s -= hour - 1 // round down, not toward zero
	}
	return s / hour
}

// HourRange gives the hours of Reader.Usage: from is in, to is not.
func HourRange(since, until time.Time) (from, to int64) {
	from, to = 0, 1<<40
	if !since.IsZero() {
		from = hourOf(since)
	}
	if !until.IsZero() {
		to = hourOf(until.Add(time.Hour - 1))
	}
	return from, to
}

type hourKey struct {
	hour                                  int64
	keyID, keyName, team, provider, model string
	label                                 Label
}

// RollUp tallies settled entries, one Hour for each hour, caller and target.
func RollUp(entries []Entry) []Hour {
	at := make(map[hourKey]int)
	var hours []Hour
	tally := func(e *Entry, provider, model string) *Tally {
		k := hourKey{hourOf(e.At), e.KeyID, e.KeyName, e.Team, provider, model, e.Label}
		i, ok := at[k]
		if !ok {
			i = len(hours)
			at[k] = i
			hours = append(hours, Hour{Hour: k.hour, KeyID: k.keyID, KeyName: k.keyName, Team: k.team,
				Provider: provider, Model: model, Label: e.Label})
		}
		return &hours[i].Tally
	}
	for i := range entries {
		e := &entries[i]
		var provider, model string
		if last := e.Last(); last != nil {
			provider, model = last.Provider, last.Model
		}
		t := tally(e, provider, model)
		t.Requests++
		if e.Class != "" {
			t.Failed++
		}
		for j := range e.Attempts {
			a := &e.Attempts[j]
			t := tally(e, a.Provider, a.Model)
			t.Attempts++
			if a.Class != "" {
				t.FailedAttempts++
			}
			if a.Usage.Source == llm.UsageEstimated {
				t.Estimated++
			}
			if !a.Priced {
				t.Unpriced++
			}
			t.Input += a.Usage.Input
			t.CacheRead += a.Usage.CacheRead
			t.CacheWrite5m += a.Usage.CacheWrite5m
			t.CacheWrite1h += a.Usage.CacheWrite1h
			t.Output += a.Usage.Output
			t.Reasoning += a.Usage.Reasoning
			t.Cost += a.Cost
			if a.HasListed {
				t.Reported += a.Usage.Reported
				t.Listed += a.Listed
			}
		}
	}
	return hours
}
