package wiretest_test

import (
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/ollama"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/wiretest"
)

// codecs has a row for every dialect's room.
var codecs = map[llm.Dialect]wiretest.Codec{
	llm.OpenAI:    openai.Codec{},
	llm.Anthropic: anthropic.Codec{},
	llm.Ollama:    ollama.Codec{},
}

// forms has the codecs of the forms that are not the usual one of their
// dialect, by dialect and form.
var forms = map[llm.Dialect]map[string]wiretest.Codec{
	llm.Ollama: {"generate": ollama.Codec{Form: ollama.FormGenerate}},
}

// codec gives the codec of a door.
func codec(d llm.Dialect, form string) wiretest.Codec {
	if c, ok := forms[d][form]; ok {
		return c
	}
	return codecs[d]
}

// TestCodecs runs every room's codec, translated to every other.
func TestCodecs(t *testing.T) {
	t.Parallel()
	for _, d := range wiretest.Dialects() {
		c, ok := codecs[d]
		if !ok {
			continue
		}
		var others []wiretest.Codec
		for _, o := range wiretest.Dialects() {
			if o != d && codecs[o] != nil {
				others = append(others, codecs[o])
			}
		}
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			wiretest.Run(t, c, wiretest.Options{Others: others})
			for form, f := range forms[d] {
				wiretest.Run(t, f, wiretest.Options{Others: others, Operation: form})
			}
		})
	}
}
