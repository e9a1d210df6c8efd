package provider

import (
	"bytes"
	"strconv"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// settings are where a member stands in each dialect, by our name of it. A
// dialect that has no place for it is left out.
var settings = map[string]map[llm.Dialect][]string{
	"temperature":         {llm.OpenAI: {"temperature"}, llm.Responses: {"temperature"}, llm.Anthropic: {"temperature"}, llm.Gemini: {"generationConfig", "temperature"}, llm.Ollama: {"options", "temperature"}},
	"top_p":               {llm.OpenAI: {"top_p"}, llm.Responses: {"top_p"}, llm.Anthropic: {"top_p"}, llm.Gemini: {"generationConfig", "topP"}, llm.Ollama: {"options", "top_p"}},
	"top_k":               {llm.OpenAI: {"top_k"}, llm.Anthropic: {"top_k"}, llm.Gemini: {"generationConfig", "topK"}, llm.Ollama: {"options", "top_k"}},
	"max_tokens":          {llm.OpenAI: {"max_completion_tokens"}, llm.Responses: {"max_output_tokens"}, llm.Anthropic: {"max_tokens"}, llm.Gemini: {"generationConfig", "maxOutputTokens"}, llm.Ollama: {"options", "num_predict"}},
	"effort":              {llm.OpenAI: {"reasoning_effort"}, llm.Responses: {"reasoning", "effort"}, llm.Anthropic: {"output_config", "effort"}, llm.Gemini: {"generationConfig", "thinkingConfig", "thinkingLevel"}, llm.Ollama: {"think"}},
	"verbosity":           {llm.OpenAI: {"verbosity"}, llm.Responses: {"text", "verbosity"}},
	"frequency_penalty":   {llm.OpenAI: {"frequency_penalty"}, llm.Gemini: {"generationConfig", "frequencyPenalty"}, llm.Ollama: {"options", "frequency_penalty"}},
	"presence_penalty":    {llm.OpenAI: {"presence_penalty"}, llm.Gemini: {"generationConfig", "presencePenalty"}, llm.Ollama: {"options", "presence_penalty"}},
	"seed":                {llm.OpenAI: {"seed"}, llm.Gemini: {"generationConfig", "seed"}, llm.Ollama: {"options", "seed"}},
	"service_tier":        {llm.OpenAI: {"service_tier"}, llm.Responses: {"service_tier"}, llm.Anthropic: {"service_tier"}, llm.Gemini: {"serviceTier"}},
	"parallel_tool_calls": {llm.OpenAI: {"parallel_tool_calls"}, llm.Responses: {"parallel_tool_calls"}},
}

// Settings lists the names that Set knows.
func Settings() []string {
	var names []string
	for name := range settings {
		names = append(names, name)
	}
	return names
}

// Set gives a chat request that says of a member what value says, as JSON. It is
// false where the request's dialect has no place for the member, or its body
// cannot be read; then the draft is as it was.
func Set(d llm.Draft, name, value string) (llm.Draft, bool) {
	s, path := codecs[d.Dialect], settings[name][d.Dialect]
	if s == nil || path == nil || d.Op != llm.OpChat {
		return d, false
	}
	way := s.way(d.Op, d.Form)
	if way == nil {
		return d, false
	}
	if name == "max_tokens" && d.Dialect == llm.OpenAI {
		if _, old := d.Head.At("max_tokens"); old {
			path = []string{"max_tokens"} // its older name
		}
	}
	head, err := s.of(way).Head(d.Op, d.Raw)
	if err != nil || !span.IsObject(bytes.TrimSpace(d.Raw)) {
		return d, false
	}
	raw := put(d.Raw, path, []byte(value))
	if head, err = s.of(way).Head(d.Op, raw); err != nil {
		return d, false
	}
	if d.Dialect == llm.Gemini { // these stand in the path
		head.Model, head.Stream = d.Head.Model, d.Head.Stream
	}
	out := d.Respelled(raw, head)
	if name == "max_tokens" {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			out.Head.MaxTokens = n
		}
	}
	return out, true
}
