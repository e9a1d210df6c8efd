package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
)

// WhatIf says what requests would have come to elsewhere. Errors are *llm.Error of
// class InvalidRequest where the caller is to blame.
type WhatIf interface {
	// Compare says what a workload would cost at each model.
	Compare(ctx context.Context, w Workload) (Comparison, error)
	// Replay says what past requests would have come to under another
	// configuration, in YAML.
	Replay(ctx context.Context, s ReplaySpec) (Replay, error)
}

// Workload picks requests: rows of the ledger, or Items where there are any.
type Workload struct {
	// Key is the id of the key that asked, Asked the name that was asked for; empty
	// is any.
	Key   string `json:"key,omitzero"`
	Asked string `json:"asked,omitzero"`
	// Since and Until bound the beginning of a request; zero is no bound.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// All compares with models of providers that are not configured, too.
	All bool `json:"all,omitzero"`
	// Items are requests that are in no ledger.
	Items []WorkItem `json:"items,omitzero"`
}

// WorkItem is a request that was not sent: its prompt as each kind of tokenizer
// counts it, how long the answer is taken to be, and the features that it needs.
type WorkItem struct {
	Claude5 int64 `json:"claude_5"`
	Claude4 int64 `json:"claude_4"`
	GPT     int64 `json:"gpt"`
	Gemini  int64 `json:"gemini"`
	Other   int64 `json:"other"`
	Output  int64 `json:"output"`
	// Needs are the catalogue's names of features, separated by commas.
	Needs string `json:"needs,omitzero"`
}

// Comparison is what a workload would cost at each model.
type Comparison struct {
	Workload WorkloadSums `json:"workload"`
	// Models are cheapest first; those without a known price are last.
	Models []ModelCost `json:"models"`
	// Notes say how to read it.
	Notes []string `json:"notes"`
}

// WorkloadSums is what the workload came to.
type WorkloadSums struct {
	Requests int64 `json:"requests"`
	// Sampled is how many of them were priced at each model; they stand for all.
	Sampled int64           `json:"sampled"`
	Prompt  int64           `json:"prompt_tokens"`
	Output  int64           `json:"output_tokens"`
	Cost    llm.Nanodollars `json:"cost_nanodollars"`
	// Unpriced are requests whose cost is not known; it is not in Cost.
	Unpriced int64     `json:"unpriced"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
}

// ModelCost is what a workload would come to at one model.
type ModelCost struct {
	// ID is "provider/model"; Usable says that its provider is configured.
	ID     string `json:"id"`
	Usable bool   `json:"usable"`
	// Tokenizer is the kind that the model counts with, Ratio its prompt tokens to
	// those of the workload as it was counted.
	Tokenizer string  `json:"tokenizer"`
	Ratio     float64 `json:"token_ratio"`
	Prompt    int64   `json:"prompt_tokens"`
	Output    int64   `json:"output_tokens"`
	// Cost is left out where a price that is needed is not known.
	Cost *llm.Nanodollars `json:"cost_nanodollars,omitzero"`
	// Against is Cost less what the workload did cost, as a share of that; left out
	// where either is not known.
	Against *float64 `json:"against,omitzero"`
	// TooLong counts requests that do not fit the window, CannotDo those that need
	// Lacks.
	TooLong  int64    `json:"too_long"`
	CannotDo int64    `json:"cannot_do"`
	Lacks    []string `json:"lacks"`
	// Unknown says that the catalogue does not know what the model can do.
	Unknown bool `json:"unknown"`
}

// ReplayBody is the other configuration.
type ReplayBody struct {
	// Config is the YAML of a file. Secrets are not read: references in it stand for
	// values that are there.
	Config string `json:"config"`
}

// ReplaySpec says what to replay: under which configuration, and which requests,
// by when they began and what they asked for.
type ReplaySpec struct {
	Config       string
	Since, Until time.Time
	Asked        string
}

// Replay is what past requests came to and would have come to.
type Replay struct {
	Requests int64 `json:"requests"`
	// Skipped are rows that were no chats, or of which nobody was asked.
	Skipped int64 `json:"skipped"`
	// Same would have gone where they went, Changed elsewhere, Refused nowhere.
	Same    int64 `json:"same"`
	Changed int64 `json:"changed"`
	Refused int64 `json:"refused"`
	// Method says on what the success of changed requests rests: doubly_robust
	// (the chances of all choices are known), mixed, or direct (what the targets did
	// for other requests).
	Method string `json:"method" enum:"doubly_robust,mixed,direct"`
	Robust int64  `json:"robust"`
	// Success is a share, Cost in US dollars for each request, Latency in seconds;
	// all with 95 % intervals. Each is left out where nothing is known.
	SuccessWas *Bounded `json:"success_was,omitzero"`
	Success    *Bounded `json:"success,omitzero"`
	CostWas    *Bounded `json:"cost_was,omitzero"`
	Cost       *Bounded `json:"cost,omitzero"`
	LatencyWas *Bounded `json:"latency_was,omitzero"`
	Latency    *Bounded `json:"latency,omitzero"`
	// CostPerSuccess is in US dollars; 0 when it is not known.
	CostPerSuccessWas float64 `json:"cost_per_success_was"`
	CostPerSuccess    float64 `json:"cost_per_success"`
	// Unpriced are changed requests whose new price is not known, Unheard those
	// whose new target was never seen here.
	Unpriced int64 `json:"unpriced"`
	Unheard  int64 `json:"unheard"`
	// Changes are the requests that would go elsewhere, newest first.
	Changes []ReplayChange `json:"changes"`
	Notes   []string       `json:"notes"`
}

// ReplayChange is one request that would go elsewhere.
type ReplayChange struct {
	ID    string    `json:"id"`
	Start time.Time `json:"start"`
	Asked string    `json:"asked"`
	From  string    `json:"from"`
	// To is empty for one that would be refused; Why says why, or how To was found.
	To  string `json:"to"`
	Why string `json:"why"`
	// Costs are left out where they are not known.
	CostWas *llm.Nanodollars `json:"cost_was_nanodollars,omitzero"`
	Cost    *llm.Nanodollars `json:"cost_nanodollars,omitzero"`
	// Success is how likely it is expected to go well.
	Success float64 `json:"success"`
}

var whatIfRoutes = []route{
	{method: "GET", path: prefix + "compare", name: "compare", may: "usage.read", summary: "Say what past requests would cost at every model.",
		query: []param{{"key", "only requests of the key with this id", ""}, {"asked", "only requests that asked for this route or model", ""}, {"all", "true compares with models of providers that are not configured too", "true,false"}, sinceParam, untilParam},
		out:   Comparison{}, status: 200, serve: (*server).compare},
	{method: "POST", path: prefix + "compare", name: "compareItems", may: "usage.read", summary: "Say what requests that were not sent would cost at every model.", in: Workload{}, out: Comparison{}, status: 200, serve: (*server).compareItems},
	{method: "POST", path: prefix + "replay", name: "replay", may: "requests.read", summary: "Say what past requests would have come to under another configuration.", query: []param{{"asked", "only requests that asked for this route or model", ""}, sinceParam, untilParam}, in: ReplayBody{}, out: Replay{}, status: 200, serve: (*server).replay},
}

func (s *server) compare(q *http.Request) (int, any, error) {
	if err := params(q, "key", "asked", "all", "since", "until"); err != nil {
		return 0, nil, err
	}
	v, now := q.URL.Query(), time.Now()
	w := Workload{Key: v.Get("key"), Asked: v.Get("asked")}
	var err error
	if w.All, err = choice(v, "all"); err != nil {
		return 0, nil, err
	}
	if w.Since, err = moment("since", v.Get("since"), now); err != nil {
		return 0, nil, err
	}
	if w.Until, err = moment("until", v.Get("until"), now); err != nil {
		return 0, nil, err
	}
	if s.WhatIf == nil {
		return 0, nil, llm.Errorf(llm.Unsupported, "nothing is compared here")
	}
	c, err := s.WhatIf.Compare(q.Context(), w)
	return http.StatusOK, c, err
}

func (s *server) compareItems(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	text, err := body(q, maxFile)
	if err != nil {
		return 0, nil, err
	}
	var w Workload
	if err := json.Unmarshal(text, &w, json.RejectUnknownMembers(true)); err != nil {
		return 0, nil, llm.Errorf(llm.InvalidRequest, "the body is wrong%s", explain(err))
	}
	if s.WhatIf == nil {
		return 0, nil, llm.Errorf(llm.Unsupported, "nothing is compared here")
	}
	c, err := s.WhatIf.Compare(q.Context(), w)
	return http.StatusOK, c, err
}

func (s *server) replay(q *http.Request) (int, any, error) {
	if err := params(q, "asked", "since", "until"); err != nil {
		return 0, nil, err
	}
	text, err := body(q, mostConfig)
	if err != nil {
		return 0, nil, err
	}
	var in ReplayBody
	if err := json.Unmarshal(text, &in, json.RejectUnknownMembers(true)); err != nil {
		return 0, nil, llm.Errorf(llm.InvalidRequest, "the body is wrong%s", explain(err))
	}
	if strings.TrimSpace(in.Config) == "" {
		return 0, nil, llm.Errorf(llm.InvalidRequest, "config is empty: send the YAML of the other configuration")
	}
	v, now := q.URL.Query(), time.Now()
	spec := ReplaySpec{Config: in.Config, Asked: v.Get("asked")}
	if spec.Since, err = moment("since", v.Get("since"), now); err != nil {
		return 0, nil, err
	}
	if spec.Until, err = moment("until", v.Get("until"), now); err != nil {
		return 0, nil, err
	}
	if s.WhatIf == nil {
		return 0, nil, llm.Errorf(llm.Unsupported, "nothing is replayed here")
	}
	r, err := s.WhatIf.Replay(q.Context(), spec)
	return http.StatusOK, r, err
}

// mostConfig is the largest configuration that is taken, in bytes of JSON.
const mostConfig = 2 << 20
