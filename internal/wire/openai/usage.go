package openai

import (
	"math"
	"slices"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// readUsage reads a usage object into our buckets. On this wire the prompt
// includes what was read from and written to the cache, and the completion
// includes the thinking; the exceptions are told apart by their own total
// (xAI and some Gemini hosts leave thinking out of completion_tokens, Mistral
// leaves audio out of prompt_tokens; recordings of 2025 and 2026).
func readUsage(raw []byte) llm.Usage {
	u := llm.Usage{Source: llm.UsageProvider, Raw: slices.Clone(raw)}
	var prompt, completion, total, cached, miss, write, write5m, write1h, reasoning, audio int64
	var byok bool
	var upstream float64
	said := false
	money := func(f float64) {
		u.Reported, u.HasReported = llm.Nanodollars(math.Round(f*1e9)), true
	}
	for k, v := range span.Fields(raw) {
		switch string(k) {
		case "prompt_tokens":
			prompt, said = span.Count(v), true
		case "completion_tokens":
			completion, said = span.Count(v), true
		case "total_tokens":
			total = span.Count(v)
		case "prompt_tokens_details", "prompt_token_details":
			for k, v := range span.Fields(v) {
				switch string(k) {
				case "cached_tokens":
					cached = max(cached, span.Count(v))
				case "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens": // the last at DashScope
					write = max(write, span.Count(v))
				case "cache_creation":
					write5m, write1h = span.Count(span.Field(v, "ephemeral_5m_input_tokens")), span.Count(span.Field(v, "ephemeral_1h_input_tokens"))
				case "audio_tokens":
					audio = span.Count(v)
				}
			}
		case "completion_tokens_details", "completion_token_details":
			reasoning = max(reasoning, span.Count(span.Field(v, "reasoning_tokens")))
		case "reasoning_tokens":
			reasoning = max(reasoning, span.Count(v))
		case "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens":
			cached = max(cached, span.Count(v))
		case "prompt_cache_miss_tokens":
			miss = span.Count(v)
		case "cache_creation_input_tokens":
			write = max(write, span.Count(v))
		case "cache_creation":
			write5m, write1h = span.Count(span.Field(v, "ephemeral_5m_input_tokens")), span.Count(span.Field(v, "ephemeral_1h_input_tokens"))
		case "cost":
			if f, ok := span.Number(v); ok {
				money(f)
			} else if f, ok := span.Number(span.Field(v, "total_cost")); ok { // Perplexity
				money(f)
			}
		case "estimated_cost": // DeepInfra
			if f, ok := span.Number(v); ok {
				money(f)
			}
		case "cost_in_usd_ticks": // xAI: 1e-10 dollars
			if n, ok := span.Integer(v); ok {
				u.Reported, u.HasReported = llm.Nanodollars((n+5)/10), true
			}
		case "is_byok":
			byok = span.Kind(v) == 't'
		case "cost_details":
			upstream, _ = span.Number(span.Field(v, "upstream_inference_cost"))
		}
	}
	if byok && u.HasReported { // OpenRouter's own fee; the key's owner pays the rest
		u.Reported += llm.Nanodollars(math.Round(upstream * 1e9))
	}
	if prompt == 0 && miss > 0 {
		prompt = cached + miss
	}
	// All sums saturate far below overflow: a count beyond this is nonsense.
	const most = 1 << 50
	for _, n := range []*int64{&prompt, &completion, &total, &cached, &write, &write5m, &write1h, &reasoning, &audio} {
		*n = min(*n, most)
	}
	write = max(write, write5m+write1h)
	switch rest := total - prompt - completion; {
	case !said || rest <= 0:
	case rest == reasoning:
		completion += rest
	case rest == audio:
		prompt += rest
	case rest == cached+write || rest > cached+write && cached+write > prompt:
		prompt += cached + write // the cache was told apart from the prompt
	case reasoning == 0: // Google's compatible door: thinking shows in the total alone
		completion += rest
		reasoning = rest
	}
	switch {
	case cached+write <= prompt:
	case total > 0:
		// More was cached than was sent (Grok at Azure and at OpenRouter, which
		// count a hidden prompt). The total says that prompt_tokens is all.
		cached = min(cached, prompt)
		write = min(write, prompt-cached)
	default: // told apart from the prompt, as Anthropic does
		prompt += cached + write
	}
	write1h = min(write1h, write)
	u.CacheRead, u.CacheWrite1h, u.CacheWrite5m = cached, write1h, write-write1h
	u.Input = prompt - cached - write
	u.Output = completion
	u.Reasoning = min(reasoning, completion)
	return u
}

// appendUsage writes a usage object. A vendor's own Chat usage goes back as it
// came.
func appendUsage(dst []byte, u llm.Usage) []byte {
	if span.IsObject(u.Raw) && (span.Field(u.Raw, "prompt_tokens") != nil || span.Field(u.Raw, "completion_tokens") != nil) {
		return append(dst, u.Raw...)
	}
	o := span.Open(dst)
	o.Int("prompt_tokens", u.Prompt())
	o.Int("completion_tokens", u.Output)
	o.Int("total_tokens", u.Total())
	o.Name("prompt_tokens_details")
	d := span.Open(o.B)
	d.Int("cached_tokens", u.CacheRead)
	d.Int("cache_write_tokens", u.CacheWrite5m+u.CacheWrite1h)
	d.Int("audio_tokens", 0)
	o.B = d.Close()
	o.Name("completion_tokens_details")
	d = span.Open(o.B)
	d.Int("reasoning_tokens", u.Reasoning)
	d.Int("audio_tokens", 0)
	d.Int("accepted_prediction_tokens", 0)
	d.Int("rejected_prediction_tokens", 0)
	o.B = d.Close()
	return o.Close()
}
