package gemini

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// usageOf reads usageMetadata. promptTokenCount includes what came from a
// cache; the prompts of built-in tools stand beside it; candidatesTokenCount
// leaves out the thoughts. What is null or missing is 0.
func usageOf(v jsontext.Value) llm.Usage {
	if kindOf(v) != '{' {
		return llm.Usage{}
	}
	var prompt, cached, tools, candidates, thoughts int64
	told, tier := false, ""
	for o := span.ReadObject(v); o.Next(); {
		to := &prompt
		switch canon(o.Name) {
		case "promptTokenCount":
		case "cachedContentTokenCount":
			to = &cached
		case "toolUsePromptTokenCount":
			to = &tools
		case "candidatesTokenCount":
			to = &candidates
		case "thoughtsTokenCount":
			to = &thoughts
		case "totalTokenCount":
			told = true
			continue
		case "serviceTier":
			tier = strings.ToLower(text(o.Val))
			continue
		default:
			continue
		}
		told = true
		*to = max(count(o.Val), 0)
	}
	if !told {
		return llm.Usage{}
	}
	return llm.Usage{
		Input: max(prompt-cached, 0) + tools, CacheRead: min(cached, prompt), Output: candidates + thoughts, Reasoning: thoughts,
		Source: llm.UsageProvider, Tier: tier, Raw: v,
	}
}

// appendUsage writes a usageMetadata; the provider's own one when it is of
// this dialect.
func appendUsage(b []byte, u *llm.Usage, own bool) []byte {
	if own && kindOf(u.Raw) == '{' {
		return flat(b, u.Raw)
	}
	b = strconv.AppendInt(append(b, `{"promptTokenCount":`...), u.Prompt(), 10)
	b = strconv.AppendInt(append(b, `,"candidatesTokenCount":`...), max(u.Output-u.Reasoning, 0), 10)
	b = strconv.AppendInt(append(b, `,"totalTokenCount":`...), u.Total(), 10)
	if u.CacheRead > 0 {
		b = strconv.AppendInt(append(b, `,"cachedContentTokenCount":`...), u.CacheRead, 10)
	}
	if u.Reasoning > 0 {
		b = strconv.AppendInt(append(b, `,"thoughtsTokenCount":`...), u.Reasoning, 10)
	}
	return append(b, '}')
}
