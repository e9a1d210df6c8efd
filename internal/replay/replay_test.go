package replay_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/replay"
	"headrace/internal/route"
	"headrace/internal/tokens"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func rows(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func find(t *testing.T, at []replay.At, id string) replay.At {
	t.Helper()
	for _, one := range at {
		if one.Provider+"/"+one.Model == id {
			return one
		}
	}
	t.Fatalf("%s is not in the list", id)
	return replay.At{}
}

// TestCompare: the cost at each model is that of the catalogue in the model's own
// tokens; what does not fit and what cannot be done is counted.
func TestCompare(t *testing.T) {
	t.Parallel()
	c := rows(t)
	usage := llm.Usage{Input: 10_000, Output: 1000, Source: llm.UsageProvider}
	items := []replay.Item{
		{Usage: usage, Family: tokens.GPT, Cost: 5, Priced: true},
		{Usage: llm.Usage{Input: 900_000, Output: 1000}, Family: tokens.GPT, Cost: 7, Priced: true},
		{Usage: usage, Family: tokens.GPT, Needs: llm.Vision | llm.AudioInput},
	}
	w, at := replay.Compare(items, c.Find(catalog.Query{At: noon}), c, noon, nil)
	if w.Requests != 3 || w.Cost != 12 || w.Unpriced != 1 || w.Tokens.Input != 920_000 || len(at) < 100 {
		t.Fatalf("%+v, %d models", w, len(at))
	}
	last := llm.Nanodollars(-1)
	for i, one := range at {
		if one.Priced && (one.Cost < last || i > 0 && !at[i-1].Priced) {
			t.Fatalf("%s/%s is out of order", one.Provider, one.Model)
		}
		last = one.Cost
	}
	mini := find(t, at, "openai/gpt-5.4-mini")
	want := llm.Nanodollars(0)
	for i := range items {
		cost, ok := c.Cost("openai", "gpt-5.4-mini", items[i].Usage, noon)
		if !ok {
			t.Fatal("no price")
		}
		want += cost
	}
	if mini.Cost != want || mini.Ratio != 1 || mini.Prompt != 920_000 || mini.TooLong != 1 {
		t.Errorf("its own tokens: %+v, want %d", mini, want)
	}
	if !strings.Contains(strings.Join(mini.Lacks, ","), "audio") || mini.CannotDo != 1 {
		t.Errorf("what it cannot do: %+v", mini)
	}
	opus := find(t, at, "anthropic/claude-opus-5-5")
	ratio := tokens.Ratio(tokens.GPT, tokens.Claude5)
	if math.Abs(opus.Ratio-ratio) > 0.001 || ratio < 1.1 || opus.Family != tokens.Claude5 || math.Abs(float64(opus.Output)-3000*ratio) > 5 {
		t.Errorf("other tokens: %+v, ratio %v", opus, ratio)
	}
	// What was learned of a model counts where the family is another one; where it
	// is the same the model's own count is there.
	_, at = replay.Compare(items[:1], c.Find(catalog.Query{Provider: "anthropic", At: noon}), c, noon, func(string) float64 { return 2 })
	if got := find(t, at, "anthropic/claude-opus-5-5"); math.Abs(got.Ratio-2*ratio) > 0.01 {
		t.Errorf("learned: %v, want %v", got.Ratio, 2*ratio)
	}
	// A text that is there is counted by each family, not converted.
	own := replay.Item{Usage: llm.Usage{Input: 100}, Family: tokens.Other, Prompt: map[tokens.Family]int64{tokens.Claude5: 333, tokens.Other: 100}}
	if got := own.As(tokens.Claude5, 1); got.Input != 333 {
		t.Errorf("counted as %d", got.Input)
	}
	// Many items are a sample that stands for all.
	many := make([]replay.Item, 5000)
	for i := range many {
		many[i] = items[0]
	}
	w, at = replay.Compare(many, c.Find(catalog.Query{Provider: "openai", At: noon}), c, noon, nil)
	one, _ := c.Cost("openai", "gpt-5.4-mini", usage, noon)
	if got := find(t, at, "openai/gpt-5.4-mini"); w.Sampled >= w.Requests || math.Abs(float64(got.Cost)/float64(5000*one)-1) > 1e-6 {
		t.Errorf("%d of %d: %d, want %d", w.Sampled, w.Requests, got.Cost, 5000*one)
	}
}

// world is a log whose truth is known: how likely each model succeeds.
type world struct {
	ids ledger.IDs
	r   *rand.Rand
}

var truth = map[string]float64{"openai/gpt-5.4-mini": 0.70, "openai/gpt-5.5": 0.90}

func (w *world) entry(c *catalog.Catalog, asked, target string, good bool) ledger.Entry {
	provider, model, _ := strings.Cut(target, "/")
	u := llm.Usage{Input: 1000, Output: 200, Source: llm.UsageProvider}
	cost, priced := c.Cost(provider, model, u, noon)
	e := ledger.Entry{ID: w.ids.New(noon), At: noon, Op: llm.OpChat, Dialect: llm.OpenAI, Asked: asked, Status: 200, Total: time.Second,
		Attempts: []ledger.Attempt{{N: 1, Provider: provider, Model: model, Why: "route r", Start: noon, Status: 200, Finish: llm.FinishStop, Usage: u, Cost: cost, Priced: priced}}}
	if !good {
		e.Attempts[0].Finish = llm.FinishLength
	}
	e.Sum()
	return e
}

func policy(c *catalog.Catalog, routes map[string][]string) replay.Policy {
	return replay.Policy{Catalog: c, Policy: &route.Policy{Routes: routes, Configured: map[string]bool{"openai": true, "anthropic": true}},
		Vendor: func(llm.Dialect) string { return "openai" }, Good: func(e *ledger.Entry) (float64, bool) {
			if e.EndedWell() {
				return 1, true
			}
			return 0, true
		}}
}

// TestDirect: without chances the success of a change is what the new target did
// for others, whose interval holds the truth; what stays is as it was.
func TestDirect(t *testing.T) {
	t.Parallel()
	c := rows(t)
	const small, large = "openai/gpt-5.4-mini", "openai/gpt-5.5"
	covered := 0
	const runs = 60
	for run := range runs {
		w := &world{r: rand.New(rand.NewPCG(uint64(run), 2))}
		var log []ledger.Entry
		for range 300 {
			log = append(log, w.entry(c, "r", large, w.r.Float64() < truth[large]), w.entry(c, "other", small, w.r.Float64() < truth[small]))
		}
		r := replay.Run(log, policy(c, map[string][]string{"r": {small, large}, "other": {small}}))
		if r.Requests != 600 || r.Changed != 300 || r.Same != 300 || r.Robust != 0 || r.Refused != 0 || len(r.Changes) != 300 {
			t.Fatalf("%+v", r)
		}
		if r.Success.Low <= truth[small] && truth[small] <= r.Success.High {
			covered++
		}
		if run > 0 {
			continue
		}
		was := log[0].Cost
		if one := r.Changes[0]; one.From != large || one.To != small || !one.CostKnown || one.CostWas != was || one.Cost != log[1].Cost || one.Cost >= was {
			t.Errorf("%+v", one)
		}
		if want := float64(log[1].Cost) / 1e9; math.Abs(r.Cost.Value-want) > 1e-9 || r.CostWas.Value <= r.Cost.Value {
			t.Errorf("cost %v, was %v, want %v", r.Cost, r.CostWas, want)
		}
		if math.Abs(r.CostPerSuccess-r.Cost.Value/r.Success.Value) > 1e-12 {
			t.Error("cost per success")
		}
	}
	if covered < runs*85/100 {
		t.Errorf("the interval held the truth in %d of %d", covered, runs)
	}
}

// TestRobust: with the chances of the choices the estimate is right although what
// was foretold is not, and although the direct one would be misled: the dear model
// was asked the hard ones.
func TestRobust(t *testing.T) {
	t.Parallel()
	c := rows(t)
	const small, large = "openai/gpt-5.4-mini", "openai/gpt-5.5"
	w := &world{r: rand.New(rand.NewPCG(9, 2))}
	var log []ledger.Entry
	const n = 6000
	truly := 0.0
	for range n {
		hard := w.r.Float64() < 0.5
		p := map[bool]map[string]float64{false: {small: 0.95, large: 0.97}, true: {small: 0.3, large: 0.8}}[hard]
		truly += p[small] / n
		chance := map[bool]float64{false: 0.9, true: 0.1}[hard] // of small
		target := large
		if w.r.Float64() < chance {
			target = small
		}
		e := w.entry(c, "r", target, w.r.Float64() < p[target])
		e.Choice = &ledger.Choice{Route: "r", Rule: ledger.RuleLearned, Rung: map[string]int{small: 1, large: 2}[target], Candidates: []ledger.Candidate{
			{Rung: 1, Target: small, Success: 0.8, Chance: chance}, {Rung: 2, Target: large, Success: 0.9, Chance: 1 - chance}}}
		log = append(log, e)
	}
	r := replay.Run(log, policy(c, map[string][]string{"r": {small}}))
	if r.Robust != r.Changed || r.Changed == 0 {
		t.Fatalf("%d of %d changes are doubly robust", r.Robust, r.Changed)
	}
	if math.Abs(r.Success.Value-truly) > 3*(r.Success.High-r.Success.Low)/3.92 {
		t.Errorf("estimate %v to %v (%v), truth %v", r.Success.Low, r.Success.High, r.Success.Value, truly)
	}
}

// TestRefused: a request that the new policy has no place for is told, with the
// reason.
func TestRefused(t *testing.T) {
	t.Parallel()
	c := rows(t)
	w := &world{r: rand.New(rand.NewPCG(1, 2))}
	log := []ledger.Entry{w.entry(c, "nobody/gone", "openai/gpt-5.5", true), w.entry(c, "openai/gpt-5.5", "openai/gpt-5.5", true)}
	shadow := w.entry(c, "r", "openai/gpt-5.5", true)
	shadow.Trial = &ledger.Trial{Shadows: log[0].ID}
	models := ledger.Entry{ID: w.ids.New(noon), Op: llm.OpModels}
	r := replay.Run(append(log, shadow, models), policy(c, map[string][]string{"r": {"openai/gpt-5.5"}}))
	if r.Requests != 2 || r.Skipped != 2 || r.Refused != 1 || r.Same != 1 || len(r.Changes) != 1 || r.Changes[0].To != "" || !strings.Contains(r.Changes[0].Why, "gone") {
		t.Errorf("%+v", r)
	}
	if r.Success.Value != 0.5 || r.SuccessWas.Value != 1 {
		t.Errorf("success %v, was %v", r.Success, r.SuccessWas)
	}
	// A target that was never seen is a guess, and says so.
	r = replay.Run(log[1:], policy(c, nil))
	if r.Same != 1 {
		t.Errorf("a model that is named stays: %+v", r)
	}
	r = replay.Run([]ledger.Entry{w.entry(c, "r", "openai/gpt-5.5", true)}, policy(c, map[string][]string{"r": {"anthropic/claude-haiku-5-5"}}))
	if r.Unheard != 1 || r.Latency.N != 0 || r.Changes[0].Success <= 0.5 || r.Changes[0].Success >= 1 {
		t.Errorf("%+v", r)
	}
	if fmt.Sprint(r.Changes[0].To) != "anthropic/claude-haiku-5-5" {
		t.Errorf("%+v", r.Changes)
	}
}
