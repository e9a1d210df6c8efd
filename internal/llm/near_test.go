package llm

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"anthropic", "openai", "openrouter", "xai", "qwen"}
	for got, want := range map[string]string{
		"anthropc": "anthropic", "antropic": "anthropic", "openia": "openai", "opnrouter": "openrouter", "xa": "xai",
		"anthropic": "anthropic", "wxyz": "", "": "", "mistral": "",
	} {
		if near := Nearest(got, known); near != want {
			t.Errorf("%q is near %q, want %q", got, near, want)
		}
	}
}
