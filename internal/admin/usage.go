package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"headrace/internal/llm"
)

// usageBy says what a row of usage may stand for.
var usageBy = []string{"model", "key", "day", "provider", "day_model", "hour", "minute", "team", "route", "tag", "task"}

var usageParams = slices.Concat([]param{
	{"by", "what a row stands for; model when left out", strings.Join(usageBy, ",")},
	{"bucket", "rows are apart by this length of time too", "minute,hour,day"},
	sinceParam, untilParam,
}, filterParams)

// UsageQuery says what to sum up.
type UsageQuery struct {
	// By is one of usageBy, but for those that are lengths of time: they are a
	// Bucket and an empty By.
	By string
	// Bucket is a minute, an hour, a day or 0.
	Bucket                     time.Duration
	Since, Until               time.Time
	Key, Team, Provider, Model string
	Route, Task, Tag           string
}

// buckets are the lengths of time that rows can be apart by, and the longest
// range that each may be asked for.
var buckets = map[string]struct{ long, most time.Duration }{
	"minute": {time.Minute, 3 * time.Hour},
	"hour":   {time.Hour, 8 * 24 * time.Hour},
	"day":    {24 * time.Hour, 0},
}

func (s *server) usage(q *http.Request) (int, any, error) {
	if err := params(q, names(usageParams)...); err != nil {
		return 0, nil, err
	}
	v, now := q.URL.Query(), time.Now()
	a := UsageAnswer{By: "model", Bucket: v.Get("bucket"), Rows: []UsageRow{}}
	if by := v.Get("by"); by != "" {
		if !slices.Contains(usageBy, by) {
			return 0, nil, llm.Errorf(llm.InvalidRequest, "by is one of %s", strings.Join(usageBy, ", "))
		}
		a.By = by
	}
	var err error
	if a.Since, err = moment("since", v.Get("since"), now); err != nil {
		return 0, nil, err
	}
	if a.Until, err = moment("until", v.Get("until"), now); err != nil {
		return 0, nil, err
	}
	ask := UsageQuery{By: a.By, Since: a.Since, Until: a.Until, Key: v.Get("key"), Team: v.Get("team"), Provider: v.Get("provider"),
		Route: v.Get("route"), Task: v.Get("task"), Tag: v.Get("tag")}
	if provider, model := target(v.Get("model")); model != "" {
		if ask.Model = model; provider != "" {
			ask.Provider = provider
		}
	}
	plain := ask == UsageQuery{By: a.By, Since: a.Since, Until: a.Until} && a.Bucket == ""
	if plain && slices.Contains(usageBy[:5], a.By) {
		a.Rows, err = s.Usage.UsageBy(q.Context(), a.By, a.Since, a.Until)
		return http.StatusOK, a, err
	}
	if err := ask.apart(v, now); err != nil {
		return 0, nil, err
	}
	a.Since = ask.Since
	a.Rows, err = s.Usage.Sums(q.Context(), ask)
	return http.StatusOK, a, err
}

// apart reads the bucket, which by may be the name of, and bounds the range that
// is asked for.
func (u *UsageQuery) apart(v url.Values, now time.Time) error {
	bucket := v.Get("bucket")
	if _, ok := buckets[u.By]; ok {
		if bucket != "" && bucket != u.By {
			return llm.Errorf(llm.InvalidRequest, "by=%s and bucket=%s say different things: give one", u.By, bucket)
		}
		bucket, u.By = u.By, ""
	}
	if u.By == "day_model" {
		bucket, u.By = "day", "model"
	}
	if bucket == "" {
		return nil
	}
	b, ok := buckets[bucket]
	if !ok {
		return llm.Errorf(llm.InvalidRequest, "bucket is minute, hour or day")
	}
	u.Bucket = b.long
	until := u.Until
	if until.IsZero() {
		until = now
	}
	switch {
	case b.most == 0:
	case u.Since.IsZero():
		u.Since = until.Add(-b.most)
	case until.Sub(u.Since) > b.most:
		return llm.Errorf(llm.InvalidRequest, "a bucket of a %s is for at most %s: ask for less, or for larger buckets", bucket, b.most)
	}
	return nil
}

// Overview is what one wants to know at a glance.
type Overview struct {
	At   time.Time `json:"at"`
	Live Pulse     `json:"live"`
	// Today and Month are what was spent since they began, in UTC.
	Today Spend `json:"today"`
	Month Spend `json:"month"`
	// Budgets are those that are nearest to their limits, at most ten.
	Budgets []Budget `json:"budgets"`
	// Savings are of this month.
	Savings []Saving `json:"savings"`
	// Recent is how the latest requests went.
	Recent Recent `json:"recent"`
	// Providers are those in use.
	Providers []ProviderHealth `json:"providers"`
}

// Pulse is how much there is to do now.
type Pulse struct {
	At time.Time `json:"at"`
	// Running are the requests that were let in, Waiting those that wait for their
	// turn.
	Running int `json:"running"`
	Waiting int `json:"waiting"`
	// Requests are those that ended since the last pulse, Failed those of them
	// that failed and Cost what they cost, as far as their rows were looked at:
	// all but Skipped.
	Requests int64           `json:"requests"`
	Failed   int64           `json:"failed"`
	Cost     llm.Nanodollars `json:"cost_nanodollars"`
	Skipped  int64           `json:"skipped"`
	// LedgerWaiting are rows not written yet.
	LedgerWaiting int64 `json:"ledger_waiting"`
}

// Spend is what was spent.
type Spend struct {
	Since    time.Time       `json:"since"`
	Requests int64           `json:"requests"`
	Failed   int64           `json:"failed"`
	Cost     llm.Nanodollars `json:"cost_nanodollars"`
	// Unpriced is how many attempts have no known price; they are not free.
	Unpriced int64 `json:"unpriced"`
	// The token buckets are disjoint.
	Input      int64 `json:"input"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	Output     int64 `json:"output"`
}

// Saving is what something has saved.
type Saving struct {
	Kind string `json:"kind" enum:"batch,cache,routing"`
	// Saved may be negative: then it has cost more.
	Saved llm.Nanodollars `json:"saved_nanodollars"`
	// Against is what the same would have cost without.
	Against llm.Nanodollars `json:"against_nanodollars"`
	// Unknown is how many attempts could not be compared for want of a price.
	Unknown int64 `json:"unknown"`
	// How says how it is computed.
	How   string    `json:"how"`
	Since time.Time `json:"since"`
}

// Recent is how the latest requests went.
type Recent struct {
	Since    time.Time `json:"since"`
	Requests int64     `json:"requests"`
	Failed   int64     `json:"failed"`
	// SuccessRate is left out without requests. Requests that their clients gave
	// up, or that were wrong, are not in it.
	SuccessRate *float64 `json:"success_rate,omitzero"`
	// FirstByte and Total are in milliseconds.
	FirstByte Middle `json:"first_byte_ms"`
	Total     Middle `json:"total_ms"`
	// Errors are the classes of what failed, most frequent first.
	Errors []ClassCount `json:"errors"`
	// Capped says that there were more requests since then than were looked at.
	Capped bool `json:"capped"`
}

// Middle is the middle and the upper end of figures; zero when there are none.
type Middle struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
}

// ProviderHealth is how a provider has been doing in the last 15 minutes.
type ProviderHealth struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// State is ok, degraded (some of its models are set aside, or one of its
	// credentials is), down (all of them) or idle (nothing was asked).
	State    string `json:"state" enum:"ok,degraded,down,idle"`
	Running  int64  `json:"running"`
	Attempts int64  `json:"attempts"`
	// SuccessRate is left out without attempts.
	SuccessRate *float64 `json:"success_rate,omitzero"`
	// FirstByte is the slowest median of its models, in seconds.
	FirstByte float64 `json:"first_byte_p50"`
	// Aside are the models that are set aside.
	Aside []string `json:"aside"`
}

// OverviewAnswer is the overview.
type OverviewAnswer struct {
	Overview Overview `json:"overview"`
}

var overviewRoutes = []route{
	{method: "GET", path: prefix + "overview", name: "overview", summary: "Say at a glance what goes on, what it costs and what is wrong.", may: "usage.read", out: OverviewAnswer{}, status: 200, serve: (*server).overview},
	{method: "GET", path: prefix + "events", name: "events", summary: "Follow what goes on, as server-sent events: counts each second, and request for each row that is written (as GET /requests/{id} shows it, for who may read requests). Last-Event-ID goes on after a row.", may: "status.read", out: Pulse{}, status: 200, kind: "text/event-stream", stream: (*server).events},
}

func (s *server) overview(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	if s.Overview == nil {
		return 0, nil, llm.Errorf(llm.Unsupported, "this handler has no overview")
	}
	o, err := s.Overview(q.Context())
	return http.StatusOK, OverviewAnswer{o}, err
}

// OverviewFunc makes an overview.
type OverviewFunc func(ctx context.Context) (Overview, error)
