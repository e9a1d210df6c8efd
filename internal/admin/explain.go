package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

var successRoutes = []route{
	{method: "GET", path: prefix + "requests/{id}/explain", name: "explain", may: "requests.read", summary: "Say why a request went where it went: every target that could have been asked, and what was expected of it.", out: Explanation{}, status: 200, serve: (*server).explain},
	{method: "GET", path: prefix + "success", name: "success", may: "usage.read", summary: "Say what a successful answer cost, by route, task and model; whole UTC days.", query: []param{{"by", "what a row stands for: route, task, model or some of them, separated by commas; all when left out", ""}, sinceParam, untilParam}, out: SuccessAnswer{}, status: 200, serve: (*server).success},
}

// Success says what requests came to and why they went where they went.
type Success interface {
	// SuccessBy gives one row per group over whole UTC days, the dearest first. by
	// holds route, task and model, or some of them.
	SuccessBy(ctx context.Context, by []string, since, until time.Time) ([]SuccessRow, error)
	// Explain says why a request went where it went; an unknown id is an *llm.Error
	// of class NotFound.
	Explain(ctx context.Context, id string) (Explanation, error)
}

// SuccessRow is what the requests of a group came to.
type SuccessRow struct {
	// Route is the name that was asked for, a route's or a model's; Task the kind of
	// request, as clients or the route call it; Model who answered. What a row does
	// not stand for is empty.
	Route string `json:"route"`
	Task  string `json:"task"`
	Model string `json:"model"`
	// Requests counts those that any provider was asked for, Attempts what that
	// took, Escalated those with an answer that was not passed on.
	Requests  int64 `json:"requests"`
	Attempts  int64 `json:"attempts"`
	Escalated int64 `json:"escalated"`
	// EndedWell counts answers that came whole and in which no check found a fault.
	EndedWell int64 `json:"ended_well"`
	// Explicit counts requests with feedback, of the mean score ExplicitScore;
	// Implicit those of which something that nobody said on purpose tells a failure.
	Explicit      int64   `json:"explicit"`
	ExplicitScore float64 `json:"explicit_score"`
	Implicit      int64   `json:"implicit"`
	// Successes adds up the last explicit score of each request; without one it is
	// 0 after an implicit sign of failure, else 1 if it ended well.
	Successes float64 `json:"successes"`
	// Cost is that of all attempts, failures, checks and second opinions included;
	// Unpriced counts attempts that are not in it.
	Cost     llm.Nanodollars `json:"cost_nanodollars"`
	Unpriced int64           `json:"unpriced"`
	// CostPerSuccess is absent without a success or with an unknown price.
	CostPerSuccess *llm.Nanodollars `json:"cost_per_success_nanodollars,omitzero"`
	// Value is what clients said that their successes were worth.
	Value llm.Nanodollars `json:"value_nanodollars"`
}

// SuccessAnswer is what requests came to.
type SuccessAnswer struct {
	By    []string     `json:"by"`
	Since time.Time    `json:"since,omitzero"`
	Until time.Time    `json:"until,omitzero"`
	Rows  []SuccessRow `json:"rows"`
}

// Explanation says why a request went where it went.
type Explanation struct {
	Request Request `json:"request"`
	// Route is the ladder that was climbed; empty where none was.
	Route string `json:"route"`
	Task  string `json:"task"`
	// Rule is by what the first target was chosen, Why the same in a sentence, and
	// Chance the chance that it had.
	Rule   ledger.Rule `json:"rule"`
	Why    string      `json:"why"`
	Chance float64     `json:"chance"`
	// Labels is the weight of the feedback that this rests on; Delta is how much
	// success may be given up against the best rung, below 0 none.
	Labels float64 `json:"labels"`
	Delta  float64 `json:"delta"`
	// Fault is what was wrong with the answer that was given.
	Fault string `json:"fault,omitzero"`
	// Candidates are all that could have been asked, in the order of the ladder.
	Candidates []Candidate `json:"candidates"`
	Feedback   []Feedback  `json:"feedback"`
	// Success is what the request counts for, from 0 to 1.
	Success float64 `json:"success"`
}

// Candidate is a target that could have been asked.
type Candidate struct {
	// Rung is its place in the ladder, from 1; 0 beside it.
	Rung     int    `json:"rung"`
	Target   string `json:"target"`
	Thinking string `json:"thinking,omitzero"`
	// Left says why it was left out.
	Left string `json:"left,omitzero"`
	// First says that it was asked first, Asked that it was asked.
	First bool `json:"first"`
	Asked bool `json:"asked"`
	// Expected* are what was expected of it before; a price and a pace are absent
	// where nothing was known.
	ExpectedCost       *llm.Nanodollars `json:"expected_cost_nanodollars,omitzero"`
	ExpectedFirstToken int64            `json:"expected_first_token_p95_ms,omitzero"`
	ExpectedSuccess    float64          `json:"expected_success"`
	Chance             float64          `json:"chance"`
	// Collapsed says that it had become much worse than it was.
	Collapsed bool `json:"collapsed"`
}

// Feedback is what came to be known of an answer later.
type Feedback struct {
	At time.Time `json:"at"`
	// Explicit is what somebody said on purpose; else Signal names the sign.
	Explicit bool             `json:"explicit"`
	Signal   string           `json:"signal"`
	Score    float64          `json:"score"`
	Value    *llm.Nanodollars `json:"value_nanodollars,omitzero"`
}

func (s *server) success(q *http.Request) (int, any, error) {
	if err := params(q, "by", "since", "until"); err != nil {
		return 0, nil, err
	}
	v, now := q.URL.Query(), time.Now()
	a := SuccessAnswer{By: []string{"route", "task", "model"}}
	if by := v.Get("by"); by != "" {
		a.By = strings.Split(by, ",")
		for i, one := range a.By {
			if !slices.Contains([]string{"route", "task", "model"}, one) || slices.Index(a.By, one) < i {
				return 0, nil, llm.Errorf(llm.InvalidRequest, "by is route, task and model, or some of them, separated by commas")
			}
		}
	}
	var err error
	if a.Since, err = moment("since", v.Get("since"), now); err != nil {
		return 0, nil, err
	}
	if a.Until, err = moment("until", v.Get("until"), now); err != nil {
		return 0, nil, err
	}
	a.Rows, err = s.Success.SuccessBy(q.Context(), a.By, a.Since, a.Until)
	return http.StatusOK, a, err
}

func (s *server) explain(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	e, err := s.Success.Explain(q.Context(), q.PathValue("id"))
	return http.StatusOK, e, err
}

// SuccessBy adds the ledger's groups up to those that are asked for.
func (l LedgerRows) SuccessBy(ctx context.Context, by []string, since, until time.Time) ([]SuccessRow, error) {
	all, err := l.Reader.Success(ctx, since, until)
	if err != nil {
		return nil, err
	}
	groups := map[[3]string]*ledger.Success{}
	for i := range all {
		s := &all[i]
		var k [3]string
		for _, one := range by {
			switch one {
			case "route":
				k[0] = s.Asked
			case "task":
				k[1] = s.Task
			case "model":
				k[2] = s.Target
			}
		}
		if groups[k] == nil {
			groups[k] = &ledger.Success{Asked: k[0], Task: k[1], Target: k[2]}
		}
		groups[k].Add(s)
	}
	rows := make([]SuccessRow, 0, len(groups))
	for _, s := range groups {
		r := SuccessRow{Route: s.Asked, Task: s.Task, Model: s.Target, Requests: s.Requests, Attempts: s.Attempts, Escalated: s.Escalated,
			EndedWell: s.EndedWell, Explicit: s.Explicit, Implicit: s.Implicit, Successes: s.Successes, Cost: s.Cost, Unpriced: s.Unpriced, Value: s.Value}
		if s.Explicit > 0 {
			r.ExplicitScore = s.ExplicitScore / float64(s.Explicit)
		}
		if cost, ok := s.PerSuccess(); ok {
			r.CostPerSuccess = &cost
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b SuccessRow) int {
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Task, b.Task), cmp.Compare(a.Model, b.Model))
	})
	return rows, nil
}

// Explain says why a request went where it went, from its row.
func (l LedgerRows) Explain(ctx context.Context, id string) (Explanation, error) {
	e, err := l.entry(ctx, id)
	if err != nil {
		return Explanation{}, err
	}
	x := Explanation{Request: showEntry(&e), Task: e.Label.Task, Candidates: []Candidate{}, Feedback: []Feedback{}, Success: ledger.Judge(e.EndedWell(), e.Feedback)}
	for _, f := range e.Feedback {
		one := Feedback{At: f.At.UTC(), Explicit: f.Explicit, Signal: f.Signal, Score: f.Score}
		if f.HasValue {
			one.Value = &f.Value
		}
		x.Feedback = append(x.Feedback, one)
	}
	if e.Choice != nil {
		x.chosen(&e)
	} else {
		x.named(&e)
	}
	return x, nil
}

// chosen explains a request of a route that chose.
func (x *Explanation) chosen(e *ledger.Entry) {
	c := e.Choice
	x.Route, x.Rule, x.Why, x.Chance, x.Labels, x.Delta, x.Fault = c.Route, c.Rule, c.Why, c.Chance, c.Labels, c.Delta, c.Fault
	asked := map[string]bool{}
	for i := range e.Attempts {
		asked[e.Attempts[i].Provider+"/"+e.Attempts[i].Model] = true
	}
	for _, k := range c.Candidates {
		one := Candidate{Rung: k.Rung, Target: k.Target, Thinking: k.Think, Left: k.Left, First: k.Rung == c.Rung && k.Rung > 0, Asked: asked[k.Target],
			ExpectedFirstToken: k.FirstTokenMS, ExpectedSuccess: k.Success, Chance: k.Chance, Collapsed: k.Closed}
		if k.Priced {
			one.ExpectedCost = &k.Cost
		}
		x.Candidates = append(x.Candidates, one)
	}
}

// named explains a request that named its model, or a list of them: what was
// tried is all that there was to try, until one answered.
func (x *Explanation) named(e *ledger.Entry) {
	x.Chance = 1
	switch n := len(e.Attempts); {
	case n == 0 && e.Class != "":
		x.Why = fmt.Sprintf("it was refused before any provider was asked (%s)", e.Class)
	case n == 0:
		x.Why = "it was answered without a provider"
	default:
		x.Why = e.Attempts[0].Why
	}
	for i := range e.Attempts {
		a := &e.Attempts[i]
		target := a.Provider + "/" + a.Model
		at := slices.IndexFunc(x.Candidates, func(c Candidate) bool { return c.Target == target })
		if at < 0 {
			at = len(x.Candidates)
			x.Candidates = append(x.Candidates, Candidate{Target: target, First: i == 0, Left: a.Message})
		}
		if one := &x.Candidates[at]; a.Status != 0 || a.Class == "" || a.Total > 0 {
			one.Asked, one.Left = true, ""
		}
	}
	if len(x.Candidates) > 0 {
		x.Candidates[0].Chance = 1
	}
}
