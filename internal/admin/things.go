package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"headrace/internal/budget"
	"headrace/internal/llm"
)

// Team is a team as far as anything is known of it: from the configuration, from
// its keys, from its budgets.
type Team struct {
	Name string `json:"name"`
	// Keys is how many of its keys are active.
	Keys   int    `json:"keys"`
	Limits Limits `json:"limits"`
	// Priority and Weight say how its requests wait beside those of others; they
	// are left out when nothing is said.
	Priority string   `json:"priority,omitzero" enum:"interactive,standard,batch"`
	Weight   int      `json:"weight,omitzero"`
	Budgets  []Budget `json:"budgets"`
	// Month is what it has used since the month began, in UTC.
	Month Spend `json:"month"`
	// Declared says that the configuration names it: limits, priority and weight
	// are changed there.
	Declared bool `json:"declared"`
}

// TeamList is all teams, by name.
type TeamList struct {
	Teams []Team `json:"teams"`
}

// ModelUse is a model and how it does on your own traffic.
type ModelUse struct {
	Model Model `json:"model"`
	// Used is what it was used for since a time.
	Used UsageRow `json:"used"`
	// Health is how it did in the last 15 minutes; left out when it was not asked.
	Health *TargetHealth `json:"health,omitzero"`
}

// ModelAnswer is one model.
type ModelAnswer struct {
	Since time.Time `json:"since"`
	Use   ModelUse  `json:"use"`
}

// Elsewhere is what the traffic of a time would have cost on each of some models.
type Elsewhere struct {
	Since time.Time `json:"since"`
	// Tokens is the traffic, Cost what it did cost, without Unpriced attempts.
	Tokens   Tokens          `json:"tokens"`
	Requests int64           `json:"requests"`
	Cost     llm.Nanodollars `json:"cost_nanodollars"`
	Unpriced int64           `json:"unpriced"`
	// Rows are by cost, the cheapest first.
	Rows []ElsewhereRow `json:"rows"`
	// How says how it is computed.
	How string `json:"how"`
}

// ElsewhereRow is what the traffic would have cost on one model.
type ElsewhereRow struct {
	Model  string          `json:"model"`
	Cost   llm.Nanodollars `json:"cost_nanodollars"`
	Window int64           `json:"window"`
}

// Route is a route of the operator's, or a ready one.
type Route struct {
	Name string `json:"name"`
	// Kind is list (the first target that can answers) or ladder (the cheapest
	// first, and the next when an answer is not what it must be).
	Kind string `json:"kind" enum:"list,ladder"`
	// Declared says that the configuration names it; others come with the program.
	Declared bool `json:"declared"`
	// Success is what an answer must be, in the words of the configuration.
	Success []string `json:"success"`
	// Used is what was asked of it since a time, over all rungs.
	Used  UsageRow `json:"used"`
	Rungs []Rung   `json:"rungs"`
}

// Rung is a target of a route.
type Rung struct {
	// Model is provider/model, Thinking how hard it thinks; empty: the request says
	// it.
	Model    string `json:"model"`
	Thinking string `json:"thinking"`
	// Usable says that its provider is configured.
	Usable bool   `json:"usable"`
	Price  *Price `json:"price,omitzero"`
	// Share is the part of the route's requests that ended here, 0 to 1.
	Share float64 `json:"share"`
	// Used is what was asked of its model for this route. Rungs of one model that
	// think differently are counted together.
	Used UsageRow `json:"used"`
	// SuccessRate is that of the attempts; left out without any.
	SuccessRate *float64 `json:"success_rate,omitzero"`
	// CostPerSuccess is what an attempt that did not fail cost, the failed ones
	// charged to it; left out without one or with an unknown price.
	CostPerSuccess *llm.Nanodollars `json:"cost_per_success_nanodollars,omitzero"`
}

// RouteList is all routes, by name.
type RouteList struct {
	Since  time.Time `json:"since"`
	Routes []Route   `json:"routes"`
}

// Job is a set of requests that are answered by a deadline.
type Job struct {
	ID string `json:"id"`
	// Key is the id of the key that left it.
	Key      string      `json:"key"`
	Team     string      `json:"team"`
	Dialect  llm.Dialect `json:"dialect"`
	Form     string      `json:"form" enum:"messages,files,single,lines"`
	Name     string      `json:"name"`
	Created  time.Time   `json:"created"`
	Deadline time.Time   `json:"deadline"`
	// Ended and Canceled are left out until it is so.
	Ended    time.Time `json:"ended,omitzero"`
	Canceled time.Time `json:"canceled,omitzero"`
	Items    int64     `json:"items"`
	// Left is how many have no answer yet; Counts how many are in which state.
	Left   int64   `json:"left"`
	Counts []Count `json:"counts"`
	// Spent is what it has cost, RealTime what the same would have cost in real
	// time, Double what was paid for answers that came twice.
	Spent    llm.Nanodollars `json:"spent_nanodollars"`
	RealTime llm.Nanodollars `json:"real_time_nanodollars"`
	Double   llm.Nanodollars `json:"double_nanodollars"`
}

// JobList is a page of jobs, the newest first.
type JobList struct {
	Jobs []Job  `json:"jobs"`
	Next string `json:"next,omitzero"`
}

// Step is how far an item of a job has come, and by which path.
type Step struct {
	Index    int         `json:"index"`
	CustomID string      `json:"custom_id"`
	Dialect  llm.Dialect `json:"dialect"`
	Op       llm.Op      `json:"op"`
	// Model is as the client wrote it.
	Model string `json:"model"`
	State string `json:"state" enum:"queued,coalescing,submitted,running,ended,retrying,realtime,succeeded,failed,canceled,expired"`
	// Path is batch or realtime, empty until it is chosen; Why says why.
	Path     string          `json:"path" enum:",batch,realtime"`
	Why      string          `json:"why"`
	Provider string          `json:"provider"`
	Target   string          `json:"target"`
	Tries    int             `json:"tries"`
	Changed  time.Time       `json:"changed"`
	Cost     llm.Nanodollars `json:"cost_nanodollars"`
	RealTime llm.Nanodollars `json:"real_time_nanodollars"`
}

// JobAnswer is one job with a page of its items.
type JobAnswer struct {
	Job   Job    `json:"job"`
	Steps []Step `json:"steps"`
	Next  string `json:"next,omitzero"`
}

// JobRetry says by when what failed is to be answered.
type JobRetry struct {
	// Deadline is a time, or a length of time from now such as "24h", which is what
	// it is when left out.
	Deadline string `json:"deadline"`
}

// JobRetried says how many items are queued again.
type JobRetried struct {
	Items int64 `json:"items"`
	Job   Job   `json:"job"`
}

// Jobs are everybody's jobs. Errors are *llm.Error of class NotFound or
// InvalidRequest where the caller is to blame.
type Jobs interface {
	// Jobs lists those below before, the newest first; an empty one is all.
	Jobs(ctx context.Context, before string, limit int) (JobList, error)
	// Job gives one with items from an index on, only those in a state if it is
	// not empty.
	Job(ctx context.Context, id string, from int, state string, limit int) (JobAnswer, error)
	CancelJob(ctx context.Context, id string) (Job, error)
	RetryJob(ctx context.Context, id string, deadline time.Time) (JobRetried, error)
}

// Figures are what is worked out of several rooms.
type Figures interface {
	Teams(ctx context.Context) ([]Team, error)
	// Model gives one and its use since a time.
	Model(ctx context.Context, id string, since time.Time) (ModelUse, error)
	// Elsewhere works out what the traffic since a time would have cost on models
	// that have what it needed; all of those in use when none are named.
	Elsewhere(ctx context.Context, since time.Time, models []string) (Elsewhere, error)
	Routes(ctx context.Context, since time.Time) ([]Route, error)
}

var thingRoutes = []route{
	{method: "GET", path: prefix + "keys/{id}", name: "key", summary: "Show a key.", may: "keys.read", etag: true, out: KeyAnswer{}, status: 200, serve: (*server).key},
	{method: "PUT", path: prefix + "keys/{id}", name: "changeKey", summary: "Change what a key may do; its token stays. Takes If-Match.", may: "keys.write", etag: true, in: KeySpec{}, out: KeyAnswer{}, status: 200, serve: (*server).changeKey},
	{method: "GET", path: prefix + "budgets/{id...}", name: "budget", summary: "Show a budget and how it stands. Its ETag is that of what it is, not of how it stands.", may: "budgets.read", out: BudgetAnswer{}, status: 200, write: (*server).budget},
	{method: "GET", path: prefix + "teams", name: "listTeams", summary: "List teams, what they may use and what they have used.", may: "keys.read", out: TeamList{}, status: 200, serve: (*server).listTeams},
	{method: "GET", path: prefix + "models/{id...}", name: "model", summary: "Show a model and how it does on your own traffic.", may: "models.read", query: []param{sinceParam}, out: ModelAnswer{}, status: 200, serve: (*server).model},
	{method: "GET", path: prefix + "what-if", name: "whatIf", summary: "Work out what your traffic would have cost on other models; since 7 days when nothing is said.", may: "models.read", query: []param{sinceParam, {"models", "only these, as provider/model between commas; all in use when left out", ""}}, out: Elsewhere{}, status: 200, serve: (*server).whatIf},
	{method: "GET", path: prefix + "routes", name: "listRoutes", summary: "List routes with the share, the success and the cost of each rung; since 7 days when nothing is said.", may: "routes.read", query: []param{sinceParam}, out: RouteList{}, status: 200, serve: (*server).listRoutes},
	{method: "GET", path: prefix + "batches", name: "listJobs", summary: "List everybody's jobs, the newest first.", may: "batches.read", query: []param{{"cursor", "the next of the page before", ""}, {"limit", "how many at most, 1 to 200; 50 when left out", ""}}, out: JobList{}, status: 200, serve: (*server).listJobs},
	{method: "GET", path: prefix + "batches/{id}", name: "job", summary: "Show a job and the path of each item, without bodies.", may: "batches.read", query: []param{{"state", "only items in this state", "queued,coalescing,submitted,running,ended,retrying,realtime,succeeded,failed,canceled,expired"}, {"cursor", "the next of the page before", ""}, {"limit", "how many items at most, 1 to 1000; 100 when left out", ""}}, out: JobAnswer{}, status: 200, serve: (*server).job},
	{method: "POST", path: prefix + "batches/{id}/cancel", name: "cancelJob", summary: "End a job; what has its answer keeps it.", may: "batches.write", in: Nothing{}, out: JobAnswer{}, status: 200, serve: (*server).cancelJob},
	{method: "POST", path: prefix + "batches/{id}/retry", name: "retryJob", summary: "Queue what failed, expired or was canceled again.", may: "batches.write", in: JobRetry{}, out: JobRetried{}, status: 200, serve: (*server).retryJob},
}

func lacking(what string) error {
	return llm.Errorf(llm.Unsupported, "this handler has no %s", what)
}

// keyNow is a key as it is.
func (s *server) keyNow(q *http.Request) (Key, error) {
	keys, err := s.Keys.Keys(q.Context())
	if err != nil {
		return Key{}, err
	}
	for i := range keys {
		if keys[i].ID == q.PathValue("id") {
			return keys[i], nil
		}
	}
	return Key{}, llm.Errorf(llm.NotFound, "there is no key %q", q.PathValue("id"))
}

func (s *server) key(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	k, err := s.keyNow(q)
	return http.StatusOK, KeyAnswer{k}, err
}

func (s *server) changeKey(q *http.Request) (int, any, error) {
	var in KeySpec
	if err := read(q, &in); err != nil {
		return 0, nil, err
	}
	if err := in.check(time.Now()); err != nil {
		return 0, nil, err
	}
	k, err := s.keyNow(q)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case in.Admin != k.Admin:
		return 0, nil, llm.Errorf(llm.InvalidRequest, "a key stays what it is: admin is %t", k.Admin)
	case k.State != "active":
		return 0, nil, llm.Errorf(llm.InvalidRequest, "key %s is %s", k.ID, k.State)
	}
	if k.Admin {
		if err := allow(s.caller(q.Context()), "members.write"); err != nil {
			return 0, nil, err
		}
	}
	if err := match(q, KeyAnswer{k}); err != nil {
		return 0, nil, err
	}
	changed, err := s.Keys.ChangeKey(q.Context(), k.ID, in)
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "keys.change", k.ID)
	return http.StatusOK, KeyAnswer{changed}, nil
}

// budgetTag names what a budget is, whatever was spent of it.
func budgetTag(s *budget.State) string {
	return etag(BudgetSpec{Scope: string(s.Scope), Subject: s.Subject, Window: string(s.Window), Limit: s.Limit, Alerts: s.Alerts})
}

func (s *server) budgetNow(ctx context.Context, id budget.ID) (*budget.State, error) {
	states, err := s.Budgets.Budgets(ctx)
	if err != nil {
		return nil, err
	}
	for i := range states {
		if states[i].ID == id {
			return &states[i], nil
		}
	}
	return nil, nil
}

func (s *server) budget(w http.ResponseWriter, q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	id, err := budget.ParseID(q.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	now, err := s.budgetNow(q.Context(), id)
	switch {
	case err != nil:
		return 0, nil, err
	case now == nil:
		return 0, nil, llm.Errorf(llm.NotFound, "there is no budget %q", id)
	}
	w.Header().Set("ETag", budgetTag(now))
	return http.StatusOK, BudgetAnswer{ShowBudget(now)}, nil
}

// matchBudget refuses a write that is about another budget than there is now.
func (s *server) matchBudget(q *http.Request, id budget.ID) error {
	want := q.Header.Get("If-Match")
	if want == "" {
		return nil
	}
	now, err := s.budgetNow(q.Context(), id)
	if err != nil {
		return err
	}
	if now != nil && (want == "*" || want == budgetTag(now)) {
		return nil
	}
	return refusal(http.StatusPreconditionFailed, "changed", "it was changed since you have read it: read it again")
}

func (s *server) listTeams(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	if s.Figures == nil {
		return 0, nil, lacking("teams")
	}
	teams, err := s.Figures.Teams(q.Context())
	return http.StatusOK, TeamList{teams}, err
}

// week reads since, 7 days ago when it is not said.
func week(q *http.Request) (time.Time, error) {
	text := q.URL.Query().Get("since")
	if text == "" {
		text = "7d"
	}
	return moment("since", text, time.Now())
}

func (s *server) model(q *http.Request) (int, any, error) {
	if err := params(q, "since"); err != nil {
		return 0, nil, err
	}
	if s.Figures == nil {
		return 0, nil, lacking("figures of models")
	}
	since, err := week(q)
	if err != nil {
		return 0, nil, err
	}
	m, err := s.Figures.Model(q.Context(), q.PathValue("id"), since)
	return http.StatusOK, ModelAnswer{since, m}, err
}

func (s *server) whatIf(q *http.Request) (int, any, error) {
	if err := params(q, "since", "models"); err != nil {
		return 0, nil, err
	}
	if s.Figures == nil {
		return 0, nil, lacking("figures of models")
	}
	since, err := week(q)
	if err != nil {
		return 0, nil, err
	}
	var models []string
	for one := range strings.SplitSeq(q.URL.Query().Get("models"), ",") {
		if one = strings.TrimSpace(one); one != "" {
			models = append(models, one)
		}
	}
	w, err := s.Figures.Elsewhere(q.Context(), since, models)
	return http.StatusOK, w, err
}

func (s *server) listRoutes(q *http.Request) (int, any, error) {
	if err := params(q, "since"); err != nil {
		return 0, nil, err
	}
	if s.Figures == nil {
		return 0, nil, lacking("routes")
	}
	since, err := week(q)
	if err != nil {
		return 0, nil, err
	}
	routes, err := s.Figures.Routes(q.Context(), since)
	return http.StatusOK, RouteList{since, routes}, err
}

func (s *server) listJobs(q *http.Request) (int, any, error) {
	if err := params(q, "cursor", "limit"); err != nil {
		return 0, nil, err
	}
	if s.Jobs == nil {
		return 0, nil, lacking("jobs")
	}
	v := q.URL.Query()
	n, err := limit(v, 50, 200)
	if err != nil {
		return 0, nil, err
	}
	list, err := s.Jobs.Jobs(q.Context(), v.Get("cursor"), n)
	return http.StatusOK, list, err
}

func (s *server) job(q *http.Request) (int, any, error) {
	if err := params(q, "state", "cursor", "limit"); err != nil {
		return 0, nil, err
	}
	if s.Jobs == nil {
		return 0, nil, lacking("jobs")
	}
	v := q.URL.Query()
	n, err := limit(v, 100, 1000)
	if err != nil {
		return 0, nil, err
	}
	from := 0
	if text := v.Get("cursor"); text != "" {
		if from, err = strconv.Atoi(text); err != nil || from < 0 {
			return 0, nil, llm.Errorf(llm.InvalidRequest, "cursor is the next of the page before")
		}
	}
	states := strings.Split("queued,coalescing,submitted,running,ended,retrying,realtime,succeeded,failed,canceled,expired", ",")
	if state := v.Get("state"); state != "" && !slices.Contains(states, state) {
		return 0, nil, llm.Errorf(llm.InvalidRequest, "state is one of %s", strings.Join(states, ", "))
	}
	a, err := s.Jobs.Job(q.Context(), q.PathValue("id"), from, v.Get("state"), n)
	return http.StatusOK, a, err
}

func (s *server) cancelJob(q *http.Request) (int, any, error) {
	if s.Jobs == nil {
		return 0, nil, lacking("jobs")
	}
	if err := read(q, &Nothing{}); err != nil {
		return 0, nil, err
	}
	j, err := s.Jobs.CancelJob(q.Context(), q.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "batches.cancel", j.ID)
	return http.StatusOK, JobAnswer{Job: j, Steps: []Step{}}, nil
}

func (s *server) retryJob(q *http.Request) (int, any, error) {
	if s.Jobs == nil {
		return 0, nil, lacking("jobs")
	}
	var in JobRetry
	if err := read(q, &in); err != nil {
		return 0, nil, err
	}
	if in.Deadline == "" {
		in.Deadline = "24h"
	}
	now := time.Now()
	deadline, err := time.Parse(time.RFC3339, in.Deadline)
	if err != nil {
		long, err := length("deadline", in.Deadline)
		if err != nil {
			return 0, nil, err
		}
		deadline = now.Add(long)
	}
	if !deadline.After(now) {
		return 0, nil, llm.Errorf(llm.InvalidRequest, "the deadline is over already")
	}
	done, err := s.Jobs.RetryJob(q.Context(), q.PathValue("id"), deadline)
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "batches.retry", done.Job.ID+" "+strconv.FormatInt(done.Items, 10))
	return http.StatusOK, done, nil
}
