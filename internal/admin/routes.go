package admin

import (
	_ "embed" // for openapi.json
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/config"
	"headrace/internal/llm"
)

//go:generate go test -run TestOpenAPI -update .

// openAPI is the API's description, made from the route table by go generate
// and held equal to it by a test.
//
//go:embed openapi.json
var openAPI []byte

// route is one row of the API: what is served and, for the description, what
// goes in and out.
type route struct {
	method, path string
	// name is the operation's id, summary its meaning in one line.
	name, summary string
	query         []param
	// may is the row of the table of rights that it needs; open routes are for
	// everybody.
	may  string
	open bool
	// in and out are values of the bodies' types; nil is none.
	in, out any
	status  int
	// etag says that answers have an ETag, and writes take If-Match. turn says
	// that a write takes it whose answers have none.
	etag, turn bool
	// One of these serves it: write is for who sets headers, stream for who writes
	// the answer itself.
	serve  func(s *server, q *http.Request) (status int, body any, err error)
	write  func(s *server, w http.ResponseWriter, q *http.Request) (status int, body any, err error)
	stream func(s *server, w http.ResponseWriter, q *http.Request)
	// kind is the media type of a stream; empty for one without a body.
	kind string
}

// param is a query parameter.
type param struct{ name, summary, enum string }

var (
	sinceParam = param{"since", "leave out what is older: an RFC 3339 time, a day (2026-11-23, UTC) or a length of time before now (24h, 7d)", ""}
	untilParam = param{"until", "leave out what is not older, written like since", ""}
)

// The whole API. What a file has of its own stands in that file.
var routes = slices.Concat(mainRoutes, sessionRoutes, ssoRoutes, memberRoutes, overviewRoutes, thingRoutes, providerRoutes, configRoutes, auditRoutes, experimentRoutes, whatIfRoutes, successRoutes)

var mainRoutes = []route{
	{method: "GET", path: prefix + "keys", name: "listKeys", may: "keys.read", summary: "List all keys, ended ones too.", out: KeyList{}, status: 200, serve: (*server).listKeys},
	{method: "POST", path: prefix + "keys", name: "createKey", may: "keys.write", summary: "Make a key. The token is shown this once.", in: KeySpec{}, out: Issued{}, status: 201, serve: (*server).createKey},
	{method: "DELETE", path: prefix + "keys/{id}", name: "revokeKey", may: "keys.write", summary: "End a key for ever. It stops working within a second.", out: KeyAnswer{}, status: 200, serve: (*server).revokeKey},
	{method: "POST", path: prefix + "keys/{id}/rotate", name: "rotateKey", may: "keys.write", summary: "Replace a key; the old one works on through the overlap.", in: Rotation{}, out: Issued{}, status: 201, serve: (*server).rotateKey},
	{method: "GET", path: prefix + "budgets", name: "listBudgets", may: "budgets.read", summary: "List budgets and how they stand.", out: BudgetList{}, status: 200, serve: (*server).listBudgets},
	{method: "POST", path: prefix + "budgets", name: "setBudget", may: "budgets.write", turn: true, summary: "Add a budget or replace the one of the same scope, subject and window.", in: BudgetSpec{}, out: BudgetAnswer{}, status: 200, serve: (*server).setBudget},
	{method: "DELETE", path: prefix + "budgets/{id...}", name: "dropBudget", may: "budgets.write", turn: true, summary: "Remove a budget; what was spent is kept.", out: BudgetGone{}, status: 200, serve: (*server).dropBudget},
	{method: "POST", path: prefix + "budgets/settle", name: "settleBudget", may: "budgets.write", summary: "Give back what runs that were killed had leased and never accounted for.", in: BudgetName{}, out: BudgetSettled{}, status: 200, serve: (*server).settleBudget},
	{method: "GET", path: prefix + "usage", name: "usage", may: "usage.read", summary: "Sum up tokens and cost.", query: usageParams, out: UsageAnswer{}, status: 200, serve: (*server).usage},
	{method: "GET", path: prefix + "requests", name: "listRequests", may: "requests.read", summary: "Search requests, newest first; with after, in the order of writing.", query: requestParams, out: RequestList{}, status: 200, serve: (*server).listRequests},
	{method: "GET", path: prefix + "requests/{id}/bodies", name: "requestBodies", may: "bodies.read", summary: "Show what was said in a request, where the configuration has it stored.", out: BodiesAnswer{}, status: 200, serve: (*server).requestBodies},
	{method: "GET", path: prefix + "requests/{id}", name: "request", may: "requests.read", summary: "Show one request with its attempts.", out: RequestAnswer{}, status: 200, serve: (*server).request},
	{method: "GET", path: prefix + "models", name: "listModels", may: "models.read", summary: "List models.", query: []param{{"provider", "only this provider's", ""}, {"needs", "only models with all of these features, separated by commas", ""}, {"sort", "the order; id when left out", "id,price,window"}, {"all", "true lists models of providers that are not configured too", "true,false"}}, out: ModelList{}, status: 200, serve: (*server).listModels},
	{method: "POST", path: prefix + "models/refresh", name: "refreshModels", may: "models.write", summary: "Read a catalogue file (the body) over the rows that are there; without a body ask the providers for their model lists.", in: jsontext.Value{}, out: Refreshed{}, status: 200, serve: (*server).refreshModels},
	{method: "GET", path: prefix + "providers", name: "listProviders", may: "providers.read", summary: "List the providers that were found, and those that were skipped with advice.", out: ProviderList{}, status: 200, serve: (*server).listProviders},
	{method: "GET", path: prefix + "errors", name: "errorClasses", may: "routes.read", summary: "Show what is done about each class of error.", query: []param{{"route", "for requests that name this route", ""}}, out: ErrorTable{}, status: 200, serve: (*server).errorClasses},
	{method: "GET", path: prefix + "status", name: "status", may: "status.read", summary: "Say how the gateway is.", out: Status{}, status: 200, serve: (*server).status},
	{method: "GET", path: prefix + "openapi.json", name: "openAPI", may: "status.read", summary: "This description.", out: jsontext.Value{}, status: 200, serve: (*server).describe},
}

func (s *server) listKeys(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	keys, err := s.Keys.Keys(q.Context())
	return http.StatusOK, KeyList{keys}, err
}

// The bounds of what a key may be called and hold: names stand in tables and
// logs.
const (
	maxName   = 128
	maxModels = 256
)

func (s *server) createKey(q *http.Request) (int, any, error) {
	var k KeySpec
	if err := read(q, &k); err != nil {
		return 0, nil, err
	}
	now := time.Now()
	if err := k.check(now); err != nil {
		return 0, nil, err
	}
	if k.Admin {
		if err := allow(s.caller(q.Context()), "members.write"); err != nil {
			return 0, nil, err
		}
	}
	token, made, err := s.Keys.CreateKey(q.Context(), k)
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "keys.create", made.ID)
	return http.StatusCreated, Issued{token.Reveal(), made}, nil
}

// check refuses what no key can be, and settles when it ends.
func (k *KeySpec) check(now time.Time) error {
	for _, text := range append([]string{k.Name, k.Team}, k.Models...) {
		if len(text) > maxName || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return llm.Errorf(llm.InvalidRequest, "names, teams and model patterns are at most %d bytes without control characters", maxName)
		}
	}
	switch l := k.Limits; {
	case len(k.Models) > maxModels:
		return llm.Errorf(llm.InvalidRequest, "a key holds at most %d model patterns", maxModels)
	case slices.Contains(k.Models, ""):
		return llm.Errorf(llm.InvalidRequest, "a model pattern is empty")
	case l.RequestsPerMinute < 0 || l.TokensPerMinute < 0 || l.Parallel < 0:
		return llm.Errorf(llm.InvalidRequest, "a limit is negative: 0 is no limit")
	case k.ExpiresIn != "" && !k.Expires.IsZero():
		return llm.Errorf(llm.InvalidRequest, "expires and expires_in say the same thing: give one")
	}
	if k.ExpiresIn != "" {
		in, err := length("expires_in", k.ExpiresIn)
		if err != nil {
			return err
		}
		k.Expires, k.ExpiresIn = now.Add(in), ""
	}
	if !k.Expires.IsZero() && !k.Expires.After(now) {
		return llm.Errorf(llm.InvalidRequest, "the key would have expired already")
	}
	return nil
}

func (s *server) revokeKey(q *http.Request) (int, any, error) {
	if err := s.mayAdmins(q, q.PathValue("id")); err != nil {
		return 0, nil, err
	}
	k, err := s.Keys.RevokeKey(q.Context(), q.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "keys.revoke", k.ID)
	return http.StatusOK, KeyAnswer{k}, nil
}

func (s *server) rotateKey(q *http.Request) (int, any, error) {
	var r Rotation
	if err := read(q, &r); err != nil {
		return 0, nil, err
	}
	var overlap time.Duration
	if r.Overlap != "" {
		var err error
		if overlap, err = length("overlap", r.Overlap); err != nil {
			return 0, nil, err
		}
	}
	if err := s.mayAdmins(q, q.PathValue("id")); err != nil {
		return 0, nil, err
	}
	token, k, err := s.Keys.RotateKey(q.Context(), q.PathValue("id"), overlap)
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "keys.rotate", q.PathValue("id")+" -> "+k.ID)
	return http.StatusCreated, Issued{token.Reveal(), k}, nil
}

func (s *server) request(q *http.Request) (int, any, error) {
	r, err := s.Requests.Request(q.Context(), q.PathValue("id"))
	return http.StatusOK, RequestAnswer{r}, err
}

func (s *server) listModels(q *http.Request) (int, any, error) {
	if err := params(q, "provider", "needs", "sort", "all"); err != nil {
		return 0, nil, err
	}
	v := q.URL.Query()
	all, err := choice(v, "all")
	if err != nil {
		return 0, nil, err
	}
	models, err := s.Catalog.Models(q.Context(), all)
	if err != nil {
		return 0, nil, err
	}
	models, err = pick(models, v.Get("provider"), v.Get("needs"), v.Get("sort"))
	return http.StatusOK, ModelList{models}, err
}

// pick filters and sorts models. A model without a price comes last by price:
// unknown is not cheap.
func pick(models []Model, provider, needs, sort string) ([]Model, error) {
	var want []string
	for _, n := range strings.Split(needs, ",") {
		if n = strings.TrimSpace(n); n == "" {
			continue
		}
		if !slices.Contains(config.Capabilities(), n) {
			return nil, llm.Errorf(llm.InvalidRequest, "needs: there is no feature %q; known are %s", n, strings.Join(config.Capabilities(), ", "))
		}
		want = append(want, n)
	}
	var by func(a, b Model) int
	switch sort {
	case "", "id":
		by = func(a, b Model) int { return strings.Compare(a.ID, b.ID) }
	case "price":
		by = func(a, b Model) int { return comparePrice(a.Price, b.Price) }
	case "window":
		by = func(a, b Model) int { return int(min(1, max(-1, b.Window-a.Window))) }
	default:
		return nil, llm.Errorf(llm.InvalidRequest, "sort is id, price or window")
	}
	picked := []Model{}
	for _, m := range models {
		if (provider == "" || m.Provider == provider) && !slices.ContainsFunc(want, func(n string) bool { return !slices.Contains(m.Features, n) }) {
			picked = append(picked, m)
		}
	}
	slices.SortStableFunc(picked, by)
	return picked, nil
}

// comparePrice orders by three parts input to one part output, which is near
// what chat traffic looks like.
func comparePrice(a, b *Price) int {
	blend := func(p *Price) (float64, bool) {
		if p == nil || p.Input == nil || p.Output == nil {
			return 0, false
		}
		return 3**p.Input + *p.Output, true
	}
	x, known := blend(a)
	y, also := blend(b)
	switch {
	case known != also && known:
		return -1
	case known != also:
		return 1
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func (s *server) refreshModels(q *http.Request) (int, any, error) {
	file, err := body(q, maxFile)
	if err != nil {
		return 0, nil, err
	}
	if len(file) == 0 {
		file = nil
	}
	done, err := s.Catalog.Refresh(q.Context(), file)
	if err != nil {
		return 0, nil, err
	}
	subject := "from the providers"
	if file != nil {
		subject = strconv.Itoa(len(file)) + " bytes"
	}
	s.audit(q.Context(), "models.refresh", subject)
	return http.StatusOK, done, nil
}

func (s *server) listProviders(q *http.Request) (int, any, error) {
	providers, err := s.Catalog.Providers(q.Context())
	return http.StatusOK, ProviderList{providers}, err
}

func (s *server) errorClasses(q *http.Request) (int, any, error) {
	if err := params(q, "route"); err != nil {
		return 0, nil, err
	}
	classes, err := s.Errors(q.URL.Query().Get("route"))
	return http.StatusOK, ErrorTable{classes}, err
}

func (s *server) status(q *http.Request) (int, any, error) {
	return http.StatusOK, s.Status(q.Context()), nil
}

func (s *server) describe(*http.Request) (int, any, error) {
	return http.StatusOK, jsontext.Value(openAPI), nil
}

// params refuses query parameters that the route does not have: a mistyped
// filter must not silently list everything.
func params(q *http.Request, known ...string) error {
	v, err := url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return llm.Errorf(llm.InvalidRequest, "the query is malformed")
	}
	for name, values := range v {
		if !slices.Contains(known, name) {
			return llm.Errorf(llm.InvalidRequest, "there is no parameter %q here", name)
		}
		if len(values) > 1 {
			return llm.Errorf(llm.InvalidRequest, "the parameter %q is given twice", name)
		}
	}
	return nil
}

// choice reads a switch.
func choice(v url.Values, name string) (bool, error) {
	switch v.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, llm.Errorf(llm.InvalidRequest, "%s is true or false", name)
}

// length reads a length of time; days are 24 hours.
func length(name, text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, llm.Errorf(llm.InvalidRequest, "%s is a length of time such as 24h or 7d", name)
	}
	return d, nil
}

// moment reads a time: RFC 3339, a day, or a length of time before now. Empty
// gives the zero time.
func moment(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	d, err := length(name, text)
	if err != nil {
		return time.Time{}, llm.Errorf(llm.InvalidRequest, "%s is a time (2026-11-23T10:00:00Z), a day (2026-11-23) or a length of time before now (24h, 7d)", name)
	}
	return now.Add(-d).UTC(), nil
}
