package app

import (
	"maps"
	"slices"
	"strings"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// A short request, by which aims are measured: what is too little for it is too
// little for any.
var short = llm.Usage{Input: 200, Output: 50}

// soonest is how soon no model begins an answer.
const soonest = 5 * time.Millisecond

// checkAims says which aims no rung of their route can reach.
func checkAims(c *config.Config, rows *catalog.Catalog) error {
	now := time.Now()
	for _, name := range slices.Sorted(maps.Keys(c.Routes)) {
		r := c.Routes[name]
		aim := r.Aim
		if aim == nil {
			continue
		}
		at := "routes." + name + ".aim."
		if d := aim.P95FirstToken; d > 0 && d.Std() < soonest {
			return c.ErrorAt(at+"p95_first_token", "no model begins an answer within %s", d)
		}
		least, known := llm.Nanodollars(0), true
		for i, rung := range r.Ladder {
			provider, model, _ := strings.Cut(rung.Model, "/")
			cost, ok := rows.Cost(provider, model, short, now)
			if known = known && ok; i == 0 || cost < least {
				least = cost
			}
		}
		if !known {
			continue // a rung without a known price may cost anything
		}
		for _, sum := range []struct {
			key  string
			most config.Money
		}{{"max_cost", aim.MaxCost}, {"value_of_success", aim.ValueOfSuccess}} {
			if sum.most > 0 && llm.Nanodollars(sum.most) < least {
				return c.ErrorAt(at+sum.key, "no rung answers even a short request (%d tokens, %d back) for $%s: the cheapest asks $%s",
					short.Input, short.Output, sum.most, config.Money(least))
			}
		}
	}
	return nil
}
