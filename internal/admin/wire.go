package admin

import (
	"time"

	"headrace/internal/llm"
)

// Key is one virtual key. The token is not in it.
type Key struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Team string `json:"team"`
	// Admin keys open this API and nothing else.
	Admin bool `json:"admin"`
	// Prefix is the token's beginning, to recognise it by.
	Prefix string `json:"prefix"`
	// State is active, expired or revoked.
	State   string    `json:"state" enum:"active,expired,revoked"`
	Created time.Time `json:"created"`
	// Expires and Revoked are left out when they do not apply.
	Expires time.Time `json:"expires,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
	// Models are the patterns of what may be asked for; empty means all.
	Models []string `json:"models"`
	Limits Limits   `json:"limits"`
	// Priority is what its requests have when too much is asked for; left out, it
	// is what its team has. They may say less (x-headrace-priority), and more
	// where MayRaise is set.
	Priority string `json:"priority,omitzero" enum:"interactive,standard,batch"`
	MayRaise bool   `json:"may_raise"`
	// RotatedTo is the id of the key that replaces this one.
	RotatedTo string `json:"rotated_to,omitzero"`
}

// Limits are the rates of a key; 0 is no limit.
type Limits struct {
	RequestsPerMinute int64 `json:"requests_per_minute"`
	TokensPerMinute   int64 `json:"tokens_per_minute"`
	Parallel          int   `json:"parallel"`
}

// KeySpec is what a new key is to be.
type KeySpec struct {
	Name  string `json:"name"`
	Team  string `json:"team"`
	Admin bool   `json:"admin"`
	// Expires is when the key ends; zero means never. ExpiresIn says the same
	// as a length of time from now, such as "720h".
	Expires   time.Time `json:"expires,omitzero"`
	ExpiresIn string    `json:"expires_in,omitzero"`
	Models    []string  `json:"models"`
	Limits    Limits    `json:"limits"`
	// Priority and MayRaise are as in a key; Priority may be empty.
	Priority string `json:"priority,omitzero" enum:"interactive,standard,batch"`
	MayRaise bool   `json:"may_raise,omitzero"`
}

// Rotation says how a key is replaced.
type Rotation struct {
	// Overlap is how long the old key still works, such as "24h"; empty means
	// that it ends now.
	Overlap string `json:"overlap"`
}

// Issued is a new key with its token, which is shown this once.
type Issued struct {
	Token string `json:"token"`
	Key   Key    `json:"key"`
}

// KeyList is all keys.
type KeyList struct {
	Keys []Key `json:"keys"`
}

// KeyAnswer is one key.
type KeyAnswer struct {
	Key Key `json:"key"`
}

// UsageRow sums up the requests of one model, key, day or provider.
type UsageRow struct {
	// Name is the model ("provider/model"), the key's id, the day
	// ("2026-11-23", UTC), the provider, the team, the route, the tag or the task;
	// empty for requests that have none. By hour and by minute it is the time.
	// A request with several tags counts for each.
	Name string `json:"name"`
	// Bucket is when the length of time began that the row is for.
	Bucket time.Time `json:"bucket,omitzero"`
	// Label is a key's latest name.
	Label    string `json:"label,omitzero"`
	Requests int64  `json:"requests"`
	// Failed are the requests that gave the client no complete answer.
	Failed int64 `json:"failed"`
	// Attempts are the tries at providers, FailedAttempts those of them that
	// failed, Estimated those whose usage is our own estimate.
	Attempts       int64 `json:"attempts"`
	FailedAttempts int64 `json:"failed_attempts"`
	Estimated      int64 `json:"estimated"`
	// The token buckets are disjoint, but for Reasoning, which is a part of
	// Output.
	Input        int64 `json:"input"`
	CacheRead    int64 `json:"cache_read"`
	CacheWrite5m int64 `json:"cache_write_5m"`
	CacheWrite1h int64 `json:"cache_write_1h"`
	Output       int64 `json:"output"`
	Reasoning    int64 `json:"reasoning"`
	// Cost is in billionths of a US dollar, without the unpriced attempts.
	Cost llm.Nanodollars `json:"cost_nanodollars"`
	// Unpriced is how many attempts have no known price; they are not free.
	Unpriced int64 `json:"unpriced"`
	// Reported is what providers say that those attempts cost which they report
	// a cost of and the catalogue has a price for, Listed what the catalogue says.
	Reported llm.Nanodollars `json:"reported_nanodollars"`
	Listed   llm.Nanodollars `json:"listed_nanodollars"`
}

// UsageAnswer is a usage table.
type UsageAnswer struct {
	By string `json:"by" enum:"model,key,day,provider,day_model,hour,minute,team,route,tag,task"`
	// Bucket is what rows are apart by too; left out when it was not said.
	Bucket string     `json:"bucket,omitzero" enum:"minute,hour,day"`
	Since  time.Time  `json:"since,omitzero"`
	Until  time.Time  `json:"until,omitzero"`
	Rows   []UsageRow `json:"rows"`
}

// Request is one request as the ledger knows it.
type Request struct {
	ID string `json:"id"`
	// Seq is the place in the order of writing, which is not that of the ids:
	// a long request is written after short ones that began later. It is 0
	// while the row is only in memory.
	Seq   int64     `json:"seq"`
	Start time.Time `json:"start"`
	// Key is the id of the key that asked; KeyName its name.
	Key     string `json:"key"`
	KeyName string `json:"key_name"`
	Team    string `json:"team"`
	// Route is the operator's route that it named; Task, Tags and Session are what
	// its client says of it. They are left out when there are none.
	Route   string   `json:"route,omitzero"`
	Task    string   `json:"task,omitzero"`
	Tags    []string `json:"tags,omitzero"`
	Session string   `json:"session,omitzero"`
	// Dialect and Op say at which door it came in.
	Dialect llm.Dialect `json:"dialect"`
	Op      llm.Op      `json:"op"`
	// Asked is the model name that the client wrote; Provider and Model are
	// who answered, empty when nobody did.
	Asked    string `json:"asked"`
	Provider string `json:"provider"`
	Model    string `json:"model"`
	// Status is what the client got; Class is empty when all went well.
	Status int       `json:"status"`
	Class  llm.Class `json:"class,omitzero"`
	Stream bool      `json:"stream"`
	// FirstByte and Total are in milliseconds.
	FirstByte int64    `json:"first_byte_ms"`
	Total     int64    `json:"total_ms"`
	Usage     Tokens   `json:"usage"`
	Cost      Cost     `json:"cost"`
	Warnings  []string `json:"warnings"`
	// Experiment and Arm are left out for requests that took part in none. Copy is
	// the id of the request that this one is a copy of, for another arm.
	Experiment string `json:"experiment,omitzero"`
	Arm        string `json:"arm,omitzero"`
	Copy       string `json:"copy_of,omitzero"`
	// Attempts are in order; a list of requests may leave them out.
	Attempts []Attempt `json:"attempts,omitzero"`
}

// Tokens are the token buckets of a request or an attempt.
type Tokens struct {
	Input        int64 `json:"input"`
	CacheRead    int64 `json:"cache_read"`
	CacheWrite5m int64 `json:"cache_write_5m"`
	CacheWrite1h int64 `json:"cache_write_1h"`
	Output       int64 `json:"output"`
	Reasoning    int64 `json:"reasoning"`
	// Source is provider or estimated; empty when there is no usage.
	Source llm.UsageSource `json:"source,omitzero"`
}

// Cost is what a request or an attempt cost.
type Cost struct {
	Nanodollars llm.Nanodollars `json:"nanodollars"`
	// Priced is false when the price is not known: the figure is then not the
	// cost.
	Priced bool `json:"priced"`
}

// Attempt is one try at one target.
type Attempt struct {
	N        int    `json:"n"`
	Provider string `json:"provider"`
	Model    string `json:"model"`
	// Why says why this target was picked.
	Why       string    `json:"why"`
	Start     time.Time `json:"start"`
	FirstByte int64     `json:"first_byte_ms"`
	Total     int64     `json:"total_ms"`
	Status    int       `json:"status"`
	Class     llm.Class `json:"class,omitzero"`
	Message   string    `json:"message,omitzero"`
	// Refused says when and why the content was refused; absent else.
	Refused  *Refused `json:"refused,omitzero"`
	Usage    Tokens   `json:"usage"`
	Cost     Cost     `json:"cost"`
	Upstream string   `json:"upstream_id,omitzero"`
	// Finish is why the answer ended.
	Finish llm.FinishReason `json:"finish,omitzero"`
}

// Refused says when and why the content was refused.
type Refused struct {
	// Phase is "prompt" before anything was answered, else "output".
	Phase llm.RefusalPhase `json:"phase"`
	// Category is absent where the provider does not say.
	Category string `json:"category,omitzero"`
}

// RequestList is a page of requests.
type RequestList struct {
	Requests []Request `json:"requests"`
	// Next is the cursor of the next page; left out when there is none. A page may
	// be short, or empty, and have one: a search looks for a bounded time.
	Next string `json:"next,omitzero"`
}

// RequestAnswer is one request.
type RequestAnswer struct {
	Request Request `json:"request"`
}

// Model is one model at one provider.
type Model struct {
	// ID is "provider/model", as clients ask for it.
	ID       string   `json:"id"`
	Provider string   `json:"provider"`
	Name     string   `json:"name"`
	Aliases  []string `json:"aliases"`
	// Window and MaxOutput are in tokens; 0 means unknown.
	Window    int64 `json:"window"`
	MaxOutput int64 `json:"max_output"`
	// Features are the catalogue's names of what it can do.
	Features []string `json:"features"`
	Efforts  []string `json:"efforts"`
	// Price is left out when it is not known.
	Price *Price `json:"price,omitzero"`
	// State is active, beta, deprecated or retired.
	State string `json:"state"`
	// Usable says that its provider is configured.
	Usable bool `json:"usable"`
}

// Price is in US dollars per million tokens; a bucket without a known price is
// left out.
type Price struct {
	Input        *float64 `json:"input,omitzero"`
	Output       *float64 `json:"output,omitzero"`
	CacheRead    *float64 `json:"cache_read,omitzero"`
	CacheWrite5m *float64 `json:"cache_write_5m,omitzero"`
	CacheWrite1h *float64 `json:"cache_write_1h,omitzero"`
	// Note says what else the price hangs on: steps by prompt size, hours.
	Note string `json:"note,omitzero"`
}

// ModelList is a list of models.
type ModelList struct {
	Models []Model `json:"models"`
}

// Refreshed says what a refresh of the catalogue did.
type Refreshed struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Gone    int `json:"gone"`
	// Notes are one line each: providers that did not answer, rows left out.
	Notes []string `json:"notes"`
}

// Provider is one provider and what is known of its credentials.
type Provider struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Dialect llm.Dialect `json:"dialect"`
	BaseURL string      `json:"base_url"`
	// State is ready, skipped or disabled.
	State string `json:"state" enum:"ready,skipped,disabled"`
	// Source says where it was found: "OPENAI_API_KEY", "headrace.yaml:4".
	Source string `json:"source"`
	// Advice says what to do about a provider that is not ready.
	Advice string `json:"advice,omitzero"`
	Models int    `json:"models"`
}

// ProviderList is a list of providers.
type ProviderList struct {
	Providers []Provider `json:"providers"`
}

// ErrorClass is one row of the table of what is done about errors.
type ErrorClass struct {
	Class llm.Class `json:"class"`
	// Status is what a client sees when nothing else helped.
	Status int `json:"status"`
	// Means says what happened, Does what the gateway does about it.
	Means string `json:"means"`
	Does  string `json:"does"`
	// Repeat is how often the same target is asked again; Next says whether
	// the next target is tried.
	Repeat int  `json:"repeat"`
	Next   bool `json:"next"`
}

// ErrorTable is the table of error classes.
type ErrorTable struct {
	Classes []ErrorClass `json:"classes"`
}

// Status says how the gateway is.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Listen  string    `json:"listen"`
	Data    string    `json:"data"`
	Config  string    `json:"config,omitzero"`
	// Ready is false while it starts, drains, or cannot read its keys.
	Ready     bool `json:"ready"`
	Keys      int  `json:"keys"`
	Providers int  `json:"providers"`
	// Streams are the answers that are being streamed now.
	Streams int `json:"streams"`
	// LedgerWaiting are rows not written yet, LedgerDropped rows lost since
	// the start because the queue was full.
	LedgerWaiting int64 `json:"ledger_waiting"`
	LedgerDropped int64 `json:"ledger_dropped"`
	// Targets are the models that were asked since the start, at most a thousand.
	Targets []TargetHealth `json:"targets"`
	// Credentials are those of the providers in use, as far as anything is kept
	// of them: several, or limits that are known.
	Credentials []CredentialState `json:"credentials"`
	Load        Load              `json:"load"`
	// Notes are things that a person ought to know, one line each.
	Notes []string `json:"notes"`
}

// TargetHealth says how one model at one provider did in the last 15 minutes.
type TargetHealth struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	// Breaker is closed, open (set aside) or half-open (being probed).
	Breaker string `json:"breaker"`
	Running int64  `json:"running"`
	// Attempts are those that ended, Failed those that failed, by error class.
	Attempts int64        `json:"attempts"`
	Failed   []ClassCount `json:"failed"`
	// SuccessRate leaves out failures that are not the target's.
	SuccessRate float64 `json:"success_rate"`
	// CostPerSuccess is in nanodollars, failed attempts charged to those that
	// succeeded; missing without one or with an unknown price.
	CostPerSuccess *int64    `json:"cost_per_success_nanodollars,omitzero"`
	FirstByte      Quantiles `json:"first_byte"`
	PerToken       Quantiles `json:"per_token"`
	Total          Quantiles `json:"total"`
}

// CredentialState says how one credential of a provider is doing. The secret is
// not in it.
type CredentialState struct {
	Provider string `json:"provider"`
	// Name is what the operator calls it, or its number.
	Name string `json:"name"`
	// State is ready, rate_limited (some requests wait for the provider's limit to
	// end) or set_aside (it is not used for some operation).
	State   string `json:"state" enum:"ready,rate_limited,set_aside"`
	Running int    `json:"running"`
	// Parallel is how many requests may run at once; 0 is no limit.
	Parallel int `json:"parallel"`
	// SetAside says for what it is not used, and why; Pauses what waits.
	SetAside []Aside `json:"set_aside"`
	Pauses   []Pause `json:"pauses"`
	// Limits are the operator's and those that the provider's answers told, the
	// fullest first, at most twenty; MoreLimits counts those left out.
	Limits     []CredentialLimit `json:"limits"`
	MoreLimits int               `json:"more_limits"`
}

// Aside says why a credential is not used for an operation, and until when;
// then the next request probes it.
type Aside struct {
	Op      llm.Op    `json:"op"`
	Class   llm.Class `json:"class"`
	Message string    `json:"message"`
	Until   time.Time `json:"until"`
}

// Pause says until when requests wait for a rate limit of the provider; of one
// model, or of all when it names none.
type Pause struct {
	Op    llm.Op    `json:"op,omitzero"`
	Model string    `json:"model,omitzero"`
	Until time.Time `json:"until"`
}

// CredentialLimit is one limit of a credential and what is left of it.
type CredentialLimit struct {
	// Kind is what it counts, and in what time.
	Kind string `json:"kind" enum:"requests_minute,requests_day,tokens_minute,tokens_day,input_tokens_minute,output_tokens_minute"`
	// Op and Model say of which requests; of all when they are left out.
	Op    llm.Op `json:"op,omitzero"`
	Model string `json:"model,omitzero"`
	// Source is configured, or learned from the provider's answers.
	Source string `json:"source" enum:"configured,learned"`
	Limit  int64  `json:"limit"`
	Left   int64  `json:"left"`
	// PerSeconds is the time that the limit is for.
	PerSeconds float64 `json:"per_seconds"`
}

// Load is how much the gateway has to do.
type Load struct {
	// Running are the requests that were let in, Waiting those that wait for
	// their turn.
	Running int `json:"running"`
	Waiting int `json:"waiting"`
	// Limit is how many may run now, Most how many may while nothing is late; 0
	// is no limit.
	Limit int `json:"limit"`
	Most  int `json:"most"`
	// BodyBytes is what the bodies of the requests that run take.
	BodyBytes int64 `json:"body_bytes"`
	// Queued are those that wait, Shed those that were turned away since the
	// start.
	Queued []Count `json:"queued"`
	Shed   []Count `json:"shed"`
}

// Count is how many there are of something.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// ClassCount is how often a class of error came.
type ClassCount struct {
	Class string `json:"class"`
	Count int64  `json:"count"`
}

// Quantiles are in seconds; zero when nothing was measured.
type Quantiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
}

// Problem is the body of every error.
type Problem struct {
	Error struct {
		// Code is an error class, or "internal".
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}
