package responses

import (
	"math"
	"slices"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// readUsage reads a usage object into our buckets. On this wire the input
// includes what was read from and written to the cache, and the output
// includes the thinking.
func readUsage(raw []byte) llm.Usage {
	u := llm.Usage{Source: llm.UsageProvider, Raw: slices.Clone(raw)}
	var input, output, total, cached, write, reasoning int64
	var byok bool
	var upstream float64
	for k, v := range span.Fields(raw) {
		switch string(k) {
		case "input_tokens":
			input = span.Count(v)
		case "output_tokens":
			output = span.Count(v)
		case "total_tokens":
			total = span.Count(v)
		case "input_tokens_details":
			for k, v := range span.Fields(v) {
				switch string(k) {
				case "cached_tokens":
					cached = span.Count(v)
				case "cache_write_tokens", "cache_creation_tokens":
					write = max(write, span.Count(v))
				}
			}
		case "output_tokens_details":
			reasoning = span.Count(span.Field(v, "reasoning_tokens"))
		case "cost": // OpenRouter
			if f, ok := span.Number(v); ok {
				u.Reported, u.HasReported = llm.Nanodollars(math.Round(f*1e9)), true
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
	// All sums saturate far below overflow: a count beyond this is nonsense.
	const most = 1 << 50
	for _, n := range []*int64{&input, &output, &total, &cached, &write, &reasoning} {
		*n = min(*n, most)
	}
	if rest := total - input - output; rest > 0 && rest == reasoning && reasoning > output {
		output += rest // thinking told apart from the output, as xAI does on Chat
	}
	// More was cached than was sent: a hidden prompt (Grok). The input is all
	// that was billed as such.
	cached = min(cached, input)
	write = min(write, input-cached)
	u.CacheRead, u.CacheWrite5m = cached, write
	u.Input = input - cached - write
	u.Output = output
	u.Reasoning = min(reasoning, output)
	return u
}

// appendUsage writes a usage object. A vendor's own one goes back as it came.
func appendUsage(dst []byte, u *llm.Usage, own bool) []byte {
	if own && span.IsObject(u.Raw) && span.Field(u.Raw, "input_tokens") != nil {
		return span.AppendFlat(dst, u.Raw)
	}
	o := span.Open(dst)
	o.Int("input_tokens", u.Prompt())
	o.Name("input_tokens_details")
	d := span.Open(o.B)
	d.Int("cached_tokens", u.CacheRead)
	d.Int("cache_write_tokens", u.CacheWrite5m+u.CacheWrite1h)
	o.B = d.Close()
	o.Int("output_tokens", u.Output)
	o.Name("output_tokens_details")
	d = span.Open(o.B)
	d.Int("reasoning_tokens", u.Reasoning)
	o.B = d.Close()
	o.Int("total_tokens", u.Total())
	return o.Close()
}
