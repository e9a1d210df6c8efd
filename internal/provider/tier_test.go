package provider

import (
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
)

// TestTierIsRead: each dialect's answers say at which tier they were served, in
// whole and in streams.
func TestTierIsRead(t *testing.T) {
	t.Parallel()
	type codec interface {
		Glance(body []byte) (llm.Glance, error)
		DecodeResponse(body []byte) (*llm.Response, error)
		NewDecoder() llm.StreamDecoder
	}
	for _, c := range []struct {
		name      string
		codec     codec
		whole     string
		stream    [][2]string
		tier, geo string
	}{
		{"openai flex", openai.Codec{}, `{"id":"a","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2},"service_tier":"flex"}`,
			[][2]string{{"", `{"id":"a","object":"chat.completion.chunk","model":"m","service_tier":"flex","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}`},
				{"", `{"id":"a","object":"chat.completion.chunk","model":"m","service_tier":"flex","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`}}, "flex", ""},
		{"openai, told before the usage alone", openai.Codec{}, `{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"service_tier":"Priority","usage":{"prompt_tokens":1,"completion_tokens":1}}`,
			[][2]string{{"", `{"service_tier":"priority","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}`},
				{"", `{"choices":[],"service_tier":null,"usage":{"prompt_tokens":1,"completion_tokens":1}}`}}, "priority", ""},
		{"responses priority", responses.Codec{}, `{"id":"r","object":"response","status":"completed","model":"m","service_tier":"priority","output":[],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}`,
			[][2]string{{"response.created", `{"type":"response.created","response":{"id":"r","object":"response","status":"in_progress","model":"m","service_tier":"auto","output":[]}}`},
				{"response.completed", `{"type":"response.completed","response":{"id":"r","object":"response","status":"completed","model":"m","service_tier":"priority","output":[],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}`}}, "priority", ""},
		{"anthropic fast in the US", anthropic.Codec{}, `{"id":"m","type":"message","role":"assistant","model":"claude-opus-5-5","content":[],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1,"service_tier":"standard","speed":"fast","inference_geo":"us"}}`,
			[][2]string{{"message_start", `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-opus-5-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1,"service_tier":"standard","speed":"fast","inference_geo":"us"}}}`},
				{"message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`}, {"message_stop", `{"type":"message_stop"}`}}, "fast", "us"},
		{"anthropic that ran at standard speed", anthropic.Codec{}, `{"id":"m","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1,"service_tier":"standard","speed":"standard","inference_geo":null}}`, nil, "standard", ""},
		{"gemini flex", gemini.Codec{}, `{"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2,"serviceTier":"FLEX"}}`,
			[][2]string{{"", `{"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2,"serviceTier":"flex"}}`}}, "flex", ""},
	} {
		g, err := c.codec.Glance([]byte(c.whole))
		if err != nil || g.Usage.Tier != c.tier || g.Usage.Geo != c.geo || g.Usage.Source == "" {
			t.Errorf("%s at a glance: %q in %q, %v", c.name, g.Usage.Tier, g.Usage.Geo, err)
		}
		r, err := c.codec.DecodeResponse([]byte(c.whole))
		if err != nil || r.Usage.Tier != c.tier || r.Usage.Geo != c.geo {
			t.Errorf("%s decoded: %+v, %v", c.name, r, err)
		}
		if c.stream == nil {
			continue
		}
		var events []llm.Event
		d := c.codec.NewDecoder()
		for _, f := range c.stream {
			if events, err = d.Decode(events, []byte(f[0]), []byte(f[1])); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		var last llm.Usage
		for _, e := range d.Close(events) {
			if e.Kind == llm.EventUsage {
				last = e.Usage
			}
		}
		if last.Source == "" || last.Tier != c.tier || last.Geo != c.geo {
			t.Errorf("%s streamed: %+v", c.name, last)
		}
	}
}
