package llm

import "slices"

// Feature is something that a target can do.
type Feature uint32

// The features.
const (
	Tools Feature = 1 << iota
	// ForcedTool: tool_choice may force a call.
	ForcedTool
	ParallelTools
	Vision
	PDF
	AudioInput
	// Thinking: the model can think before it answers.
	Thinking
	// SamplingParams: temperature, top_p and their kin are taken.
	SamplingParams
	JSONObject
	JSONSchema
	// MidSystem: a system message may stand inside the conversation.
	MidSystem
	// DeveloperRole: the developer role is known.
	DeveloperRole
	// Prefill: the conversation may end with the assistant.
	Prefill
	// StopSequences: stop sequences are taken.
	StopSequences
	Logprobs
	Seed
	// ImageInResult: tool results may hold images.
	ImageInResult
	StrictTools
	// ToolEffortFree: function tools and reasoning go together on this wire;
	// without it tools need effort "none" (GPT-5.4+ on Chat Completions).
	ToolEffortFree
	featureEnd
)

// AllFeatures has every feature set: what an unknown model is taken to have.
const AllFeatures = featureEnd - 1

// Capability is what one model at one provider accepts: the row that an
// encoder writes for. The zero value is an unknown model, which is taken to
// accept everything; the provider itself will say what it does not.
type Capability struct {
	// Known is set when Has was read from the catalogue.
	Known bool
	Has   Feature
	// Window and MaxOutput are in tokens; 0 means unknown.
	Window, MaxOutput int64
	// Efforts are the accepted effort values in rising order; empty means that
	// effort is refused, unless the model is unknown.
	Efforts []string
	// ResponsesEfforts are those that it takes besides, higher ones, but over the
	// Responses wire of its provider only.
	ResponsesEfforts []string
	// DefaultEffort is what the model does when effort is unsaid.
	DefaultEffort string
	// ThinkTypes are the accepted Anthropic thinking types (adaptive, enabled,
	// disabled, between_tools); empty on other wires and on unknown models.
	ThinkTypes []string
	// ThinksByDefault says what the model does when thinking is unsaid.
	ThinksByDefault bool
	// MaxTokensField is how Chat Completions names the output cap here:
	// "max_tokens" or "max_completion_tokens"; empty means the latter.
	MaxTokensField string
	// ReasoningField is the name under which this wire shows and takes
	// thinking in chat messages: "reasoning_content", "reasoning",
	// "reasoning_details"; empty means that it takes none.
	ReasoningField string
	// ReasoningRequired: assistant turns with tool calls must bring their
	// thinking back (DeepSeek V4, Moonshot), "" when there is none.
	ReasoningRequired bool
	// ToolIDLength is the exact length of tool-call ids (Mistral: 9); 0 free.
	ToolIDLength int
	// Closed: unknown members are refused by this wire (Mistral, Groq).
	Closed bool
	// CacheMarks: the wire takes Anthropic-like cache_control marks.
	CacheMarks bool
	// Wire is the one dialect in which the model answers, where its provider
	// speaks several; empty means any of them.
	Wire Dialect
	// Manners are the smaller differences of the provider's wire.
	Manners
}

// Manners are how a provider's wire differs from the dialect that it speaks.
// The zero value is the dialect's own rule in each.
type Manners struct {
	// Accepts are the top-level members that a closed wire takes; nil means that
	// they are not known one by one.
	Accepts []string
	// Refuses are top-level members that an open wire refuses all the same.
	Refuses []string
	// MaxTools is how many tools one request may offer, MaxStops how many stop
	// sequences, EmbedInputs how many inputs one embeddings request may hold.
	MaxTools, MaxStops, EmbedInputs int
	// ToolNameLength is the longest tool name, in bytes. ToolNameLetter says
	// that names must begin with a letter or an underscore.
	ToolNameLength int
	ToolNameLetter bool
	// Schema is the subset of JSON Schema that tool parameters may use.
	Schema SchemaSubset
	// Alternate: behind the system messages, user and assistant take turns,
	// beginning and ending with the user (Perplexity).
	Alternate bool
	// ToolAny is the tool_choice that forces some call ("any" at Mistral), in
	// place of "required".
	ToolAny string
	// QuietForced: a forced tool choice is refused while the model thinks
	// (DeepSeek).
	QuietForced bool
	// SeedField names the seed ("random_seed" at Mistral).
	SeedField string
	// PrefillMark is a member that is set to true on a last assistant message
	// which the model is to go on from ("prefix" at Mistral, "partial" at
	// Moonshot).
	PrefillMark string
	// ThinkSwitch is the member that turns thinking on and off: "thinking" for
	// {"type":"enabled"}, "enable_thinking" for a boolean with thinking_budget
	// beside it. Empty means that only reasoning_effort does.
	ThinkSwitch string
	// OutputReserve is the output cap to ask for where the client names none or
	// a larger one: the provider's limiter takes the whole cap off in advance
	// (Cerebras).
	OutputReserve int64
}

// SchemaSubset names a subset of JSON Schema; the zero value is all of it.
type SchemaSubset string

// SchemaTyped is Moonshot's: an object at the root, a type in each branch of an
// anyOf rather than beside it, and no tuples.
const SchemaTyped SchemaSubset = "typed"

// Takes reports whether the wire takes a top-level member.
func (c *Capability) Takes(name string) bool {
	return (!c.Closed || c.Accepts == nil || slices.Contains(c.Accepts, name)) && !slices.Contains(c.Refuses, name)
}

// Can reports whether the target has the feature; an unknown target can.
func (c *Capability) Can(f Feature) bool { return !c.Known || c.Has&f == f }

// CanThink reports whether the Anthropic thinking type t is accepted; an
// unknown target accepts all.
func (c *Capability) CanThink(t string) bool {
	return !c.Known || slices.Contains(c.ThinkTypes, t)
}

// efforts in rising order, as all vendors together know them.
var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}

// Effort gives the accepted effort nearest to want, and whether that is want
// itself. Unknown targets accept all; "" means that effort must be left out.
func (c *Capability) Effort(want string) (got string, exact bool) {
	if want == "" || !c.Known || slices.Contains(c.Efforts, want) {
		return want, true
	}
	at := slices.Index(efforts, want)
	if at < 0 || len(c.Efforts) == 0 {
		return "", false
	}
	best, far := "", len(efforts)+1
	for _, e := range c.Efforts {
		d := slices.Index(efforts, e) - at
		if d < 0 {
			d = -d
		}
		if d < far {
			best, far = e, d
		}
	}
	return best, false
}
