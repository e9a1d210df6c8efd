package catalog

import (
	"slices"
	"strings"

	"headrace/internal/llm"
)

// Auth is how a provider wants its key.
type Auth string

// The kinds of auth.
const (
	// Bearer sends Authorization: Bearer KEY.
	Bearer Auth = "bearer"
	// XAPIKey sends x-api-key: KEY.
	XAPIKey Auth = "x-api-key"
	// APIKey sends api-key: KEY (Azure).
	APIKey Auth = "api-key"
	// GoogleKey sends x-goog-api-key: KEY (Gemini).
	GoogleKey Auth = "x-goog-api-key"
	// NoAuth sends no key; a configured key is sent as Bearer.
	NoAuth Auth = "none"
)

// Kind says what stands behind a provider.
type Kind string

// The kinds of provider, in the order in which a bare model id prefers them.
const (
	// Vendor serves the models that it makes.
	Vendor Kind = "vendor"
	// Cloud serves vendors' models by contract with them.
	Cloud Kind = "cloud"
	// Host runs open models.
	Host Kind = "host"
	// Router passes requests on to other providers.
	Router Kind = "router"
	// LocalServer is a server that the operator runs.
	LocalServer Kind = "local"
	// Builtin is inside this program.
	Builtin Kind = "builtin"
)

// Provider is one row of data/providers.rows: all that is needed to call a
// provider but its key.
type Provider struct {
	// ID is the name in configuration and in "provider/model"; Name is for
	// people.
	ID, Name string
	// Aliases are other ids for the same row.
	Aliases []string
	Kind    Kind
	// Makes are the beginnings of the ids (see Offers) of models that a vendor
	// made itself; empty means all that it serves.
	Makes []string
	// Env are the environment variables that may hold the key, best first.
	Env []string
	// Explicit says that the environment alone does not switch the provider on
	// (its variable belongs to another row): it must stand in the configuration.
	Explicit bool
	Dialect  llm.Dialect
	// Also are further dialects that it speaks at the same base URL with the same
	// auth, such as OpenAI's Responses beside Chat Completions; nil mostly.
	Also []llm.Dialect
	// BaseURL is written as the vendor's SDK writes it, without a slash at the
	// end: OpenAI's ends in /v1, Anthropic's does not. Empty means that only the
	// operator knows it (or, for Builtin, that there is none).
	BaseURL string
	Auth    Auth
	// Headers are sent with every request; nil mostly.
	Headers map[string]string
	// Usage says how a streamed answer's usage is had: "ask" sets
	// stream_options.include_usage, "always" means that it comes unasked,
	// "never" that it does not come.
	Usage string
	// MaxTokensField, ReasoningField, ReasoningRequired, ToolIDLength, Closed
	// and CacheMarks are as in llm.Capability.
	MaxTokensField    string
	ReasoningField    string
	ReasoningRequired bool
	ToolIDLength      int
	Closed            bool
	CacheMarks        bool
	// Manners are the smaller differences of its wire.
	llm.Manners
	// DeveloperRole says that the developer role is known.
	DeveloperRole bool
	// Has are features of the wire that every model behind it has; Lacks those
	// that none has, whatever the model's row says.
	Has, Lacks llm.Feature
	// ModelsPath is appended to BaseURL for the provider's own model list;
	// empty means that it has none.
	ModelsPath string
	// Local says that the server is on the operator's machine or network.
	Local bool
	// Batch is the factor of batch prices in thousandths where a price does not
	// say its own; 0 means that there is no known batch price.
	Batch int64
	// Tiers are the factors of its service tiers; nil means that its prices do
	// not hang on any, as far as is known.
	Tiers []Tier
	// ErrorForm names the shape of error bodies: "openai", "anthropic",
	// "flat", "string", "array" or "detail".
	ErrorForm string
	// Rates names the table of what its rate-limit headers mean (internal/limit);
	// empty means that it has none, or that their meaning is not known.
	Rates string
	// CacheFree says that prompt tokens read from its cache do not count towards
	// its limits.
	CacheFree bool
	// Quirk names a small difference in code, empty mostly.
	Quirk string
	// Doc is the address of the vendor's documentation; Source says where the
	// row comes from, with a date; Note is for people.
	Doc, Source, Note string
}

// BaseURLEnv is the environment variable that moves the provider's base URL,
// such as HEADRACE_KIMI_CODING_BASE_URL.
func (p *Provider) BaseURLEnv() string {
	return "HEADRACE_" + strings.ToUpper(strings.ReplaceAll(p.ID, "-", "_")) + "_BASE_URL"
}

// Found returns the first of the provider's environment variables that holds a
// value, given a function like os.Getenv. A provider that must be configured
// explicitly is never found.
func (p *Provider) Found(getenv func(string) string) (name string, value llm.Secret, ok bool) {
	if p.Explicit {
		return "", "", false
	}
	for _, n := range p.Env {
		if v := strings.TrimSpace(getenv(n)); v != "" {
			return n, llm.Secret(v), true
		}
	}
	return "", "", false
}

// onlyWithTools are the features that mean nothing without Tools.
const onlyWithTools = llm.ForcedTool | llm.ParallelTools | llm.ImageInResult | llm.StrictTools

// dialectHas is what a provider of the dialect has unless its row says
// otherwise. Chat Completions as hosts implement it; the developer role and
// strict tools are OpenAI's own until a row adds them.
var dialectHas = map[llm.Dialect]llm.Feature{
	llm.OpenAI: llm.ForcedTool | llm.ParallelTools | llm.JSONObject | llm.MidSystem | llm.Prefill |
		llm.StopSequences | llm.Logprobs | llm.Seed | llm.ToolEffortFree,
	llm.Anthropic: llm.ForcedTool | llm.ParallelTools | llm.StopSequences | llm.ImageInResult | llm.ToolEffortFree,
	llm.Responses: llm.ForcedTool | llm.ParallelTools | llm.JSONObject | llm.MidSystem | llm.DeveloperRole |
		llm.ImageInResult | llm.StrictTools | llm.ToolEffortFree,
	llm.Gemini: llm.ForcedTool | llm.ParallelTools | llm.JSONObject | llm.StopSequences | llm.Logprobs | llm.Seed |
		llm.ToolEffortFree,
	llm.Ollama: llm.ParallelTools | llm.JSONObject | llm.JSONSchema | llm.MidSystem | llm.Prefill | llm.StopSequences |
		llm.Logprobs | llm.Seed | llm.ToolEffortFree,
}

// capability merges the provider's manners with a model's row, or with none.
func (p *Provider) capability(m *Model) llm.Capability {
	c := llm.Capability{
		MaxTokensField:    p.MaxTokensField,
		ReasoningField:    p.ReasoningField,
		ReasoningRequired: p.ReasoningRequired,
		ToolIDLength:      p.ToolIDLength,
		Closed:            p.Closed,
		CacheMarks:        p.CacheMarks,
		Manners:           p.Manners,
		Has:               llm.AllFeatures &^ p.Lacks,
	}
	if !p.DeveloperRole {
		c.Has &^= llm.DeveloperRole
	}
	if m == nil {
		return c
	}
	c.Window, c.MaxOutput = m.Window, m.MaxOutput
	c.Wire = m.Wire
	c.Efforts, c.ResponsesEfforts, c.DefaultEffort = m.Efforts, m.ResponsesEfforts, m.DefaultEffort
	c.ThinkTypes, c.ThinksByDefault = m.ThinkTypes, m.ThinksByDefault
	if !m.Known {
		return c
	}
	c.Known = true
	c.Has &= (p.Has | m.Has) &^ m.Lacks
	if c.Has&llm.Tools == 0 {
		c.Has &^= onlyWithTools
	}
	return c
}

// rank orders offers: lower is better known.
func (p *Provider) rank(m *Model) int {
	switch p.Kind {
	case Vendor:
		if p.made(m) {
			return 0
		}
		return 2
	case Cloud:
		return 1
	case Host:
		return 2
	case Router:
		return 3
	case LocalServer:
		return 4
	}
	return 5
}

func (p *Provider) made(m *Model) bool {
	if len(p.Makes) == 0 {
		return true
	}
	id := plain(m.ID)
	return slices.ContainsFunc(p.Makes, func(s string) bool { return strings.HasPrefix(id, s) })
}
