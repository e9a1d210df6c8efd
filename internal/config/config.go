// Package config knows what an operator can say: one commented struct with
// its defaults, read from a strict YAML file, and the environment, which no
// other package reads.
package config

import (
	"iter"
	"strconv"
	"time"

	"headrace/internal/llm"
)

//go:generate go test -run TestGenerated -update .

// Config is everything an operator can say in the file. A Config is read-only
// once loaded and safe for concurrent use; a reload makes a new one.
type Config struct {
	// Listen is the address that serves clients, the admin API and the health
	// pages. The default answers this machine only. HEADRACE_LISTEN and
	// --listen win over the file.
	Listen string `yaml:"listen"`
	// Data is the directory that holds the database. Empty means the user's
	// data directory: $XDG_DATA_HOME/headrace, ~/.local/share/headrace or
	// ~/Library/Application Support/headrace. HEADRACE_DATA and --data win over
	// the file.
	Data string `yaml:"data"`
	// Log says what is logged to standard error, and how.
	Log Log `yaml:"log"`
	// Discover looks for providers in the environment (ANTHROPIC_API_KEY,
	// OPENAI_API_KEY, ...) and for Ollama on this host, beside those that the
	// file names. Where both name a provider, the file wins key by key.
	Discover bool `yaml:"discover"`
	// Providers are who can answer, by id. A known id (anthropic, openai,
	// mistral, ...; see `headrace models`) needs only what differs from its
	// catalogue row, mostly nothing but api_key. Any other id is a provider of
	// your own and needs base_url and dialect.
	Providers map[string]Provider `yaml:"providers"`
	// Routes are names of your own for ordered lists of provider/model, or for
	// ladders. A request for the name is answered by the first target that can;
	// the next one is tried when a target fails before its first word.
	Routes map[string]Route `yaml:"routes"`
	// Experiments compare versions of what is behind a name, by a name of your own.
	// Each session, user or key gets one of the arms and keeps it. See `headrace
	// experiments`.
	Experiments map[string]Experiment `yaml:"experiments"`
	// Models override or add catalogue rows, by provider/model.
	Models map[string]Model `yaml:"models"`
	// Limits bound what one request and one key may use.
	Limits Limits `yaml:"limits"`
	// Overload says what happens when more is asked for than can be served.
	Overload Overload `yaml:"overload"`
	// Budgets say how much may be spent. Those of keys and tags, and more of
	// teams, are set with `headrace budgets` or the admin API.
	Budgets Budgets `yaml:"budgets"`
	// Retention bounds how much of the ledger is kept.
	Retention Retention `yaml:"retention"`
	// Teams are the teams that keys belong to, by name (`headrace keys create
	// --team`). A request must fit the limits of its key, its team and its model,
	// or takes from none of them.
	Teams map[string]TeamLimits `yaml:"teams"`
	// Timeouts bound how long one attempt at a provider may take. 0 switches
	// a timeout off.
	Timeouts Timeouts `yaml:"timeouts"`
	// Retries say what happens when an attempt fails before its first word.
	// Nothing is tried again after that.
	Retries Retries `yaml:"retries"`
	// Recall says how long what must come back is kept: the state of tool
	// loops, and stored responses. At rest it is sealed, with the key in the
	// file recall.key of the data directory.
	Recall Recall `yaml:"recall"`
	// Batch says how what need not be answered at once is answered by its
	// deadline: in batches of the providers, which cost less, while there is time,
	// else in real time.
	Batch Batch `yaml:"batch"`
	// Webhooks says whom jobs may tell of their end.
	Webhooks Webhooks `yaml:"webhooks"`
	// Guards are rules on what requests and answers may say, in sets with names of
	// your own. All sets that apply to a request hold for it.
	Guards map[string]Guard `yaml:"guards"`
	// Telemetry tells an OpenTelemetry collector of requests and their attempts.
	Telemetry Telemetry `yaml:"telemetry"`
	// Bodies says whose prompts and answers are stored, sealed, for `headrace` and
	// the page of a request: nobody's, unless a key or a team stands there.
	Bodies Bodies `yaml:"bodies"`
	// Alerts are addresses that are told what an operator wants to know. What
	// webhooks.allow says holds for them, too.
	Alerts []Alert `yaml:"alerts"`
	// Admin says how people come to the admin API and the dashboard.
	Admin Admin `yaml:"admin"`
	// Shutdown says how the process ends.
	Shutdown Shutdown `yaml:"shutdown"`

	loaded *loaded
}

// Route is a list of provider/model, best first, or keys that describe a ladder.
type Route struct {
	// Targets are those of the list form, as provider/model, best first.
	Targets []string
	// Ladder are the rungs, cheapest first. A rung that a request cannot use (its
	// window, tools, images or schema) is passed over.
	Ladder []Rung `yaml:"ladder"`
	// Success is what an answer that is not streamed must be; the next rung is
	// asked when it is not. If no rung does better the client gets the answer all
	// the same. Left out, nothing is checked.
	Success *Success `yaml:"success"`
	// Aim is what is wanted of the answers of a ladder.
	Aim *Aim `yaml:"aim"`
	// When are rules that name the model of a request, before the ladder; the
	// first that holds wins, and all that it says must hold.
	When []When `yaml:"when"`
}

// Aim is what is wanted of the answers of a ladder. Which rung is asked first is
// learned from feedback (docs/routing.md); until enough of it has come, the first
// rung that can take the request is.
type Aim struct {
	// Quality is the share of the best rung's successes that is held to, such as
	// 0.98: until feedback shows that a cheaper rung holds it, the best answers. 0
	// holds to none; then the cheapest within 0.02 of the best answers.
	Quality float64 `yaml:"quality" min:"0" max:"1"`
	// P95FirstToken leaves out rungs whose first tokens take longer, at the 95th
	// percentile of the last minutes. 0 leaves out none.
	P95FirstToken Duration `yaml:"p95_first_token"`
	// MaxCost leaves out rungs that are expected to cost more, in US dollars, and
	// ends the climb of a request where the next rung would. 0 is no bound.
	MaxCost Money `yaml:"max_cost"`
	// ValueOfSuccess is what a success is worth in US dollars: the next rung is
	// asked while what it may gain is worth its price. Left out, an answer that is
	// not as success says always asks the next rung.
	ValueOfSuccess Money `yaml:"value_of_success"`
	// Explore is the share of the requests that begin a conversation whose rung is
	// drawn evenly, so that something is learned of all. 0 draws none.
	Explore *float64 `yaml:"explore" min:"0" max:"0.5"`
}

// When is a rule that names the model of a request.
type When struct {
	// Script is what most of the prompt is written in; a text with kana is
	// Japanese.
	Script string `yaml:"script" enum:"latin,han,kana,hangul,cyrillic,arabic,devanagari,hebrew,greek,thai"`
	// Has is what the request holds.
	Has string `yaml:"has" enum:"tools,image,document,audio,schema"`
	// Task is what the client calls its task, in x-headrace-task.
	Task string `yaml:"task"`
	// Use is the model, written provider/model. If it fails, or cannot take the
	// request, the ladder is asked.
	Use string `yaml:"use"`
}

// Rung is one way to answer: a model and how hard it thinks.
type Rung struct {
	// Model is written provider/model.
	Model string `yaml:"model"`
	// Thinking is how hard it thinks, in each vendor's own words. Left out, the
	// request says it. x-headrace-thinking of a request wins over it.
	Thinking string `yaml:"thinking" enum:"off,low,medium,high,max"`
}

// Success is what an answer that is not streamed must be.
type Success struct {
	// Schema: the text fits the JSON Schema that the request asks for.
	Schema bool `yaml:"schema"`
	// ToolsValid: tool calls name tools that were offered, with arguments that
	// fit their schemas.
	ToolsValid bool `yaml:"tools_valid"`
	// Not is what it must not be: refused, cut at the output cap, without words
	// and calls.
	Not []string `yaml:"not" enum:"refusal,truncated,empty"`
	// SecondOpinion is a cheap model, written provider/model, that is asked the
	// same where an answer can be compared: tool calls, and answers in JSON. Where
	// the two differ, the next rung is asked. Its price is the request's.
	SecondOpinion string `yaml:"second_opinion"`
}

// Each gives the models of a route with their paths below it.
func (r *Route) Each() iter.Seq2[string, string] {
	return func(yield func(path, model string) bool) {
		for i, t := range r.Targets {
			if !yield(strconv.Itoa(i), t) {
				return
			}
		}
		for i := range r.Ladder {
			if !yield("ladder."+strconv.Itoa(i)+".model", r.Ladder[i].Model) {
				return
			}
		}
		if r.Success != nil && r.Success.SecondOpinion != "" && !yield("success.second_opinion", r.Success.SecondOpinion) {
			return
		}
		for i := range r.When {
			if !yield("when."+strconv.Itoa(i)+".use", r.When[i].Use) {
				return
			}
		}
	}
}

// Guard is a set of rules on what some requests and their answers may say.
type Guard struct {
	// Asked are the names that the rules are for, as clients ask for them: routes,
	// models, provider/*. Left out, they are for all.
	Asked []string `yaml:"asked"`
	// Teams are the teams that the rules are for. Left out, they are for all keys.
	Teams []string `yaml:"teams"`
	// Window is how many bytes of a streamed answer are held back while a rule
	// looks at answers, so that what it looks for is found before the client has
	// the first of it.
	Window int `yaml:"window" min:"16" max:"65536"`
	// Rules are what is looked for.
	Rules []GuardRule `yaml:"rules"`
}

// GuardRule is one rule: what is looked for is one of find, words, pattern, schema
// and webhook.
type GuardRule struct {
	// Name is what the rule is called in errors, warnings and figures.
	Name string `yaml:"name"`
	// On is where it looks. Left out, at both.
	On string `yaml:"on" enum:"input,output,both"`
	// Do is what is done about what it finds: block refuses the request or ends the
	// answer; redact puts a placeholder such as [EMAIL_1] in its place, which the
	// client's answer has undone; flag only counts it. Left out, it is block.
	Do string `yaml:"do" enum:"block,redact,flag"`
	// Find are kinds of things: pii (email, phone, card, iban, ssn) and secret
	// (private_key, jwt, api_key), or single ones of them.
	Find []string `yaml:"find" enum:"pii,secret,email,phone,card,iban,ssn,private_key,jwt,api_key"`
	// Words are found as whole words in any case.
	Words []string `yaml:"words"`
	// Pattern is a regular expression (RE2).
	Pattern string `yaml:"pattern"`
	// Schema is a JSON Schema that the text of an answer must fit, as JSON. A
	// streamed answer is held back until it is whole.
	Schema string `yaml:"schema"`
	// Webhook is a service of yours that is asked about each text. A streamed
	// answer is held back until it is whole.
	Webhook *GuardWebhook `yaml:"webhook"`
}

// GuardWebhook is a service that is asked about texts: it is sent
// {"side": "input", "rule": "name", "text": "..."} and answers
// {"action": "allow"} or {"action": "block"}.
type GuardWebhook struct {
	// URL is where it is asked.
	URL string `yaml:"url"`
	// Timeout is how long it may take; 2s when left out.
	Timeout Duration `yaml:"timeout"`
	// Fail says what happens when it does not answer: closed blocks, open lets the
	// text pass. Left out, it is closed.
	Fail string `yaml:"fail" enum:"open,closed"`
	// Headers are sent with every question. Their values are secrets.
	Headers map[string]llm.Secret `yaml:"headers" keys:"header"`
}

// Experiment compares versions of what is behind a name.
type Experiment struct {
	// On is the name that clients ask for: one of your routes, or a model. What
	// stands behind a model is never replaced: there arms may differ in thinking
	// and parameters only.
	On string `yaml:"on"`
	// Unit is what an arm is given to and what counts once: a session (a
	// conversation), a user (metadata.user_id, user; a request that names none
	// takes no part) or a key. Empty means session.
	Unit string `yaml:"unit" enum:"session,user,key"`
	// Arms are the versions; the first one is the control.
	Arms []ExperimentArm `yaml:"arms"`
	// Metric is what decides: success (the share of requests that went well),
	// cost_per_success or latency (to the first byte of streams, to the end of
	// whole answers). Empty means success.
	Metric string `yaml:"metric" enum:"success,cost_per_success,latency"`
	// Effect is the difference worth having, at which the test is sharpest: of
	// success as it is (0.03 is three points), of the others as a share of the
	// control's value. 0 means 0.03 and 0.1.
	Effect float64 `yaml:"effect" min:"0" max:"1"`
	// Error bounds the chance that the winner named is not the best arm, however
	// often one looks. 0 means 0.05.
	Error float64 `yaml:"error" min:"0" max:"0.5"`
	// Least is how many units each arm has before anything is said. 0 means 100.
	Least int64 `yaml:"least" min:"0" max:"1000000"`
	// Allocation says whether the shares of the arms stay as their weights say
	// (fixed) or move to the arms that do better (bandit; not with
	// cost_per_success). Empty means fixed.
	Allocation string `yaml:"allocation" enum:"fixed,bandit"`
	// Winner says what happens once an arm beats every other one: auto gives it to
	// everybody new, ask waits for `headrace experiments decide`. Empty means ask.
	Winner string `yaml:"winner" enum:"auto,ask"`
	// Start and Stop bound it in time: a day (2026-12-01, UTC) or an RFC 3339 time.
	// Left out, it begins at once and ends when it is stopped.
	Start string `yaml:"start"`
	// Stop is when everybody gets again what they ask for.
	Stop string `yaml:"stop"`
	// Guardrails stop an arm that spoils something else; its units get the control.
	Guardrails Guardrails `yaml:"guardrails"`
	// Shadow sends copies of requests that are not streamed to another arm, once
	// the client has its answer. Nobody sees their answers; both are in the ledger.
	Shadow *Shadow `yaml:"shadow"`
}

// ExperimentArm is one version of an experiment.
type ExperimentArm struct {
	// Name is what the arm is called.
	Name string `yaml:"name"`
	// Weight is its part of the units beside the other arms. 0 means 1.
	Weight float64 `yaml:"weight" min:"0" max:"1000000"`
	// Model is asked first, as provider/model, or another one of your routes in
	// place of this one. Left out, the route says it.
	Model string `yaml:"model"`
	// Thinking is how hard it thinks; x-headrace-thinking of a request wins over
	// it. Left out, the request and the route say it.
	Thinking string `yaml:"thinking" enum:"off,low,medium,high,max"`
	// Set are members of the request, in place of what the client says of them.
	Set ArmSet `yaml:"set"`
}

// ArmSet are members of a request by one name, whatever the client's dialect
// calls them.
type ArmSet struct {
	// Temperature is the sampling temperature.
	Temperature *float64 `yaml:"temperature" min:"0" max:"2"`
	// TopP is the probability mass that is sampled from.
	TopP *float64 `yaml:"top_p" min:"0" max:"1"`
	// TopK is how many tokens are sampled from.
	TopK *int64 `yaml:"top_k" min:"1"`
	// MaxTokens caps the answer.
	MaxTokens *int64 `yaml:"max_tokens" min:"1"`
	// Effort is the reasoning effort, in each vendor's own words.
	Effort string `yaml:"effort" enum:"none,minimal,low,medium,high,xhigh,max"`
	// Verbosity is how much is said (OpenAI).
	Verbosity string `yaml:"verbosity" enum:"low,medium,high"`
	// FrequencyPenalty makes words rarer that were said often.
	FrequencyPenalty *float64 `yaml:"frequency_penalty"`
	// PresencePenalty makes words rarer that were said at all.
	PresencePenalty *float64 `yaml:"presence_penalty"`
	// Seed makes sampling repeatable where the model takes one.
	Seed *int64 `yaml:"seed"`
	// ServiceTier is the vendor's own word.
	ServiceTier string `yaml:"service_tier"`
	// ParallelToolCalls says whether several tools may be called at once.
	ParallelToolCalls *bool `yaml:"parallel_tool_calls"`
}

// Guardrails are what an arm of an experiment must not spoil. The chance that
// one of them stops a sound arm is at most the experiment's error.
type Guardrails struct {
	// Errors is by how much the share of requests that got no answer may be above
	// the control's (0.02 is two points).
	Errors *float64 `yaml:"errors" min:"0" max:"1"`
	// Refusals is the same for requests that the model refused.
	Refusals *float64 `yaml:"refusals" min:"0" max:"1"`
	// Cost is by which share a request may cost more than the control's (0.5 is
	// half as much again).
	Cost *float64 `yaml:"cost" min:"0"`
	// P95 is what 95 of 100 requests must be quicker than: to the first byte of
	// streams, to the end of whole answers. 0 is no bound.
	P95 Duration `yaml:"p95"`
}

// Shadow copies requests of an experiment to another arm.
type Shadow struct {
	// Share is the share of the requests that are copied.
	Share float64 `yaml:"share" min:"0" max:"1"`
	// Budget is what all copies together may cost, in US dollars. What has no
	// known price is not copied.
	Budget Money `yaml:"budget"`
}

// Log says what is logged to standard error, and how.
type Log struct {
	// Level is the least severe level that is logged.
	Level string `yaml:"level" enum:"debug,info,warn,error"`
	// Format is text for people, json for machines.
	Format string `yaml:"format" enum:"text,json"`
	// Requests says which requests have a line of their own, with their id, once
	// their row is written: none, those that failed, or all.
	Requests string `yaml:"requests" enum:"none,failed,all"`
}

// Provider is one provider as the operator configures it. An empty member
// means what the provider's catalogue row says.
type Provider struct {
	// BaseURL is where the API is, written as the vendor's own SDK writes it:
	// OpenAI's ends in /v1, the others' do not.
	BaseURL string `yaml:"base_url" format:"url"`
	// APIKey is the provider's key: best as ${NAME} or ${file:/path}. A key of
	// Headrace's own (hr-...) is refused.
	APIKey llm.Secret `yaml:"api_key"`
	// APIKeys are several keys in place of api_key. Requests are spread over
	// them, a conversation staying with one as far as that has room; each is set
	// aside on its own when the provider refuses it, its quota is spent or its
	// rate limit is reached. In the environment they are NAME, NAME_2, NAME_3 ...
	APIKeys []ProviderKey `yaml:"api_keys"`
	// Limits are those of each key at the provider, over all models together.
	// What is 0 is learned from the provider's answers, for each model, where
	// they tell it.
	Limits ProviderLimits `yaml:"limits"`
	// Dialect is the wire format that the provider speaks. A provider that is
	// not in the catalogue must say it; beside base_url it is the only one
	// (openai: a server without /responses).
	Dialect string `yaml:"dialect" enum:"openai,anthropic,responses,gemini,ollama"`
	// Auth is how the key is sent: Authorization: Bearer, the x-api-key, api-key
	// or x-goog-api-key header, or not at all.
	Auth string `yaml:"auth" enum:"bearer,x-api-key,api-key,x-goog-api-key,none"`
	// Headers are sent with every request to this provider. Their values are
	// treated as secrets.
	Headers map[string]llm.Secret `yaml:"headers" keys:"header"`
	// Models are the ids that this provider offers, for providers that are not
	// in the catalogue and have no model list. Empty means what the catalogue
	// and the provider say.
	Models []string `yaml:"models"`
	// Disabled leaves the provider out, also when its key is found.
	Disabled bool `yaml:"disabled"`
	// Connect replaces timeouts.connect for this provider.
	Connect *Duration `yaml:"connect"`
	// Drain is how many streamed or whole answers of this provider are read to
	// their end at once after their clients have left, for timeouts.drain each:
	// for a provider that bills them whole anyway. Their usage is marked drained.
	// 0 closes the connection at once.
	Drain int `yaml:"drain" min:"0" max:"10000"`
	// Timeouts replace those of all providers for this one.
	Timeouts *OwnTimeouts `yaml:"timeouts"`
}

// OwnTimeouts replace the timeouts of all requests for one provider or one
// route. A member that is left out keeps the value that all have; 0 switches it
// off.
type OwnTimeouts struct {
	// FirstByte replaces timeouts.first_byte.
	FirstByte *Duration `yaml:"first_byte"`
	// FirstContent replaces timeouts.first_content.
	FirstContent *Duration `yaml:"first_content"`
	// Idle replaces timeouts.idle.
	Idle *Duration `yaml:"idle"`
	// Floor replaces timeouts.floor.
	Floor *int `yaml:"floor" min:"0" max:"100000"`
	// WarmUp replaces timeouts.warm_up.
	WarmUp *Duration `yaml:"warm_up"`
	// Total replaces timeouts.total.
	Total *Duration `yaml:"total"`
}

// ProviderKey is one of several keys of a provider.
type ProviderKey struct {
	// Key is the provider's key, written as api_key is.
	Key llm.Secret `yaml:"key"`
	// Name says which key it is, in logs and in the ledger. Empty means its place
	// in the list, from 1.
	Name string `yaml:"name"`
	// Limits are those of this key, in place of the provider's.
	Limits *ProviderLimits `yaml:"limits"`
}

// ProviderLimits are what a provider grants one key. 0 is what its answers say,
// or no limit.
type ProviderLimits struct {
	// RequestsPerMinute is how many requests may be sent in a minute.
	RequestsPerMinute int64 `yaml:"requests_per_minute" min:"0"`
	// RequestsPerDay is how many requests may be sent in 24 hours.
	RequestsPerDay int64 `yaml:"requests_per_day" min:"0"`
	// TokensPerMinute is how many tokens, prompt and answer together, may be used
	// in a minute.
	TokensPerMinute int64 `yaml:"tokens_per_minute" min:"0"`
	// TokensPerDay is the same in 24 hours.
	TokensPerDay int64 `yaml:"tokens_per_day" min:"0"`
	// InputTokensPerMinute is how many prompt tokens may be sent in a minute.
	InputTokensPerMinute int64 `yaml:"input_tokens_per_minute" min:"0"`
	// OutputTokensPerMinute is how many tokens may be generated in a minute.
	OutputTokensPerMinute int64 `yaml:"output_tokens_per_minute" min:"0"`
	// Parallel is how many requests may run at once.
	Parallel int `yaml:"parallel" min:"0"`
}

// Model overrides or adds one model at one provider. A member that is left
// out keeps the catalogue's value.
type Model struct {
	// Name is what people call the model.
	Name string `yaml:"name"`
	// Price is what the model costs, in place of everything that the catalogue
	// says of its price. A bucket that is left out makes requests that use it
	// unpriced; it is never taken as free.
	Price *Price `yaml:"price"`
	// Window is the context window in tokens.
	Window *int64 `yaml:"window" min:"1"`
	// MaxOutput is the largest answer in tokens.
	MaxOutput *int64 `yaml:"max_output" min:"1"`
	// Capabilities switch single capabilities on (true) or off (false), such
	// as {tools: true, vision: false}.
	Capabilities map[string]bool `yaml:"capabilities" keys:"capability"`
	// Efforts are the reasoning effort values that the model takes, in rising
	// order.
	Efforts []string `yaml:"efforts" enum:"none,minimal,low,medium,high,xhigh,max"`
}

// Price is what a model costs, in US dollars per million tokens. A member
// that is left out is unknown; 0 is free.
type Price struct {
	// Input is the price of fresh prompt tokens.
	Input *USD `yaml:"input"`
	// Output is the price of generated tokens, thinking included.
	Output *USD `yaml:"output"`
	// CacheRead is the price of prompt tokens read from the provider's cache.
	CacheRead *USD `yaml:"cache_read"`
	// CacheWrite5m is the price of prompt tokens written to a 5-minute cache.
	CacheWrite5m *USD `yaml:"cache_write_5m"`
	// CacheWrite1h is the price of prompt tokens written to a 1-hour cache.
	CacheWrite1h *USD `yaml:"cache_write_1h"`
}

// Limits bound what one request and one key may use.
type Limits struct {
	// Body is the largest request body, measured after decompression.
	Body ByteSize `yaml:"body" min:"1KB"`
	// Answer is the largest whole (not streamed) answer that is taken from a
	// provider.
	Answer ByteSize `yaml:"answer" min:"1KB"`
	// Event is the largest single event of a stream that is taken from a
	// provider.
	Event ByteSize `yaml:"event" min:"1KB"`
	// Key are the limits of a key that has none of its own.
	Key KeyLimits `yaml:"key"`
	// Learn takes the providers' own limits from their answers and keeps to them:
	// a request waits for its turn or goes elsewhere rather than be refused there.
	// Keys that a provider refuses are set aside, too. false leaves both to the
	// provider, unless it has several keys or limits in this file.
	Learn bool `yaml:"learn"`
	// Models are what each key may use of single models, beside its other
	// limits: by provider/model, or by a name that clients ask for (a model, a
	// route).
	Models map[string]KeyLimits `yaml:"models"`
}

// KeyLimits bound one virtual key or one team. 0 is no limit.
type KeyLimits struct {
	// RequestsPerMinute is how many requests may be made in a minute.
	RequestsPerMinute int64 `yaml:"requests_per_minute" min:"0"`
	// TokensPerMinute is how many tokens, prompt and answer together, may be used
	// in a minute.
	TokensPerMinute int64 `yaml:"tokens_per_minute" min:"0"`
	// Parallel is how many requests may run at once.
	Parallel int `yaml:"parallel" min:"0"`
}

// Overload says what happens when more is asked for than can be served: some
// requests wait for their turn, and what finds no place is told so at once.
type Overload struct {
	// Requests is how many requests may run at once. While their work waits for
	// a processor fewer may, down to least. 0 is no limit.
	Requests int `yaml:"requests" min:"0"`
	// Least is how many may run whatever happens.
	Least int `yaml:"least" min:"1"`
	// Queue is how many more may wait for their turn. Those with the header
	// x-headrace-priority interactive come before standard (the default), and
	// those before batch; beside one another teams have shares by weight.
	Queue int `yaml:"queue" min:"0"`
	// Wait is how long one may wait.
	Wait Duration `yaml:"wait"`
	// Bytes bounds the bodies of all requests that run. 0 is no limit.
	Bytes ByteSize `yaml:"bytes"`
	// Teams have a priority or a weight of their own, by the team of their keys.
	Teams map[string]Team `yaml:"teams"`
}

// Team says how the requests of a team wait beside those of others.
type Team struct {
	// Priority is what its requests have; their header may say less, not more.
	// Empty lets the header say. That of a key (`headrace keys create --priority`)
	// counts before it.
	Priority string `yaml:"priority" enum:"interactive,standard,batch"`
	// Weight is its share of the turns beside other teams; 0 means 1.
	Weight int `yaml:"weight" min:"0" max:"1000"`
}

// Budgets say how much may be spent.
type Budgets struct {
	// Teams are budgets by the name of a team. What stands here cannot be
	// changed by the admin API.
	Teams map[string]TeamBudget `yaml:"teams"`
	// Wait is how long a request waits at most for money that running requests
	// hold.
	Wait Duration `yaml:"wait" min:"1ms"`
	// StoreDown says what becomes of requests under a budget while the database
	// cannot be written: lease lets them go on with the money that is in memory
	// already, refuse turns them away. Neither spends more than the budget.
	StoreDown string `yaml:"store_down" enum:"lease,refuse"`
}

// TeamBudget is what a team may spend, in US dollars, by the UTC calendar: a
// day begins at 00:00, a week on Monday, a month on the first. A member that is
// left out sets no bound; 0 lets nothing through.
type TeamBudget struct {
	// Daily is the budget of a day.
	Daily *Money `yaml:"daily"`
	// Weekly is the budget of a week.
	Weekly *Money `yaml:"weekly"`
	// Monthly is the budget of a month.
	Monthly *Money `yaml:"monthly"`
	// Total is a budget that never begins anew.
	Total *Money `yaml:"total"`
	// Alerts are the percentages of a budget that are logged when they are
	// reached, rising; empty means 80 and 100.
	Alerts []int `yaml:"alerts"`
}

// Retention bounds how much of the ledger is kept. The oldest requests go
// first; the sums of past hours stay, and so does what budgets have spent.
type Retention struct {
	// Age is how long the row of a request is kept. 0 is for ever.
	Age Duration `yaml:"age"`
	// Rows is the largest number of requests that are kept. 0 is no bound.
	Rows int64 `yaml:"rows" min:"0"`
	// Bytes is the size of the database above which the oldest requests are
	// dropped. 0 is no bound.
	Bytes ByteSize `yaml:"bytes"`
}

// TeamLimits is what the keys of one team have in common.
type TeamLimits struct {
	// Limits are what all keys of the team may use together.
	Limits KeyLimits `yaml:"limits"`
}

// Timeouts bound how long one attempt at a provider may take. 0 switches a
// timeout off.
type Timeouts struct {
	// Connect bounds name lookup, dial and TLS handshake together.
	Connect Duration `yaml:"connect"`
	// FirstByte bounds the wait for the first byte of the answer. Models that
	// think without showing it are silent for minutes.
	FirstByte Duration `yaml:"first_byte"`
	// FirstContent bounds the wait for the first content of a streamed answer.
	// Beyond hold it ends the stream with an error; below, the next target is
	// tried.
	FirstContent Duration `yaml:"first_content"`
	// Idle bounds the silence between two reads of an answer.
	Idle Duration `yaml:"idle"`
	// Floor is how many tokens a second a streamed answer must bring within
	// warm_up of its first text; a slower one is given up for the next target, if
	// there is one. Until it has brought floor x warm_up tokens a stream is held
	// back for that. Tokens are taken as four bytes of text.
	Floor int `yaml:"floor" min:"0" max:"100000"`
	// WarmUp is how long a stream has to reach the floor.
	WarmUp Duration `yaml:"warm_up"`
	// Total bounds the whole attempt.
	Total Duration `yaml:"total"`
	// Hold is how long the opening frames of a stream are held back while no
	// content has come. Until it ends another target can still be tried; then
	// the frames and keep-alives go out.
	Hold Duration `yaml:"hold"`
	// Drain bounds how long an answer is read on whose client has left, where
	// providers.*.drain says so.
	Drain Duration `yaml:"drain"`
	// Read bounds how long a client may take to send its request.
	Read Duration `yaml:"read"`
	// Routes replace the bounds of an attempt for requests that name one of your
	// routes. What a route says wins over what a provider says.
	Routes map[string]OwnTimeouts `yaml:"routes"`
}

// Retries say what happens when an attempt fails before its first word.
type Retries struct {
	// Attempts is the largest number of targets that one request may try. 0
	// means 3 or the number of targets, whichever is more.
	Attempts int `yaml:"attempts" min:"0" max:"100"`
	// Failures is how many failures in a row set a target aside; half of at
	// least 20 attempts within 30 s do too. That a target is overloaded counts only
	// when it has answered nothing for as long as probe. 0 sets no target aside.
	Failures int `yaml:"failures" min:"0" max:"1000"`
	// Probe is how long a target is set aside before one request tries it again.
	Probe Duration `yaml:"probe" min:"100ms"`
	// Hedge are the routes whose streamed requests may be sent to a second target
	// while the first gives no byte: only where the first byte of that target
	// takes four times as long at p99 as at p50, after its p95, for two requests in
	// a hundred at most. Both attempts are paid for.
	Hedge []string `yaml:"hedge"`
	// Classes replace single rows of the table that `headrace explain errors`
	// prints, by error class.
	Classes map[string]ClassPolicy `yaml:"classes" keys:"class"`
	// Routes replace these for requests that name one of your routes
	// (`headrace explain errors --route NAME`).
	Routes map[string]RouteRetries `yaml:"routes"`
}

// RouteRetries replace what is done about failures for one route. What is left
// out stays as it is for all requests.
type RouteRetries struct {
	// Attempts replaces retries.attempts.
	Attempts *int `yaml:"attempts" min:"0" max:"100"`
	// Classes replace single members of the table, over what retries.classes says.
	Classes map[string]ClassPolicy `yaml:"classes" keys:"class"`
}

// ClassPolicy replaces members of one row of the error table; a member that
// is left out keeps its built-in value.
type ClassPolicy struct {
	// Repeat is how often the same target is asked again.
	Repeat *int `yaml:"repeat" min:"0" max:"10"`
	// Next says whether the next target is tried.
	Next *bool `yaml:"next"`
	// Backoff is the first pause before a repeat; it doubles, with jitter.
	Backoff *Duration `yaml:"backoff"`
	// MaxWait is the longest retry-after that is waited for when there is no
	// other target; a longer one is told to the client instead.
	MaxWait *Duration `yaml:"max_wait"`
}

// Recall says how long what must come back is kept.
type Recall struct {
	// State is how long the thoughts and signatures of a turn with tool calls
	// are kept after their last use, for clients that have no place for them
	// while the model cannot go on without. 0 keeps none.
	State Duration `yaml:"state"`
	// StateMemory is the most memory for them. What was used longest ago goes
	// first.
	StateMemory ByteSize `yaml:"state_memory" min:"1MB"`
	// StateTurns is the largest number of turns that are kept.
	StateTurns int `yaml:"state_turns" min:"1"`
	// Responses is how long a response is kept that its client asked to be
	// stored. 0 stores none.
	Responses Duration `yaml:"responses"`
	// ResponsesMemory is the memory from which the last ones are served without
	// the database.
	ResponsesMemory ByteSize `yaml:"responses_memory" min:"1MB"`
	// Conversation is the largest conversation that previous_response_id brings
	// back.
	Conversation ByteSize `yaml:"conversation" min:"1KB"`
}

// Batch says how what need not be answered at once is answered by its
// deadline.
type Batch struct {
	// Enabled says whether jobs are taken and worked on.
	Enabled bool `yaml:"enabled"`
	// Window is how long a request waits for others to share a batch with. A batch
	// of a client's is complete and waits until nothing more has come for 2 s.
	Window Duration `yaml:"window"`
	// Rate is how many requests a minute the providers can be sent in real time
	// beside all other traffic, at most: how long the calls of the last hour took,
	// and waited for room, lowers it. The moment to leave a batch follows from it,
	// and which deadline is refused.
	Rate int `yaml:"rate" min:"1"`
	// Margin is how many times the time that real time should need is kept free
	// before a deadline.
	Margin float64 `yaml:"margin" min:"1"`
	// Latency is the longest time that one request should take with its repeats.
	Latency Duration `yaml:"latency"`
	// Cancel is the longest time that a provider should take to end a batch.
	Cancel Duration `yaml:"cancel"`
	// Parallel is how many requests of jobs may run at once in real time.
	Parallel int `yaml:"parallel" min:"1"`
	// Call is how long one of them may take.
	Call Duration `yaml:"call"`
	// Keep is how long a job and its answers are kept after its end.
	Keep Duration `yaml:"keep"`
}

// Webhooks says whom jobs may tell of their end.
type Webhooks struct {
	// Allow are hosts, addresses and networks (10.1.2.0/24) that webhooks may be
	// at beside public addresses: nothing inside your own network is asked
	// otherwise. A host that stands here may be http, too.
	Allow []string `yaml:"allow"`
}

// Bodies says whose prompts and answers are stored.
type Bodies struct {
	// Keys are keys by their ids or names.
	Keys []string `yaml:"keys"`
	// Teams are teams all of whose keys count.
	Teams []string `yaml:"teams"`
	// Redact is what is taken out before anything is stored; empty takes out
	// nothing.
	Redact []string `yaml:"redact" enum:"pii,secret"`
	// Bytes is how much is stored of a request and of an answer, each.
	Bytes ByteSize `yaml:"bytes" min:"1KB" max:"1MB"`
	// Keep is how long it is stored.
	Keep Duration `yaml:"keep" min:"1m"`
}

// Alert is an address that is told, by signed messages (Standard Webhooks).
type Alert struct {
	// URL is the address.
	URL string `yaml:"url" format:"url"`
	// Secret is what the messages are signed with: whsec_ and base64, or any
	// text of 24 characters or more. Best as ${NAME} or ${file:/path}.
	Secret llm.Secret `yaml:"secret"`
	// Events are what is told; empty means all: budget (a threshold is reached),
	// breaker (a target is set aside, or answers again), credential (a provider
	// refuses one, or it has nothing left), unpriced (a model without a price was
	// used), drift (a provider reports another price than the list price).
	Events []string `yaml:"events" enum:"budget,breaker,credential,unpriced,drift"`
}

// Telemetry tells an OpenTelemetry collector of requests and their attempts:
// spans with models, tokens, costs and errors, never what is said. A caller's
// traceparent is gone on from, and providers are told theirs.
type Telemetry struct {
	// Endpoint is the collector's base URL for OTLP over HTTP, such as
	// http://127.0.0.1:4318; /v1/traces is added. Empty tells nobody.
	Endpoint string `yaml:"endpoint" format:"url"`
	// Headers are sent to the collector. Their values are treated as secrets.
	Headers map[string]llm.Secret `yaml:"headers" keys:"header"`
	// Sample is the share of the traces beginning here that are told. One that a
	// caller began is told if the caller says so.
	Sample float64 `yaml:"sample" min:"0" max:"1"`
	// Service is what this program is called there.
	Service string `yaml:"service"`
}

// Admin says how people come to the admin API and the dashboard.
type Admin struct {
	// URL is where browsers reach this gateway, such as https://ai.example.com: its
	// host is let in beside those of this machine. A single sign-on comes back to
	// it, at /admin/v1/session/oidc/callback.
	URL string `yaml:"url" format:"url"`
	// OIDC is a single sign-on by OpenID Connect. Left out, people sign in with
	// their tokens.
	OIDC *OIDC `yaml:"oidc"`
}

// OIDC is a single sign-on by OpenID Connect.
type OIDC struct {
	// Name is what people call it; empty means single sign-on.
	Name string `yaml:"name"`
	// Issuer is its URL, with https but on this host; the rest is found there.
	Issuer string `yaml:"issuer" format:"url"`
	// ClientID is what it calls this gateway.
	ClientID string `yaml:"client_id"`
	// ClientSecret is what this gateway proves that with: best as ${NAME} or
	// ${file:/path}. Empty for a public client.
	ClientSecret llm.Secret `yaml:"client_secret"`
	// Scopes are asked for beside openid; empty means profile and email.
	Scopes []string `yaml:"scopes"`
	// Groups is the claim that lists a person's groups; empty means groups.
	Groups string `yaml:"groups"`
	// Roles say which role each group gives: owner, admin, viewer or billing. Of
	// several the one that may do most counts.
	Roles map[string]string `yaml:"roles" enum:"owner,admin,viewer,billing"`
	// Default is the role of who is in none of these groups. Empty lets them not
	// in.
	Default string `yaml:"default" enum:"owner,admin,viewer,billing"`
}

// Shutdown says how the process ends.
type Shutdown struct {
	// Listen is how long new requests are still taken after SIGTERM, while
	// /readyz says that they should go elsewhere.
	Listen Duration `yaml:"listen"`
	// Drain is how long running requests may go on after that. What still runs
	// then ends with an error in its client's dialect. A second signal ends the
	// wait.
	Drain Duration `yaml:"drain"`
}

// Default returns the configuration of an empty file. Data is left empty: the
// user's data directory depends on the environment (see Env.DataDir).
func Default() *Config {
	return &Config{
		Listen:   "127.0.0.1:8080",
		Log:      Log{Level: "info", Format: "text", Requests: "none"},
		Discover: true,
		Limits: Limits{
			Body:   32 * MB,
			Answer: 64 * MB,
			Event:  16 * MB,
			Learn:  true,
		},
		Overload:  Overload{Requests: 10_000, Least: 64, Queue: 1000, Wait: Duration(10 * time.Second), Bytes: 512 * MB},
		Budgets:   Budgets{Wait: Duration(2 * time.Second), StoreDown: "lease"},
		Retention: Retention{Age: Duration(90 * 24 * time.Hour), Rows: 5_000_000, Bytes: 2 * GB},
		Timeouts: Timeouts{
			Connect: Duration(10 * time.Second),
			// The slowest models may think for more than ten minutes before the
			// first byte: xAI tells its users to allow 900 s (2026-11).
			FirstByte: Duration(15 * time.Minute),
			Idle:      Duration(5 * time.Minute),
			WarmUp:    Duration(5 * time.Second),
			Total:     Duration(60 * time.Minute),
			Hold:      Duration(15 * time.Second),
			Drain:     Duration(2 * time.Minute),
			Read:      Duration(60 * time.Second),
		},
		Retries: Retries{Failures: 5, Probe: Duration(5 * time.Second)},
		Recall: Recall{
			State: Duration(6 * time.Hour), StateMemory: 64 * MB, StateTurns: 100_000,
			Responses: Duration(30 * 24 * time.Hour), ResponsesMemory: 32 * MB, Conversation: 32 * MB,
		},
		Batch: Batch{
			Enabled: true, Window: Duration(time.Minute), Rate: 600, Margin: 3, Latency: Duration(30 * time.Second), Cancel: Duration(time.Minute),
			Parallel: 16, Call: Duration(5 * time.Minute), Keep: Duration(29 * 24 * time.Hour),
		},
		Bodies:    Bodies{Redact: []string{"pii", "secret"}, Bytes: 64 * KB, Keep: Duration(7 * 24 * time.Hour)},
		Telemetry: Telemetry{Sample: 1, Service: "headrace"},
		Shutdown:  Shutdown{Listen: Duration(5 * time.Second), Drain: Duration(10 * time.Minute)},
	}
}
