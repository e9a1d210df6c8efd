package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"headrace/internal/admin"
	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/replay"
	"headrace/internal/route"
	"headrace/internal/study"
	"headrace/internal/tokens"
)

// whatIf says what requests would have come to elsewhere.
type whatIf struct{ a *App }

// mostReplayed is how many rows are looked at: the newest.
const mostReplayed = 20_000

// rows reads rows of the ledger, newest first. cut says that there are more.
func (w whatIf) rows(ctx context.Context, f ledger.Filter) (all []ledger.Entry, cut bool, err error) {
	f.Limit = ledger.MaxLimit
	for len(all) < mostReplayed {
		page, err := w.a.ledger.Recent(ctx, f)
		if err != nil {
			return nil, false, err
		}
		all = append(all, page...)
		if len(page) < f.Limit {
			return all, false, nil
		}
		f.Before = page[len(page)-1].ID
	}
	return all[:mostReplayed], true, nil
}

// usable are the providers that are configured.
func (w whatIf) usable() map[string]bool {
	ready := map[string]bool{}
	for _, f := range w.a.foundNow() {
		ready[f.Row.ID] = f.Ready
	}
	return ready
}

// Compare implements admin.WhatIf.
func (w whatIf) Compare(ctx context.Context, spec admin.Workload) (admin.Comparison, error) {
	var items []replay.Item
	var notes []string
	if len(spec.Items) > 0 {
		for i := range spec.Items {
			one, err := workOf(&spec.Items[i])
			if err != nil {
				return admin.Comparison{}, llm.Errorf(llm.InvalidRequest, "items.%d.needs: %s", i, err)
			}
			items = append(items, one)
		}
	} else {
		entries, cut, err := w.rows(ctx, ledger.Filter{KeyID: spec.Key, Asked: spec.Asked, Since: spec.Since, Until: spec.Until})
		if err != nil {
			return admin.Comparison{}, err
		}
		for i := range entries {
			e := &entries[i]
			if one, ok := replay.ItemOf(e); ok && (e.Trial == nil || e.Trial.Shadows == 0) {
				items = append(items, one)
			}
		}
		if cut {
			notes = append(notes, fmt.Sprintf("only the newest %d rows were looked at", mostReplayed))
		}
		notes = append(notes, "prompts are not kept, so their tokens are converted from one kind of tokenizer to the other by what a reference text has of both; pictures, documents and sounds are known only of requests that were decoded")
	}
	c, ready := w.a.catalogNow(), w.usable()
	var models []*catalog.Model
	for _, m := range c.Find(catalog.Query{At: time.Now()}) {
		if ready[m.Provider] || spec.All {
			models = append(models, m)
		}
	}
	work, at := replay.Compare(items, models, c, time.Now(), w.a.tokens.Ratio)
	out := admin.Comparison{Models: []admin.ModelCost{}, Notes: notes, Workload: admin.WorkloadSums{Requests: work.Requests, Sampled: work.Sampled,
		Prompt: work.Tokens.Prompt(), Output: work.Tokens.Output, Cost: work.Cost, Unpriced: work.Unpriced, Since: spec.Since, Until: spec.Until}}
	for i := range at {
		m := &at[i]
		row := admin.ModelCost{ID: m.Provider + "/" + m.Model, Usable: ready[m.Provider], Tokenizer: string(m.Family), Ratio: m.Ratio, Prompt: m.Prompt, Output: m.Output,
			TooLong: m.TooLong, CannotDo: m.CannotDo, Lacks: append([]string{}, m.Lacks...), Unknown: m.Unknown}
		if m.Priced {
			row.Cost = &m.Cost
			if work.Unpriced == 0 && work.Cost > 0 {
				against := float64(m.Cost)/float64(work.Cost) - 1
				row.Against = &against
			}
		}
		out.Models = append(out.Models, row)
	}
	out.Notes = append(out.Notes, "answers are taken to be as long as they were, caches to be read as they were; how well a model answers is not in this table")
	return out, nil
}

func workOf(i *admin.WorkItem) (replay.Item, error) {
	needs, err := catalog.Features(i.Needs)
	return replay.Item{Usage: llm.Usage{Input: i.Other, Output: i.Output, Source: llm.UsageEstimated}, Family: tokens.Other, Needs: needs,
		Prompt: map[tokens.Family]int64{tokens.Claude5: i.Claude5, tokens.Claude4: i.Claude4, tokens.GPT: i.GPT, tokens.Gemini: i.Gemini, tokens.Other: i.Other}}, err
}

// Replay implements admin.WhatIf.
func (w whatIf) Replay(ctx context.Context, spec admin.ReplaySpec) (admin.Replay, error) {
	policy, err := w.policy(spec.Config)
	if err != nil {
		return admin.Replay{}, err
	}
	entries, cut, err := w.rows(ctx, ledger.Filter{Asked: spec.Asked, Since: spec.Since, Until: spec.Until})
	if err != nil {
		return admin.Replay{}, err
	}
	r := replay.Run(entries, policy)
	out := admin.Replay{Requests: r.Requests, Skipped: r.Skipped, Same: r.Same, Changed: r.Changed, Refused: r.Refused, Robust: r.Robust, Method: "direct",
		SuccessWas: bounded(r.SuccessWas), Success: bounded(r.Success), CostWas: bounded(r.CostWas), Cost: bounded(r.Cost), LatencyWas: bounded(r.LatencyWas), Latency: bounded(r.Latency),
		CostPerSuccessWas: r.CostPerSuccessWas, CostPerSuccess: r.CostPerSuccess, Unpriced: r.Unpriced, Unheard: r.Unheard, Changes: []admin.ReplayChange{}, Notes: []string{}}
	switch {
	case r.Changed > 0 && r.Robust == r.Changed:
		out.Method = "doubly_robust"
	case r.Robust > 0:
		out.Method = "mixed"
	}
	note := func(format string, args ...any) { out.Notes = append(out.Notes, fmt.Sprintf(format, args...)) }
	if cut {
		note("only the newest %d rows were looked at", mostReplayed)
	}
	if n := r.Changed - r.Robust; n > 0 {
		note("of %d changed requests the chances of the choice are not known: their success is what the new target did for others (direct), not doubly robust", n)
	}
	if r.Unheard > 0 {
		note("%d changed requests go to targets that answered nothing in these rows: their success is a guess from the catalogue, their latency is left out", r.Unheard)
	}
	if r.Unpriced > 0 {
		note("%d changed requests have no known price and are left out of the cost", r.Unpriced)
	}
	for i := range r.Changes {
		if policy.Policy.Climbs(r.Changes[i].Asked) {
			note("ladders are taken to ask their first rung that can take the request: what they would learn is not replayed")
			break
		}
	}
	if r.Changed > replay.MostChanges {
		note("only the newest %d changes are listed", replay.MostChanges)
	}
	for i := range r.Changes {
		c := &r.Changes[i]
		one := admin.ReplayChange{ID: c.ID.String(), Start: c.At.UTC(), Asked: c.Asked, From: c.From, To: c.To, Why: c.Why, Success: c.Success}
		if c.CostKnown {
			one.CostWas, one.Cost = &c.CostWas, &c.Cost
		}
		out.Changes = append(out.Changes, one)
	}
	return out, nil
}

func bounded(e replay.Estimate) *admin.Bounded {
	if e.N == 0 {
		return nil
	}
	return &admin.Bounded{Value: e.Value, Low: e.Low, High: e.High}
}

// policy reads another configuration as if it were in force here. It reads no
// files and no environment but for which providers are there.
func (w whatIf) policy(text string) (p replay.Policy, err error) {
	cfg, err := config.Parse("new.yaml", []byte(text), nil)
	if err == nil {
		err = Program{}.Check(cfg, w.a.o.Env)
	}
	if err != nil {
		return p, llm.Errorf(llm.InvalidRequest, "the configuration is wrong: %s", err)
	}
	rows, err := loadCatalog(cfg, w.a.data)
	if err != nil {
		return p, err
	}
	made := &route.Policy{Configured: map[string]bool{}}
	made.Routes, made.Ladders = routes(cfg)
	for _, f := range look(cfg, w.a.o.Env, rows) {
		made.Configured[f.Row.ID] = f.Ready
	}
	for id, ok := range w.usable() { // what was found by looking for it
		if row, known := rows.Provider(id); known && ok {
			made.Configured[row.ID] = true
		}
	}
	for name, l := range route.Ready(rows, made.Configured) {
		if !made.Is(name) {
			made.Ladders[name] = l
		}
	}
	return replay.Policy{Catalog: rows, Policy: made, Vendor: vendorOf, Ratio: w.a.tokens.Ratio, Good: study.Good}, nil
}

// vendorOf is the provider that owns the doors of a dialect.
func vendorOf(d llm.Dialect) string {
	if slices.Contains([]llm.Dialect{llm.OpenAI, llm.Responses}, d) {
		return "openai"
	}
	return string(d)
}
