package openai

import (
	"testing"

	"headrace/internal/llm"
)

// TestReadUsage: the buckets are disjoint and add up to what the vendor's own
// total says, wherever it gives one.
func TestReadUsage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  string
		want llm.Usage
	}{
		"plain":                           {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}`, llm.Usage{Input: 10, Output: 5}},
		"cached inside the prompt":        {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4}}`, llm.Usage{Input: 6, CacheRead: 4, Output: 5}},
		"read and written, no total":      {`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3}}`, llm.Usage{Input: 3, CacheRead: 4, CacheWrite5m: 3, Output: 5}},
		"more cached than sent":           {`{"prompt_tokens":235,"completion_tokens":90,"total_tokens":325,"prompt_tokens_details":{"cached_tokens":373}}`, llm.Usage{CacheRead: 235, Output: 90}},
		"more cached than sent, written":  {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":9}}`, llm.Usage{CacheRead: 8, CacheWrite5m: 2, Output: 5}},
		"cached beside the prompt":        {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,"prompt_tokens_details":{"cached_tokens":100}}`, llm.Usage{Input: 10, CacheRead: 100, Output: 5}},
		"less cached, beside the prompt":  {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":18,"prompt_tokens_details":{"cached_tokens":3}}`, llm.Usage{Input: 10, CacheRead: 3, Output: 5}},
		"cached beside, total with more":  {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":100}}`, llm.Usage{Input: 10, CacheRead: 100, Output: 5}},
		"more cached than sent, no total": {`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":100}}`, llm.Usage{Input: 10, CacheRead: 100, Output: 5}},
		"a total that is too small":       {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":100}}`, llm.Usage{CacheRead: 10, Output: 5}},
		"thinking beside the completion":  {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,"completion_tokens_details":{"reasoning_tokens":7}}`, llm.Usage{Input: 10, Output: 12, Reasoning: 7}},
		"thinking in the total alone":     {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22}`, llm.Usage{Input: 10, Output: 12, Reasoning: 7}},
		"thinking beside, cached inside":  {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":7}}`, llm.Usage{Input: 6, CacheRead: 4, Output: 12, Reasoning: 7}},
		"audio beside the prompt":         {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,"prompt_tokens_details":{"audio_tokens":20}}`, llm.Usage{Input: 30, Output: 5}},
		"hits and misses":                 {`{"completion_tokens":5,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}`, llm.Usage{Input: 6, CacheRead: 4, Output: 5}},
		"writes of an hour":               {`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cache_creation_input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":3}}`, llm.Usage{Input: 6, CacheWrite5m: 1, CacheWrite1h: 3, Output: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			got := readUsage([]byte(c.raw))
			got.Raw, got.Source = nil, ""
			if got.Input != c.want.Input || got.CacheRead != c.want.CacheRead || got.CacheWrite5m != c.want.CacheWrite5m ||
				got.CacheWrite1h != c.want.CacheWrite1h || got.Output != c.want.Output || got.Reasoning != c.want.Reasoning {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
