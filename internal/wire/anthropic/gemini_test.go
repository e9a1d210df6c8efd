package anthropic

import (
	"testing"

	"headrace/internal/llm"
)

// TestGeminiOnly: what only a Gemini model gives is refused, not dropped.
func TestGeminiOnly(t *testing.T) {
	for _, c := range []struct {
		name, value string
		refused     bool
	}{
		{"generationConfig.responseModalities", `["TEXT","IMAGE"]`, true},
		{"generationConfig.responseModalities", `["TEXT"]`, false},
		{"generationConfig.responseLogprobs", `true`, true},
		{"generationConfig.responseLogprobs", `false`, false},
		{"generationConfig.responseMimeType", `"text/x.enum"`, true},
		{"generationConfig.responseMimeType", `"text/plain"`, false},
	} {
		r := &llm.Request{From: llm.Gemini, Ext: []llm.Member{{Name: c.name, Value: []byte(c.value)}},
			Items: []llm.Item{{Kind: llm.ItemMessage, Role: llm.User, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hi"}}}}}
		e, err := Codec{}.EncodeRequest(r, "m", &llm.Capability{})
		if err != nil {
			t.Fatal(err)
		}
		if got := llm.Refusal(e.Losses) != nil; got != c.refused {
			t.Errorf("%s %s: refused %v, losses %v", c.name, c.value, got, e.Losses)
		}
	}
}
