package anthropic

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/llm"
)

// TestIterations: with iterations in it, usage is their sum, at first sight, in
// full and in a stream.
func TestIterations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		usage string
		want  llm.Usage
	}{
		"none":             {`{"input_tokens":1,"cache_read_input_tokens":2,"output_tokens":3,"iterations":[]}`, llm.Usage{Input: 1, CacheRead: 2, Output: 3}},
		"null":             {`{"input_tokens":1,"output_tokens":3,"iterations":null}`, llm.Usage{Input: 1, Output: 3}},
		"one, the message": {`{"input_tokens":1,"cache_creation_input_tokens":5,"output_tokens":3,"iterations":[{"type":"message","input_tokens":1,"output_tokens":3,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":0}}]}`, llm.Usage{Input: 1, CacheWrite5m: 5, Output: 3}},
		"a compaction":     {`{"input_tokens":162,"output_tokens":11,"iterations":[{"type":"compaction","input_tokens":99195,"output_tokens":81},{"type":"message","input_tokens":162,"output_tokens":11}]}`, llm.Usage{Input: 99357, Output: 92}},
		"a fallback": {`{"iterations":[{"type":"message","input_tokens":10,"output_tokens":4,"cache_read_input_tokens":7},{"type":"fallback_message","model":"n","input_tokens":10,"output_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"cache_creation_input_tokens":3}],"input_tokens":10,"output_tokens":5,"output_tokens_details":{"thinking_tokens":2}}`,
			llm.Usage{Input: 20, CacheRead: 7, CacheWrite5m: 1, CacheWrite1h: 2, Output: 9, Reasoning: 2}},
		"nulls in them":       {`{"input_tokens":1,"output_tokens":3,"iterations":[{"type":"message","input_tokens":1,"output_tokens":3,"cache_read_input_tokens":null,"cache_creation":null}]}`, llm.Usage{Input: 1, Output: 3}},
		"that say nothing":    {`{"input_tokens":1,"output_tokens":3,"iterations":[{"type":"message"}]}`, llm.Usage{Input: 1, Output: 3}},
		"that are no objects": {`{"input_tokens":1,"output_tokens":3,"iterations":[1,"x"]}`, llm.Usage{Input: 1, Output: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Source = llm.UsageProvider
			check := func(how string, got llm.Usage) {
				t.Helper()
				if d := cmp.Diff(c.want, got, cmpopts.IgnoreFields(llm.Usage{}, "Raw")); d != "" {
					t.Errorf("%s (-want +got):\n%s", how, d)
				}
			}
			whole := []byte(`{"id":"i","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"end_turn","usage":` + c.usage + `}`)
			r, err := Codec{}.DecodeResponse(whole)
			if err != nil {
				t.Fatal(err)
			}
			check("in full", r.Usage)
			g, err := Codec{}.Glance(whole)
			if err != nil {
				t.Fatal(err)
			}
			check("at first sight", g.Usage)
			es, err := decodeAll(t, `{"type":"message_start","message":{"id":"i","usage":{"input_tokens":9,"output_tokens":9,"iterations":[{"type":"message","input_tokens":9,"output_tokens":9}]}}}`,
				`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":`+c.usage+`}`, frameStop)
			if err != nil {
				t.Fatal(err)
			}
			var last llm.Usage
			for _, e := range es {
				if e.Kind == llm.EventUsage {
					last = e.Usage
				}
			}
			check("in a stream", last)
		})
	}
}
