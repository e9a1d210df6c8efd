package llm

import "github.com/go-json-experiment/json/jsontext"

// Request is a chat request in the gateway's own words. It is made from one
// dialect and read by the encoder of another; once made it is read-only, and
// whoever changes it works on a copy of what it changes.
type Request struct {
	// From is the dialect it was written in.
	From Dialect
	// Raw is the body as received, empty when there was none: From's own
	// encoder finds there how things were spelled and in which order. The
	// words win where they differ from it.
	Raw jsontext.Value
	// Model is the model name as the client wrote it.
	Model string
	// Items is the conversation in order, instructions included.
	Items []Item
	Tools []Tool
	// Choice is the tool choice; its zero value means that none was given.
	Choice ToolChoice
	// ParallelCalls is nil when unsaid.
	ParallelCalls *bool
	// MaxTokens caps the output, thinking included; nil when unsaid.
	MaxTokens *int64
	Sampling  Sampling
	// Stop are the stop sequences.
	Stop []string
	// Stream asks for a streamed answer.
	Stream bool
	// IncludeUsage is OpenAI's stream_options.include_usage.
	IncludeUsage bool
	Reasoning    Reasoning
	Format       Format
	// N is the number of answers wanted; 0 means unsaid, which is one.
	N int
	// EndUser is the opaque id of the client's own user, empty when unsaid.
	EndUser string
	// ServiceTier is the native value, empty when unsaid.
	ServiceTier string
	// Ext holds the members that no word of ours holds, in source order.
	Ext []Member
}

// Sampling holds the sampling values as the client spelled them (a JSON
// number each); an empty one is unsaid.
type Sampling struct {
	Temperature, TopP, TopK, FrequencyPenalty, PresencePenalty, Seed jsontext.Value
}

// Tool is a tool that the model may call.
type Tool struct {
	// Name is what the model calls it by.
	Name        string
	Description string
	// Schema is the JSON Schema of the arguments as received; empty means
	// that the client gave none.
	Schema jsontext.Value
	// Strict is nil when unsaid.
	Strict *bool
	// Type is the native type of a tool that is not a plain function, such as
	// "web_search_20250305" or "custom"; empty for a function.
	Type string
	// Tools are those of a ToolNamespace, under their full names (Within).
	Tools []Tool
	// Cache is the cache mark, raw as received; empty means none.
	Cache jsontext.Value
	From  Dialect
	Raw   jsontext.Value
	Ext   []Member
}

// ToolMode is how the model may use its tools.
type ToolMode string

// The tool modes; the zero value means unsaid, which every vendor reads as
// ToolAuto when there are tools.
const (
	ToolAuto ToolMode = "auto"
	ToolNone ToolMode = "none"
	// ToolAny forces some call.
	ToolAny ToolMode = "any"
	// ToolOnly forces a call of ToolChoice.Name.
	ToolOnly ToolMode = "only"
	// ToolSubset allows only ToolChoice.Names, forced when Forced is set.
	ToolSubset ToolMode = "subset"
)

// ToolChoice says which tools the model may or must call.
type ToolChoice struct {
	Mode   ToolMode
	Name   string
	Names  []string
	Forced bool
}

// ThinkMode says whether the model is to think before it answers.
type ThinkMode string

// The thinking modes; the zero value means unsaid: the model's own default.
const (
	// ThinkOff asks for no thinking.
	ThinkOff ThinkMode = "off"
	// ThinkOn asks for thinking with Reasoning.Budget tokens.
	ThinkOn ThinkMode = "on"
	// ThinkAdaptive lets the model decide, steered by Reasoning.Effort.
	ThinkAdaptive ThinkMode = "adaptive"
	// ThinkBetweenTools thinks only between tool calls (Claude Sonnet 5.5).
	ThinkBetweenTools ThinkMode = "between_tools"
)

// Reasoning says how the model is to think.
type Reasoning struct {
	Mode ThinkMode
	// Effort is none, minimal, low, medium, high, xhigh or max; empty unsaid.
	Effort string
	// Budget is a number of thinking tokens; 0 when unsaid.
	Budget int64
	// Display is summarized or omitted; empty when unsaid.
	Display string
}

// FormatKind is the shape that the answer must have.
type FormatKind string

// The answer formats; the zero value means unsaid, which is plain text.
const (
	FormatText       FormatKind = "text"
	FormatJSONObject FormatKind = "json_object"
	FormatJSONSchema FormatKind = "json_schema"
)

// Format is a structured-output request.
type Format struct {
	Kind        FormatKind
	Name        string
	Description string
	// Schema is the JSON Schema as received.
	Schema jsontext.Value
	Strict *bool
}

// EffortOf turns a budget of thinking tokens into an effort. There is no agreed
// table (five gateways have five); these thresholds lie between them.
func EffortOf(budget int64) string {
	switch {
	case budget <= 2048:
		return "low"
	case budget <= 8192:
		return "medium"
	case budget <= 24576:
		return "high"
	}
	return "xhigh"
}
