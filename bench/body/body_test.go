package body

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestSmallEverywhere: the small request is about as long in every dialect.
func TestSmallEverywhere(t *testing.T) {
	for dialect, b := range map[string][]byte{"responses": Responses(Small, "m", true), "gemini": Gemini(Small), "ollama": Ollama(Small, "m", true)} {
		if len(b) < 400 || len(b) > 700 || !json.Valid(b) || dialect != "gemini" && !bytes.Contains(b, []byte(`"stream":true`)) {
			t.Errorf("%s: %d bytes: %s", dialect, len(b), b)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name     string
		shape    Shape
		low, top int
	}{
		{"small", Small, 400, 700},
		{"agent", Agent, 7_500, 9_000},
		{"long", Long, 200_000, 216_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			for dialect, b := range map[string][]byte{"openai": OpenAI(c.shape, "m", true), "anthropic": Anthropic(c.shape, "m", true)} {
				if len(b) < c.low || len(b) > c.top {
					t.Errorf("%s: %d bytes, want %d to %d", dialect, len(b), c.low, c.top)
				}
				if !json.Valid(b) {
					t.Errorf("%s: not JSON", dialect)
				}
				if !bytes.Contains(b, []byte(`"stream":true`)) {
					t.Errorf("%s: the canned upstream looks for \"stream\":true", dialect)
				}
			}
			if !bytes.Equal(OpenAI(c.shape, "m", false), OpenAI(c.shape, "m", false)) {
				t.Error("two calls gave different bytes")
			}
		})
	}
}
