// Package replay knows what past requests would have come to elsewhere: at every
// other model, or under another policy. It is pure: rows go in, figures come out.
package replay

import (
	"cmp"
	"math"
	"slices"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/tokens"
)

// Item is one request of a workload.
type Item struct {
	// Usage is what it used, counted as Family counts.
	Usage  llm.Usage
	Family tokens.Family
	// Prompt is its prompt as each family counts it, where its text is there; nil
	// where it is not, so that Usage has to be converted.
	Prompt map[tokens.Family]int64
	// Needs are the features that it needs, as far as they are known.
	Needs llm.Feature
	// Cost is what it really cost, if Priced.
	Cost   llm.Nanodollars
	Priced bool
}

// ItemOf is the item of a row; not ok for one that no model answered.
func ItemOf(e *ledger.Entry) (i Item, ok bool) {
	a := answered(e)
	if e.Op != llm.OpChat || a == nil || a.Usage.Total() == 0 {
		return i, false
	}
	return Item{Usage: a.Usage, Family: tokens.FamilyOf(a.Model), Needs: e.Needs, Cost: e.Cost, Priced: e.Priced}, true
}

// answered is the attempt whose answer the client got; nil for none.
func answered(e *ledger.Entry) *ledger.Attempt {
	if e.Class != "" {
		return nil
	}
	return e.Answered()
}

// Workload is what some requests came to together.
type Workload struct {
	Requests int64
	// Tokens are the sums of what was used, as counted then.
	Tokens llm.Usage
	// Cost is what they cost; Unpriced counts those whose cost is not known.
	Cost     llm.Nanodollars
	Unpriced int64
	// Sampled is how many of them stand for all; Requests where none was left out.
	Sampled int64
}

// At is what a workload would come to at one model.
type At struct {
	Provider, Model string
	// Family is the kind of tokenizer, Ratio its tokens to those of the workload.
	Family tokens.Family
	Ratio  float64
	// Prompt and Output are tokens as this model counts.
	Prompt, Output int64
	// Cost is what it would cost, if Priced: all of it, also what does not fit.
	Cost   llm.Nanodollars
	Priced bool
	// TooLong counts requests that do not fit its window, CannotDo those that need
	// what it does not have; Lacks are those features, by name.
	TooLong, CannotDo int64
	Lacks             []string
	// Unknown says that the catalogue does not know what it can do.
	Unknown bool
}

// mostItems bounds how many items are priced at each model.
const mostItems = 2000

// Compare says what a workload would cost at each of the models, cheapest first,
// those without a known price last. ratio is what was learned of how a model
// counts beside our estimate; nil is nothing.
//
// The answers are taken to be as long as they were, in the tokens of each model,
// and what was read from a cache or written to one is taken to be again: a model
// without a price for that charges it as input.
func Compare(items []Item, models []*catalog.Model, c *catalog.Catalog, at time.Time, ratio func(model string) float64) (Workload, []At) {
	w := Workload{Requests: int64(len(items))}
	for i := range items {
		u := &items[i].Usage
		w.Tokens.Input += u.Input
		w.Tokens.CacheRead += u.CacheRead
		w.Tokens.CacheWrite5m += u.CacheWrite5m
		w.Tokens.CacheWrite1h += u.CacheWrite1h
		w.Tokens.Output += u.Output
		w.Tokens.Reasoning += u.Reasoning
		if items[i].Priced {
			w.Cost += items[i].Cost
		} else {
			w.Unpriced++
		}
	}
	sample := items
	if len(items) > mostItems {
		sample = make([]Item, mostItems)
		for i := range sample {
			sample[i] = items[i*len(items)/mostItems]
		}
	}
	w.Sampled = int64(len(sample))
	if len(sample) == 0 {
		return w, nil
	}
	scale := float64(len(items)) / float64(len(sample))
	rows := make([]At, 0, len(models))
	for _, m := range models {
		rows = append(rows, priceAt(sample, scale, m, c, at, ratio))
	}
	slices.SortStableFunc(rows, func(a, b At) int {
		if a.Priced != b.Priced {
			if a.Priced {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Cost, b.Cost)
	})
	return w, rows
}

func priceAt(items []Item, scale float64, m *catalog.Model, c *catalog.Catalog, at time.Time, ratio func(model string) float64) At {
	row := At{Provider: m.Provider, Model: m.ID, Family: tokens.FamilyOf(m.ID), Priced: true, Unknown: !m.Known}
	capability := c.Capability(m.Provider, m.ID)
	learned := 1.0
	if ratio != nil {
		learned = ratio(m.ID)
	}
	var cost, prompt, output, was float64
	var long, cannot int
	var lacks llm.Feature
	for i := range items {
		u := items[i].As(row.Family, learned)
		was += float64(items[i].Usage.Prompt())
		prompt += float64(u.Prompt())
		output += float64(u.Output)
		one, priced := c.Cost(m.Provider, m.ID, u, at)
		cost += float64(one)
		row.Priced = row.Priced && priced
		if capability.Window > 0 && u.Prompt()+u.Output > capability.Window {
			long++
		}
		if missing := items[i].Needs &^ capability.Has; capability.Known && missing != 0 {
			cannot++
			lacks |= missing
		}
	}
	row.Cost = llm.Nanodollars(math.Round(cost * scale))
	row.Prompt, row.Output = int64(math.Round(prompt*scale)), int64(math.Round(output*scale))
	row.TooLong, row.CannotDo = int64(math.Round(float64(long)*scale)), int64(math.Round(float64(cannot)*scale))
	row.Lacks = catalog.NamesOf(lacks)
	if was > 0 {
		row.Ratio = prompt / was
	}
	if !row.Priced {
		row.Cost = 0
	}
	return row
}

// As is the usage of the item as a family counts, with what was learned of a model
// beside that.
func (i *Item) As(f tokens.Family, learned float64) llm.Usage {
	in, out := learned, 1.0
	if f != i.Family {
		out = tokens.Ratio(i.Family, f)
		in *= out
	} else {
		in = 1 // it was counted by this family
	}
	if n, ok := i.Prompt[f]; ok && i.Usage.Prompt() > 0 {
		in = float64(n) * learned / float64(i.Usage.Prompt())
	}
	scaled := func(n int64, by float64) int64 { return int64(math.Round(float64(n) * by)) }
	u := i.Usage
	u.Input, u.CacheRead, u.CacheWrite5m, u.CacheWrite1h = scaled(u.Input, in), scaled(u.CacheRead, in), scaled(u.CacheWrite5m, in), scaled(u.CacheWrite1h, in)
	u.Output, u.Reasoning = scaled(u.Output, out), scaled(u.Reasoning, out)
	u.Reported, u.HasReported, u.Raw = 0, false, nil
	return u
}
