package provider_test

import (
	"testing"

	"headrace/internal/llm"
	"headrace/internal/provider"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/ollama"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
)

// TestThink: each dialect has its own words; all other bytes stay.
func TestThink(t *testing.T) {
	type reader interface {
		Head(op llm.Op, body []byte) (llm.Head, error)
		DecodeRequest(body []byte) (*llm.Request, error)
	}
	for _, c := range []struct {
		dialect          llm.Dialect
		codec            reader
		body, level, end string
	}{
		{llm.OpenAI, openai.Codec{}, `{"model":"m","messages":[]}`, "off", `{"model":"m","messages":[],"reasoning_effort":"none"}`},
		{llm.OpenAI, openai.Codec{}, `{"model":"m","reasoning_effort" : "low","messages":[]}`, "max", `{"model":"m","reasoning_effort" : "max","messages":[]}`},
		{llm.Responses, responses.Codec{}, `{"model":"m","reasoning":{"summary":"auto"},"input":"a"}`, "medium", `{"model":"m","reasoning":{"summary":"auto","effort":"medium"},"input":"a"}`},
		{llm.Responses, responses.Codec{}, `{"model":"m","reasoning":null,"input":"a"}`, "low", `{"model":"m","reasoning":{"effort":"low"},"input":"a"}`},
		{llm.Anthropic, anthropic.Codec{}, `{"model":"m","max_tokens":9,"thinking":{"type":"enabled","budget_tokens":1024},"output_config":{"format":{}},"messages":[]}`, "high",
			`{"model":"m","max_tokens":9,"thinking":{"type":"adaptive"},"output_config":{"format":{},"effort":"high"},"messages":[]}`},
		{llm.Anthropic, anthropic.Codec{}, `{"model":"m","max_tokens":9,"messages":[]}`, "off", `{"model":"m","max_tokens":9,"messages":[],"thinking":{"type":"disabled"}}`},
		{llm.Gemini, gemini.Codec{}, `{"contents":[]}`, "max", `{"contents":[],"generationConfig":{"thinkingConfig":{"thinkingLevel":"high"}}}`},
		{llm.Gemini, gemini.Codec{}, `{"generationConfig":{"topP":1},"contents":[]}`, "off", `{"generationConfig":{"topP":1,"thinkingConfig":{"thinkingBudget":0}},"contents":[]}`},
		{llm.Ollama, ollama.Codec{}, `{"model":"m","messages":[],"think":true}`, "off", `{"model":"m","messages":[],"think":false}`},
		{llm.Ollama, ollama.Codec{}, `{"model":"m","messages":[]}`, "max", `{"model":"m","messages":[],"think":"high"}`},
		{llm.OpenAI, openai.Codec{}, `{"model":"m","messages":[]}`, "loud", `{"model":"m","messages":[]}`},
		{llm.OpenAI, openai.Codec{}, `[1]`, "low", `[1]`},
	} {
		head, _ := c.codec.Head(llm.OpChat, []byte(c.body))
		head.Model, head.Stream = "m", true
		d := llm.NewDraft(c.dialect, llm.OpChat, []byte(c.body), head, c.codec.DecodeRequest)
		got := provider.Think(d, c.level)
		if string(got.Raw) != c.end || string(d.Raw) != c.body {
			t.Errorf("%s %s at %s:\n%s, want\n%s", c.dialect, c.body, c.level, got.Raw, c.end)
		}
		if c.dialect == llm.Gemini && (got.Head.Model != "m" || !got.Head.Stream) {
			t.Errorf("%s: what stood in the path is gone: %+v", c.dialect, got.Head)
		}
		for _, m := range got.Head.Members {
			if m.Value.To > len(got.Raw) {
				t.Errorf("%s: the places are not those of %s", c.dialect, got.Raw)
			}
		}
	}
}
