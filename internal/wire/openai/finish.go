package openai

import (
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
)

// finishes maps finish_reason words to ours: OpenAI's own, and what the
// compatible vendors add (DeepSeek insufficient_system_resource, Mistral
// model_length and error, Together eos, Azure's tool_call; recordings of 2025
// and 2026). The empty word is a complete answer of a vendor that does not say
// (Snowflake).
var finishes = map[string]llm.FinishReason{
	"":                             llm.FinishStop,
	"stop":                         llm.FinishStop,
	"eos":                          llm.FinishStop,
	"end_turn":                     llm.FinishStop,
	"length":                       llm.FinishLength,
	"max_tokens":                   llm.FinishLength,
	"model_length":                 llm.FinishContext,
	"tool_calls":                   llm.FinishToolCalls,
	"tool_call":                    llm.FinishToolCalls,
	"tool_use":                     llm.FinishToolCalls,
	"function_call":                llm.FinishToolCalls,
	"content_filter":               llm.FinishRefusal,
	"refusal":                      llm.FinishRefusal,
	"insufficient_system_resource": llm.FinishFailed,
	"error":                        llm.FinishFailed,
}

// readFinish derives the finish from the native word and from what the answer
// really holds: an agent loop that trusts "stop" beside tool calls ends too
// early, and one that trusts "tool_calls" without a call never ends. Of a
// refusal, text says that the answer holds more than it, and filters are the
// content_filter_results of Azure.
func readFinish(native string, calls, refused, text bool, filters jsontext.Value) llm.Finish {
	reason, known := finishes[native]
	switch {
	case !known:
		reason = llm.FinishOther
	case calls && reason == llm.FinishStop:
		reason = llm.FinishToolCalls
	case !calls && reason == llm.FinishToolCalls:
		reason = llm.FinishStop
	}
	if refused && reason == llm.FinishStop {
		reason = llm.FinishRefusal
	}
	f := llm.Finish{Reason: reason, Native: native}
	if reason == llm.FinishRefusal {
		f.Refused = llm.Refused{Phase: llm.RefusedOutput, Category: forms.Filtered(filters)}
		if refused && !text {
			f.Refused.Phase = llm.RefusedPrompt
		}
	}
	return f
}

// writeFinish gives the finish_reason for a client. The word of a provider of
// this dialect goes back as it was; own says that it is one.
func writeFinish(f llm.Finish, own, legacy bool) string {
	if own && f.Native != "" {
		return f.Native
	}
	switch f.Reason {
	case llm.FinishLength, llm.FinishContext:
		if f.Native == "model_length" {
			return f.Native
		}
		return "length"
	case llm.FinishPaused:
		return "length"
	case llm.FinishToolCalls:
		if legacy {
			return "function_call"
		}
		return "tool_calls"
	case llm.FinishRefusal:
		// A refusal in words ends with "stop" on this wire; its text stands in
		// the refusal member.
		if f.Native == "stop" {
			return "stop"
		}
		return "content_filter"
	case llm.FinishFailed:
		if f.Native == "insufficient_system_resource" {
			return f.Native
		}
		return "error"
	case llm.FinishOther:
		if f.Native != "" {
			return f.Native
		}
	}
	return "stop"
}
